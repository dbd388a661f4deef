/**
 * The tokenizer: text → ids with offsets, ids → text.
 *
 * Two paths lead from text to ids. The plain one works on strings alone and looks words up in a
 * cache without copying them; the aligned one carries the place of every character through each
 * step, for offsets. They share every decision (splits, models, added tokens) and give the same ids.
 */
import type { AddedToken } from "./added-tokens.ts";
import {
  checkDecodeNames,
  checkEncodeNames,
  checkIds,
  checkOffsetUnit,
  checkText,
} from "./check-input.ts";
import { toWellFormed } from "./decoders/byte-alphabet.ts";
import { cleanUpSpaces, createDecoding } from "./decoders/decoders.ts";
import { createQuickDecoder, type QuickDecoder } from "./decoders/quick-decoder.ts";
import { AlignedEncoder } from "./encoding/aligned-encoder.ts";
import { PlainEncoder } from "./encoding/plain-encoder.ts";
import { createSpecialPolicy } from "./encoding/special-policy.ts";
import { createTextPipeline, type TextPipeline } from "./encoding/text-pipeline.ts";
import { readTokenizerJson, type TokenizerParts } from "./formats/tokenizer-json.ts";
import type { TokenizerSettings } from "./formats/tokenizer-settings.ts";
import { IntegerList } from "./models/token-sink.ts";
import type { WordModel } from "./models/word-model.ts";
import { toCodePoints } from "./normalizers/byte-places.ts";
import { padEncodings } from "./post-processors/padding.ts";
import { type TemplatePiece, trimOffsets } from "./post-processors/post-processors.ts";
import { applyTemplate, forceEdge, type Raw } from "./post-processors/template.ts";
import { truncateTexts } from "./post-processors/truncation.ts";
import type {
  DecodeOptions,
  EncodeIdsOptions,
  EncodeOptions,
  Encoding,
  StreamDecoder,
  Tokenizer,
} from "./tokenizer-interface.ts";

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

const partsByTokenizer = new WeakMap<Tokenizer, TokenizerParts>();

/** The parts that a tokenizer was made of; undefined for an object of another making. */
export function partsOf(tokenizer: Tokenizer): TokenizerParts | undefined {
  return partsByTokenizer.get(tokenizer);
}

/** Marks a call without options, whose names need no check. */
const noOptions = {};

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
  readonly #single: readonly TemplatePiece[];
  readonly #pair: readonly TemplatePiece[];
  readonly #pipeline: TextPipeline;
  readonly #plain: PlainEncoder;
  readonly #aligned: AlignedEncoder;
  readonly #addedById: ReadonlyMap<number, AddedToken>;
  readonly #addedByContent: ReadonlyMap<string, AddedToken>;
  /** The plain path cannot know whether a piece begins the text once a normalizer has dropped some. */
  readonly #needsAlignment: boolean;
  readonly #list: IntegerList = new IntegerList(1024);
  readonly #quick: QuickDecoder | null;

  constructor(parts: TokenizerParts, settings: TokenizerSettings) {
    const { model, addedTokens } = parts;
    this.#parts = parts;
    partsByTokenizer.set(this, parts);
    this.settings = settings;
    this.kind = model.kind;
    this.#pipeline = createTextPipeline(parts);
    this.#plain = new PlainEncoder(this.#pipeline, this.#list);
    this.#aligned = new AlignedEncoder(this.#pipeline);
    this.#needsAlignment =
      parts.normalizer !== null &&
      parts.steps.some((step) => step.kind === "rewrite" && step.dependsOnStart);
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

  encodeIds(text: string, options: EncodeIdsOptions = noOptions): Int32Array {
    checkText(text);
    if (options !== noOptions) checkEncodeNames(options);
    const { truncation, padding } = this.#parts;
    const limited =
      options.maxLength !== undefined ||
      (options.applyLimits !== false && truncation !== null) ||
      ((options.applyLimits ?? true) === true && padding !== null);
    if (options.pair !== undefined || limited || this.#needsAlignment) {
      return this.encode(text, options).ids;
    }
    const list = this.#list;
    list.length = 0;
    const policy = options.allowedSpecial === undefined ? null : createSpecialPolicy(options);
    const wellFormed = toWellFormed(text);
    for (const piece of this.#single) {
      if (piece.kind === "text") this.#plain.append(wellFormed, policy);
      else if (options.addSpecialTokens !== false) for (const id of piece.ids) list.push(id);
    }
    this.#pipeline.cache.release();
    return list.toArray();
  }

  countTokens(text: string, options: EncodeIdsOptions = {}): number {
    return this.encodeIds(text, options).length;
  }

  encode(text: string, options: EncodeOptions = {}): Encoding {
    return this.encodeBatch([text], options)[0]!;
  }

  encodeBatch(texts: readonly string[], options: EncodeOptions = {}): Encoding[] {
    checkEncodeNames(options);
    const encodings = texts.map((text) => this.#encodeOne(text, options));
    const { padding } = this.#parts;
    if (padding === null || (options.applyLimits ?? true) !== true) return encodings;
    return padEncodings(encodings, padding);
  }

  #truncation({ maxLength, applyLimits }: EncodeIdsOptions): TokenizerParts["truncation"] {
    if (maxLength !== undefined) return { maxLength, strategy: "LongestFirst", direction: "Right" };
    return applyLimits === false ? null : this.#parts.truncation;
  }

  #encodeOne(text: string, options: EncodeOptions): Encoding {
    checkText(text);
    if (options.pair !== undefined) checkText(options.pair, "pair");
    checkOffsetUnit(options.offsetUnit);
    const addSpecial = options.addSpecialTokens !== false;
    const isPair = options.pair !== undefined;
    const template = isPair ? this.#pair : this.#single;
    // Without its special tokens a template still orders the texts and numbers them.
    const whole = addSpecial ? template : template.filter((piece) => piece.kind === "text");
    const raws: Record<"A" | "B", Raw> = {
      A: this.#aligned.encode(text, options),
      B: isPair
        ? this.#aligned.encode(options.pair!, options)
        : { ids: [], tokens: [], offsets: [] },
    };
    const truncation = this.#truncation(options);
    if (truncation !== null) truncateTexts(raws, whole, truncation, isPair);
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

  // Ids to text.

  decode(ids: ArrayLike<number>, options: DecodeOptions = noOptions): string {
    checkIds(ids);
    if (options !== noOptions) checkDecodeNames(options);
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

/** Usual spellings of special tokens, used where no file names them. */
const usualBeginnings: readonly string[] = ["<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>"];

const usualEnds: readonly string[] = ["</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"];

const usualPaddings: readonly string[] = ["<pad>", "[PAD]", "<|padding|>"];

/**
 * A token that is found in normalized text is also written in it, as in the native library from 0.23 on; 0.22 wrote it as
 * it was added (`findings/tokenizers-added-names.sh`).
 */
function shownAs(token: AddedToken, { normalizer }: TokenizerParts): AddedToken {
  if (!token.normalized || normalizer === null) return token;
  return { ...token, content: normalizer.normalize(token.content) };
}
