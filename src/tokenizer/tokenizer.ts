/**
 * The tokenizer: text → ids with offsets, ids → text.
 *
 * Two paths lead from text to ids. The plain one works on strings alone and looks words up in a
 * cache without copying them; the aligned one carries the place of every character through each
 * step, for offsets. They share every decision (splits, models, added tokens) and give the same ids.
 */
import { JetonError } from "../core/error.ts";
import {
  type AddedToken,
  type AddedTokenFinder,
  createFinder,
  type SpecialTokenPolicy,
} from "./added-tokens.ts";
import { toWellFormed } from "./decoders/byte-alphabet.ts";
import { cleanUpSpaces, createDecoding } from "./decoders/decoders.ts";
import { createQuickDecoder, type QuickDecoder } from "./decoders/quick-decoder.ts";
import { describeValue } from "./formats/json-reader.ts";
import { readTokenizerJson, type TokenizerParts } from "./formats/tokenizer-json.ts";
import type { TokenizerSettings } from "./formats/tokenizer-settings.ts";
import { IntegerList, TokenSink } from "./models/token-sink.ts";
import { WordCache } from "./models/word-cache.ts";
import type { WordModel } from "./models/word-model.ts";
import { type AlignedText, alignSource, sliceAligned } from "./normalizers/aligned-text.ts";
import { type TemplatePiece, trimOffsets } from "./post-processors/post-processors.ts";
import { isWhitespace } from "./pre-tokenizers/character-classes.ts";
import { type PreTokenizerStep, splitBefore } from "./pre-tokenizers/pre-tokenizers.ts";

/** How special tokens that stand in the text itself are treated. */
export interface SpecialTextOptions {
  /**
   * Special tokens whose spelling in the text becomes the token: all of them (default), none, or
   * those listed. The others are ordinary text.
   */
  allowedSpecial?: "all" | "none" | readonly string[];
  /** What to do where a special token that is not allowed is spelt in the text. Default `"text"`. */
  disallowedSpecial?: "text" | "error";
}

export interface EncodeIdsOptions extends SpecialTextOptions {
  /** Whether the file's template puts its special tokens around the text. Default true. */
  addSpecialTokens?: boolean;
  /** A second text, for templates of two. */
  pair?: string;
  /** Whether truncation and padding apply as the file sets them. Default true. */
  applyLimits?: boolean;
}

export interface EncodeOptions extends EncodeIdsOptions {
  /** Unit of the offsets: UTF-16 code units, JavaScript's own (default), or code points. */
  offsetUnit?: "utf16" | "codepoint";
}

/** The tokens of a text. All lists have the same length. */
export interface Encoding {
  ids: Int32Array;
  /** Token strings as the vocabulary writes them (for unknown tokens of Unigram, the text). */
  tokens: string[];
  /** `[start, end)` of each token in its text; `[0, 0]` for tokens that come from a template. */
  offsets: [number, number][];
  /** Number of the text that a token belongs to, as the template says. */
  typeIds: Int32Array;
  /** 0 for padding, 1 for everything else. */
  attentionMask: Int32Array;
  /** 1 for tokens that come from a template or from padding. */
  specialTokensMask: Int32Array;
}

export interface DecodeOptions {
  /** Leaves special tokens out. Default true. */
  skipSpecialTokens?: boolean;
  /** Removes the spaces that word tokenizers leave before punctuation. Default false. */
  cleanUp?: boolean;
}

/** Decodes a stream of ids; the pieces join to what `decode` gives, and none ends inside a character. */
export interface StreamDecoder {
  /** The text that became certain with this id; often empty, sometimes more than the token. */
  push(id: number): string;
  /** What was held back. The decoder must not be used after it. */
  end(): string;
}

/** A loaded tokenizer. It keeps a cache, so one object serves one thread. */
export interface Tokenizer {
  /** What the files beside the tokenizer say: names of special tokens, chat templates. */
  readonly settings: TokenizerSettings;
  /** Kind of the model. */
  readonly kind: WordModel["kind"];
  /** Largest id plus one: the length of a table indexed by ids. */
  readonly vocabSize: number;
  /** Special tokens by content. */
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly unkTokenId: number | undefined;

  /** Text to tokens with offsets. Lone surrogates count as U+FFFD. */
  encode(text: string, options?: EncodeOptions): Encoding;
  /** Text to ids only: several times as fast as `encode`, same ids. */
  encodeIds(text: string, options?: EncodeIdsOptions): Int32Array;
  /** Several texts, padded to the longest where the file says so. */
  encodeBatch(texts: readonly string[], options?: EncodeOptions): Encoding[];
  /** Number of tokens that `encodeIds` gives. */
  countTokens(text: string, options?: EncodeIdsOptions): number;
  /** Ids to text. Ids outside the vocabulary are skipped. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  streamDecoder(options?: Pick<DecodeOptions, "skipSpecialTokens">): StreamDecoder;
  tokenToId(token: string): number | undefined;
  idToToken(id: number): string | undefined;
  /** True for special tokens, which `decode` leaves out by default. */
  isSpecial(id: number): boolean;
}

/**
 * Makes a tokenizer of a parsed `tokenizer.json`, with the settings of the files beside it. Throws a
 * JetonError that names the offending field when the file is malformed.
 *
 * @example
 * const tokenizer = createTokenizer(JSON.parse(text));
 * const { ids, tokens, offsets } = tokenizer.encode("The emperor");
 * tokenizer.decode(ids);
 */
export function createTokenizer(json: unknown, settings: TokenizerSettings = {}): Tokenizer {
  return assembleTokenizer(addMissingTokens(readTokenizerJson(json), settings), settings);
}

/**
 * The tokens that only `added_tokens_decoder` of `tokenizer_config.json` names, added as transformers
 * adds them on loading: one of the vocabulary keeps its id, others get the next ids in the order of
 * those listed. Tokens of `tokenizer.json` keep that file's flags.
 */
function addMissingTokens(parts: TokenizerParts, settings: TokenizerSettings): TokenizerParts {
  const known = new Set(parts.addedTokens.map(({ content }) => content));
  const { ids, tokens } = parts.model.vocabulary;
  let next = parts.addedTokens.reduce((size, { id }) => Math.max(size, id + 1), tokens.length);
  const added = [...(settings.addedTokens ?? [])]
    .filter(({ content }) => !known.has(content))
    .sort((a, b) => a.id - b.id)
    .map((token) => ({ ...token, id: ids.get(token.content) ?? next++ }));
  return added.length === 0 ? parts : { ...parts, addedTokens: [...parts.addedTokens, ...added] };
}

/** Makes a tokenizer of parts that were read from any kind of file. */
export function assembleTokenizer(parts: TokenizerParts, settings: TokenizerSettings): Tokenizer {
  return new PartsTokenizer(parts, settings);
}

/** Tokens of one text before the template is applied. */
interface Raw {
  ids: number[];
  tokens: string[];
  offsets: [number, number][];
}

class PartsTokenizer implements Tokenizer {
  readonly settings: TokenizerSettings;
  readonly kind: WordModel["kind"];
  readonly vocabSize: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly unkTokenId: number | undefined;

  readonly #parts: TokenizerParts;
  readonly #steps: readonly PreTokenizerStep[];
  readonly #single: readonly TemplatePiece[];
  readonly #pair: readonly TemplatePiece[];
  readonly #cache: WordCache;
  readonly #finder: AddedTokenFinder | null;
  readonly #normalizedFinder: AddedTokenFinder | null;
  readonly #addedById: ReadonlyMap<number, AddedToken>;
  readonly #addedByContent: ReadonlyMap<string, AddedToken>;
  /** The plain path cannot know whether a piece begins the text once a normalizer has dropped some. */
  readonly #needsAlignment: boolean;
  readonly #list: IntegerList = new IntegerList(1024);
  readonly #sink: TokenSink = new TokenSink();
  readonly #quick: QuickDecoder | null;

  constructor(parts: TokenizerParts, settings: TokenizerSettings) {
    const { model, addedTokens } = parts;
    this.#parts = parts;
    this.settings = settings;
    this.kind = model.kind;
    this.#cache = new WordCache(model);
    // Where the file leaves texts whole, words that the cache can hold are cut at safe places.
    const isWhole = parts.steps.every((step) => step.kind === "rewrite");
    this.#steps =
      isWhole && model.cutBefore !== undefined
        ? [...parts.steps, splitBefore(model.cutBefore, true)]
        : parts.steps;
    this.#needsAlignment =
      parts.normalizer !== null &&
      parts.steps.some((step) => step.kind === "rewrite" && step.dependsOnStart);
    this.#finder = createFinder(
      addedTokens.filter((token) => !token.normalized),
      null,
    );
    this.#normalizedFinder = createFinder(
      addedTokens.filter((token) => token.normalized),
      parts.normalizer,
    );
    this.#addedById = new Map(addedTokens.map((token) => [token.id, shownAs(token, parts)]));
    this.#addedByContent = new Map(addedTokens.map((token) => [token.content, token]));
    this.specialTokens = new Map(
      addedTokens.filter((token) => token.special).map((token) => [token.content, token.id]),
    );
    this.vocabSize = addedTokens.reduce(
      (size, token) => Math.max(size, token.id + 1),
      model.vocabulary.tokens.length,
    );

    this.#quick = createQuickDecoder(parts.decoder, {
      size: this.vocabSize,
      tokenOf: (id) => this.idToToken(id),
      isSpecial: (id) => this.isSpecial(id),
    });

    const named = (name: string | undefined): number | undefined =>
      name === undefined ? undefined : this.tokenToId(name);
    const firstKnown = (names: readonly string[]): number | undefined =>
      named(names.find((name) => this.specialTokens.has(name)));
    this.bosTokenId = named(settings.bosToken) ?? firstKnown(usualBeginnings);
    this.eosTokenId = named(settings.eosToken) ?? firstKnown(usualEnds);
    this.padTokenId = named(settings.padToken) ?? parts.padding?.id ?? firstKnown(usualPaddings);
    this.unkTokenId = named(settings.unkToken) ?? model.unknownId;

    const force = (template: readonly TemplatePiece[]): readonly TemplatePiece[] => {
      const begun = forceEdge(
        template,
        "start",
        settings.addBosToken,
        this.#piece(this.bosTokenId),
      );
      return forceEdge(begun, "end", settings.addEosToken, this.#piece(this.eosTokenId));
    };
    this.#single = force(parts.postProcessor.single);
    this.#pair = force(parts.postProcessor.pair);
  }

  #piece(id: number | undefined): TemplatePiece | undefined {
    if (id === undefined) return undefined;
    return { kind: "special", ids: [id], tokens: [this.idToToken(id) ?? ""], typeId: 0 };
  }

  encodeIds(text: string, options: EncodeIdsOptions = {}): Int32Array {
    const { truncation, padding } = this.#parts;
    const limited = options.applyLimits !== false && (truncation !== null || padding !== null);
    if (options.pair !== undefined || limited || this.#needsAlignment) {
      return this.encode(text, options).ids;
    }
    const list = this.#list;
    list.length = 0;
    const policy = options.allowedSpecial === undefined ? null : this.#policy(options);
    const wellFormed = toWellFormed(text);
    for (const piece of this.#single) {
      if (piece.kind === "text") this.#appendIds(wellFormed, policy);
      else if (options.addSpecialTokens !== false) for (const id of piece.ids) list.push(id);
    }
    this.#cache.release();
    return list.toArray();
  }

  countTokens(text: string, options: EncodeIdsOptions = {}): number {
    return this.encodeIds(text, options).length;
  }

  encode(text: string, options: EncodeOptions = {}): Encoding {
    return this.encodeBatch([text], options)[0]!;
  }

  encodeBatch(texts: readonly string[], options: EncodeOptions = {}): Encoding[] {
    const encodings = texts.map((text) => this.#encodeOne(text, options));
    const { padding } = this.#parts;
    if (padding === null || options.applyLimits === false) return encodings;
    let length =
      padding.length === "longest"
        ? encodings.reduce((longest, encoding) => Math.max(longest, encoding.ids.length), 0)
        : padding.length;
    const { multipleOf } = padding;
    if (multipleOf > 0) length = Math.ceil(length / multipleOf) * multipleOf;
    return encodings.map((encoding) => this.#pad(encoding, length));
  }

  #encodeOne(text: string, options: EncodeOptions): Encoding {
    const addSpecial = options.addSpecialTokens !== false;
    const isPair = options.pair !== undefined;
    const template = isPair ? this.#pair : this.#single;
    // Without its special tokens a template still orders the texts and numbers them.
    const whole = addSpecial ? template : template.filter((piece) => piece.kind === "text");
    const raws: Record<"A" | "B", Raw> = {
      A: this.#encodeRaw(text, options),
      B: isPair ? this.#encodeRaw(options.pair!, options) : { ids: [], tokens: [], offsets: [] },
    };
    if (options.applyLimits !== false) this.#truncate(raws, whole, isPair);
    const { trim } = this.#parts.postProcessor;
    if (trim !== null) {
      for (const [raw, source] of [
        [raws.A, text],
        [raws.B, options.pair ?? ""],
      ] as const) {
        raw.offsets = raw.offsets.map((offsets, i) =>
          trimOffsets(source, raw.tokens[i]!, offsets, i === 0, trim.prefixSpace),
        );
      }
    }
    if (options.offsetUnit === "codepoint") {
      toCodePoints(raws.A.offsets, text);
      if (isPair) toCodePoints(raws.B.offsets, options.pair!);
    }
    return applyTemplate(whole, raws);
  }

  /** Cuts the texts so that they and the template's special tokens fit the file's maximum. */
  #truncate(
    raws: Record<"A" | "B", Raw>,
    template: readonly TemplatePiece[],
    isPair: boolean,
  ): void {
    const { truncation } = this.#parts;
    if (truncation === null) return;
    const added = template.reduce(
      (sum, piece) => sum + (piece.kind === "special" ? piece.ids.length : 0),
      0,
    );
    const capacity = Math.max(0, truncation.maxLength - added);
    const first = raws.A.ids.length;
    const second = raws.B.ids.length;
    if (first + second <= capacity) return;
    let [keepFirst, keepSecond] = [first, second];
    if (truncation.strategy === "OnlyFirst") {
      keepFirst = capacity - second;
    } else if (truncation.strategy === "OnlySecond") {
      keepSecond = capacity - first;
    } else if (isPair) {
      // The longer text gives way first; when both are too long they share the capacity.
      const shorter = Math.min(first, second);
      const longer = shorter > capacity ? shorter : Math.max(shorter, capacity - shorter);
      const half = Math.floor(capacity / 2);
      const [a, b] =
        shorter + longer > capacity ? [half, half + (capacity % 2)] : [shorter, longer];
      [keepFirst, keepSecond] = first > second ? [b, a] : [a, b];
    } else {
      keepFirst = capacity;
    }
    if (keepFirst < 0 || keepSecond < 0) {
      throw new JetonError(
        `the text that may be truncated is too short: ${first} and ${second} tokens must fit ${capacity}`,
        { code: "tokenizer-truncation-impossible", details: { first, second, capacity } },
      );
    }
    raws.A = cutRaw(raws.A, keepFirst, truncation.direction);
    raws.B = cutRaw(raws.B, keepSecond, truncation.direction);
  }

  #pad(encoding: Encoding, length: number): Encoding {
    const padding = this.#parts.padding!;
    const missing = length - encoding.ids.length;
    if (missing <= 0) return encoding;
    const left = padding.direction === "Left";
    const extend = (values: Int32Array, value: number): Int32Array => {
      const extended = new Int32Array(length).fill(value);
      extended.set(values, left ? missing : 0);
      return extended;
    };
    const tokens = new Array<string>(missing).fill(padding.token);
    const offsets = Array.from({ length: missing }, (): [number, number] => [0, 0]);
    return {
      ids: extend(encoding.ids, padding.id),
      tokens: left ? [...tokens, ...encoding.tokens] : [...encoding.tokens, ...tokens],
      offsets: left ? [...offsets, ...encoding.offsets] : [...encoding.offsets, ...offsets],
      typeIds: extend(encoding.typeIds, padding.typeId),
      attentionMask: extend(encoding.attentionMask, 0),
      specialTokensMask: extend(encoding.specialTokensMask, 1),
    };
  }

  /** Which special tokens in the text count; null: all. */
  #policy(options: SpecialTextOptions): SpecialTokenPolicy | null {
    const allowed = options.allowedSpecial ?? "all";
    if (allowed === "all") return null;
    const listed = new Set(allowed === "none" ? [] : allowed);
    return (token) => {
      if (listed.has(token.content)) return true;
      if (options.disallowedSpecial !== "error") return false;
      throw new JetonError(
        `the text holds the special token ${describeValue(token.content)}, which is not allowed here`,
        {
          code: "tokenizer-special-token-in-text",
          details: { token: token.content, id: token.id },
        },
      );
    };
  }

  // The plain path.

  #appendIds(text: string, policy: SpecialTokenPolicy | null): void {
    if (this.#finder?.mayOccur(text)) {
      this.#finder.cut(text, policy, (start, end, token) => {
        if (token !== null) this.#list.push(token.id);
        else this.#appendSegment(text.slice(start, end), start === 0, policy);
      });
    } else {
      this.#appendSegment(text, true, policy);
    }
  }

  /** A stretch of text without plain added tokens. */
  #appendSegment(source: string, atStart: boolean, policy: SpecialTokenPolicy | null): void {
    const { normalizer } = this.#parts;
    const text = normalizer === null ? source : normalizer.normalize(source);
    if (this.#normalizedFinder?.mayOccur(text)) {
      this.#normalizedFinder.cut(text, policy, (start, end, token) => {
        if (token !== null) this.#list.push(token.id);
        else this.#appendPiece(text.slice(start, end), 0, atStart && start === 0);
      });
    } else {
      this.#appendPiece(text, 0, atStart);
    }
  }

  #appendPiece(piece: string, firstStep: number, atStart: boolean): void {
    const steps = this.#steps;
    const cache = this.#cache;
    const list = this.#list;
    let text = piece;
    for (let i = firstStep; i < steps.length; i++) {
      const step = steps[i]!;
      if (text === "") return;
      if (step.kind === "rewrite") {
        text = step.rewrite(text, atStart);
      } else if (i === steps.length - 1) {
        cache.load(text);
        if (step.scan === undefined) {
          step.split(text, (start, end) => cache.appendIds(start, end, list));
          return;
        }
        const { scan } = step;
        const { length } = text;
        const drops = step.dropsSpaces === true;
        for (let start = 0; start < length; ) {
          const end = scan(cache.units, start, length);
          if (!(drops && isWhitespace(cache.units[start]!))) cache.appendIds(start, end, list);
          start = end;
        }
        return;
      } else {
        step.split(text, (start, end) =>
          this.#appendPiece(text.slice(start, end), i + 1, atStart && start === 0),
        );
        return;
      }
    }
    if (text === "") return;
    cache.load(text);
    cache.appendIds(0, text.length, list);
  }

  // The aligned path.

  #encodeRaw(source: string, options: SpecialTextOptions): Raw {
    const text = toWellFormed(source);
    const raw: Raw = { ids: [], tokens: [], offsets: [] };
    const policy = this.#policy(options);
    if (this.#finder === null) {
      this.#addSegment(alignSource(text, 0), raw, policy);
      return raw;
    }
    this.#finder.cut(text, policy, (start, end, token) => {
      if (token !== null) addToken(raw, token.id, text.slice(start, end), start, end);
      else this.#addSegment(alignSource(text.slice(start, end), start), raw, policy);
    });
    return raw;
  }

  #addSegment(source: AlignedText, raw: Raw, policy: SpecialTokenPolicy | null): void {
    const { normalizer } = this.#parts;
    const aligned = normalizer === null ? source : normalizer.align(source);
    if (this.#normalizedFinder === null) {
      this.#addPiece(aligned, 0, raw);
      return;
    }
    this.#normalizedFinder.cut(aligned.text, policy, (start, end, token) => {
      const part = sliceAligned(aligned, start, end);
      if (token === null) this.#addPiece(part, 0, raw);
      else addToken(raw, token.id, part.text, part.starts[0]!, part.ends.at(-1)!);
    });
  }

  #addPiece(piece: AlignedText, firstStep: number, raw: Raw): void {
    let aligned = piece;
    for (let i = firstStep; i < this.#steps.length; i++) {
      const step = this.#steps[i]!;
      if (aligned.text === "") return;
      if (step.kind === "rewrite") {
        aligned = step.align(aligned, aligned.starts[0] === 0);
      } else {
        const whole = aligned;
        step.split(whole.text, (start, end) =>
          this.#addPiece(sliceAligned(whole, start, end), i + 1, raw),
        );
        return;
      }
    }
    if (aligned.text !== "") this.#addWord(aligned, raw);
  }

  #addWord(word: AlignedText, raw: Raw): void {
    const sink = this.#sink;
    const { model } = this.#parts;
    sink.length = 0;
    this.#cache.load(word.text);
    this.#cache.appendTokens(0, word.text.length, sink);
    const places = new BytePlaces(word.text);
    for (let i = 0; i < sink.length; i++) {
      const id = sink.ids[i]!;
      const first = places.unitOf(sink.starts[i]!);
      const last = places.unitOf(Math.max(sink.starts[i]!, sink.ends[i]! - 1));
      const token =
        model.unknownShowsText && id === model.unknownId
          ? word.text.slice(first, last + characterUnits(word.text, last))
          : (model.vocabulary.tokens[id] ?? "");
      addToken(raw, id, token, word.starts[first] ?? 0, word.ends[last] ?? 0);
    }
  }

  // Ids to text.

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const skip = options.skipSpecialTokens ?? true;
    const text = this.#quick?.decode(ids, skip) ?? this.#decodeTokens(ids, skip);
    return options.cleanUp === true ? cleanUpSpaces(text) : text;
  }

  #decodeTokens(ids: ArrayLike<number>, skip: boolean): string {
    const pieces: string[] = [];
    const receiver = createDecoding(this.#parts.decoder, (piece) => pieces.push(piece));
    for (let i = 0; i < ids.length; i++) {
      const token = this.#textOf(ids[i]!, skip);
      if (token !== undefined) receiver.push(token);
    }
    receiver.end();
    return pieces.join("");
  }

  streamDecoder(options: Pick<DecodeOptions, "skipSpecialTokens"> = {}): StreamDecoder {
    const skip = options.skipSpecialTokens ?? true;
    let ready = "";
    const receiver = createDecoding(this.#parts.decoder, (piece) => {
      ready += piece;
    });
    const take = (): string => {
      const piece = ready;
      ready = "";
      return piece;
    };
    return {
      push: (id) => {
        const token = this.#textOf(id, skip);
        if (token !== undefined) receiver.push(token);
        return take();
      },
      end: () => {
        receiver.end();
        return take();
      },
    };
  }

  /** The token string that decoding sees, or undefined where the id is skipped. */
  #textOf(id: number, skip: boolean): string | undefined {
    const added = this.#addedById.get(id);
    if (added === undefined) return this.#parts.model.vocabulary.tokens[id];
    return skip && added.special ? undefined : added.content;
  }

  tokenToId(token: string): number | undefined {
    return this.#addedByContent.get(token)?.id ?? this.#parts.model.vocabulary.ids.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.#addedById.get(id)?.content ?? this.#parts.model.vocabulary.tokens[id];
  }

  isSpecial(id: number): boolean {
    return this.#addedById.get(id)?.special === true;
  }
}

/** Spellings that say by themselves what a special token is for, used where no file names it. */
const usualBeginnings: readonly string[] = ["<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>"];
const usualEnds: readonly string[] = ["</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"];
const usualPaddings: readonly string[] = ["<pad>", "[PAD]", "<|padding|>"];

/** Puts a special token at one end of a template, or takes it away, when a setting says so. */
function forceEdge(
  template: readonly TemplatePiece[],
  edge: "start" | "end",
  wanted: boolean | undefined,
  piece: TemplatePiece | undefined,
): readonly TemplatePiece[] {
  if (wanted === undefined || piece === undefined || piece.kind !== "special") return template;
  const present = edge === "start" ? template[0] : template.at(-1);
  const has =
    present?.kind === "special" && present.ids.length === 1 && present.ids[0] === piece.ids[0];
  if (has === wanted) return template;
  if (edge === "start") return wanted ? [piece, ...template] : template.slice(1);
  return wanted ? [...template, piece] : template.slice(0, -1);
}

/** A token that is found in normalized text is also written in it. */
function shownAs(token: AddedToken, { normalizer }: TokenizerParts): AddedToken {
  if (!token.normalized || normalizer === null) return token;
  return { ...token, content: normalizer.normalize(token.content) };
}

function addToken(raw: Raw, id: number, token: string, start: number, end: number): void {
  raw.ids.push(id);
  raw.tokens.push(token);
  raw.offsets.push([start, end]);
}

function cutRaw(raw: Raw, keep: number, direction: "Left" | "Right"): Raw {
  if (raw.ids.length <= keep) return raw;
  const from = direction === "Left" ? raw.ids.length - keep : 0;
  return {
    ids: raw.ids.slice(from, from + keep),
    tokens: raw.tokens.slice(from, from + keep),
    offsets: raw.offsets.slice(from, from + keep),
  };
}

function applyTemplate(template: readonly TemplatePiece[], raws: Record<"A" | "B", Raw>): Encoding {
  const ids: number[] = [];
  const tokens: string[] = [];
  const offsets: [number, number][] = [];
  const typeIds: number[] = [];
  const special: number[] = [];
  for (const piece of template) {
    const part: Raw =
      piece.kind === "text"
        ? raws[piece.sequence]
        : { ids: [...piece.ids], tokens: [...piece.tokens], offsets: [] };
    for (let i = 0; i < part.ids.length; i++) {
      ids.push(part.ids[i]!);
      tokens.push(part.tokens[i]!);
      offsets.push(part.offsets[i] ?? [0, 0]);
      typeIds.push(piece.typeId);
      special.push(piece.kind === "special" ? 1 : 0);
    }
  }
  return {
    ids: Int32Array.from(ids),
    tokens,
    offsets,
    typeIds: Int32Array.from(typeIds),
    attentionMask: new Int32Array(ids.length).fill(1),
    specialTokensMask: Int32Array.from(special),
  };
}

/** Converts offsets from UTF-16 units to code points, in place. */
function toCodePoints(offsets: [number, number][], text: string): void {
  const points = new Int32Array(text.length + 1);
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    points[i] = count;
    const isHigh = (text.charCodeAt(i) & 0xfc00) === 0xd800;
    const isPair = isHigh && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
    if (isPair) points[++i] = count;
    count++;
  }
  points[text.length] = count;
  for (const offset of offsets) {
    offset[0] = points[offset[0]]!;
    offset[1] = points[offset[1]]!;
  }
}

function characterUnits(text: string, at: number): number {
  return (text.charCodeAt(at) & 0xfc00) === 0xd800 ? 2 : 1;
}

/** Finds the character that holds a UTF-8 byte of a word. Questions come in ascending order, mostly. */
class BytePlaces {
  readonly #word: string;
  #unit = 0;
  #byte = 0;

  constructor(word: string) {
    this.#word = word;
  }

  /** The first UTF-16 unit of the character that holds byte `at`. */
  unitOf(at: number): number {
    if (at < this.#byte) {
      this.#unit = 0;
      this.#byte = 0;
    }
    for (;;) {
      const length = this.#lengthHere();
      if (
        at < this.#byte + length ||
        this.#unit + characterUnits(this.#word, this.#unit) >= this.#word.length
      ) {
        return this.#unit;
      }
      this.#byte += length;
      this.#unit += characterUnits(this.#word, this.#unit);
    }
  }

  #lengthHere(): number {
    const unit = this.#word.charCodeAt(this.#unit);
    return unit < 0x80 ? 1 : unit < 0x800 ? 2 : (unit & 0xfc00) === 0xd800 ? 4 : 3;
  }
}
