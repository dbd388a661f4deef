import { byteToCharacter, toWellFormed } from "../decoders/byte-alphabet.ts";
import {
  chooseNamed,
  chooseSpecials,
  createBeginning,
  createConfig,
  createJson,
  optionError,
  textError,
} from "../formats/tokenizer-file.ts";
import { writeWhole } from "../formats/tokenizer-files.ts";
import { readTokenizerSettings } from "../formats/tokenizer-settings.ts";
import { byteToken, metaspace, utf8Bytes } from "../models/byte-pair-model.ts";
import { IntegerList } from "../models/token-sink.ts";
import { maxId } from "../models/vocabulary.ts";
import { readNormalizer } from "../normalizers/normalizers.ts";
import { readPreTokenizer } from "../pre-tokenizers/pre-tokenizers.ts";
import { type KnownPattern, knownPatterns } from "../pre-tokenizers/scanners.ts";
import { createTokenizer, type Tokenizer } from "../tokenizer.ts";
import { throwIfAborted, trainBytePairs } from "./byte-pair-trainer.ts";
import { trainUnigram } from "./unigram-trainer.ts";
import { WordCounter } from "./word-counter.ts";

/** The kinds of tokenizers that can be trained. */
export const trainableKinds = [
  "byte-level-bpe",
  "byte-fallback-bpe",
  "wordpiece",
  "unigram",
] as const;

export type TrainableKind = (typeof trainableKinds)[number];

export interface TrainTokenizerOptions {
  /**
   * `byte-level-bpe`: GPT-2's way, any text without loss. `byte-fallback-bpe`: Llama 2's, characters
   * with bytes for the rare ones. `wordpiece`: BERT's. `unigram`: SentencePiece's, with byte fallback.
   */
  kind: TrainableKind;
  /** Number of tokens, special tokens and alphabet included. May end lower when the text is small. */
  vocabSize: number;
  /** The texts. Only their word counts are kept, so the stream may be larger than memory. */
  texts: AsyncIterable<string> | Iterable<string>;
  /** Special tokens in order of their ids, from 0. Default: those that the kind needs. */
  specialTokens?: readonly string[];
  /** Pairs rarer than this are not merged (BPE and WordPiece). Default 2. */
  minFrequency?: number;
  /** Longest token in characters (bytes for byte-level BPE). Default: 16 for Unigram, else unlimited. */
  maxTokenLength?: number;
  /** Most characters in the alphabet, commonest first (not for byte-level BPE). Default 1,000 to 10,000. */
  maxAlphabet?: number;
  /** How byte-level BPE cuts text before merging: a known pattern or a regular expression. Default `gpt2`. */
  pattern?: KnownPattern | { readonly regex: string };
  /** Unicode normal form. Default none (WordPiece: BERT's own normalization). */
  normalization?: "NFC" | "NFD" | "NFKC" | "NFKD";
  /** Lower case, and accents removed, for WordPiece. Default true. */
  lowercase?: boolean;
  /** Cuts digits apart (byte-fallback BPE and Unigram). Default false. */
  splitDigits?: boolean;
  /** Token that begins every text; it must be among the special tokens. Default: `<s>` where the kind has it. */
  bosToken?: string | null;
  /** Token that ends a document; named in the configuration, not added to texts. */
  eosToken?: string | null;
  /** Unigram: most substrings to start from. Default 1,000,000. */
  seedSize?: number;
  onProgress?: (progress: TrainTokenizerProgress) => void;
  signal?: AbortSignal;
}

export interface TrainTokenizerProgress {
  phase: "counting" | "merging" | "pruning";
  /** Texts read, or tokens in the vocabulary. */
  done: number;
  /** Tokens wanted; undefined while counting. */
  total: number | undefined;
}

/** A trained tokenizer. */
export interface TrainedTokenizer {
  /** Contents of `tokenizer.json`. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Contents of `tokenizer_config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tokenizer: Tokenizer;
  /** Texts read, distinct words among them, and all words. */
  readonly texts: number;
  readonly distinctWords: number;
  readonly words: number;
}

/** How often the loop over the texts lets other work go on, in UTF-16 units. */
const breath = 1 << 22;

/**
 * Trains a tokenizer. Deterministic: the same texts in the same order give the same file.
 *
 * Throws `tokenizer-training-option` for an impossible option, `tokenizer-training-text` when a text
 * is not a string or all are empty, `aborted` when the signal says so.
 */
export async function trainTokenizer(options: TrainTokenizerOptions): Promise<TrainedTokenizer> {
  const scheme = planScheme(options);
  const counter = new WordCounter(
    readNormalizer(scheme.normalizer, "normalizer"),
    readPreTokenizer(scheme.preTokenizer, "pre_tokenizer", options.kind === "byte-level-bpe").steps,
  );
  let texts = 0;
  let units = 0;
  for await (const text of options.texts) {
    if (texts === 0) throwIfAborted(options.signal);
    if (typeof text !== "string") throw textError(`text ${texts} is a ${typeof text}`);
    counter.add(toWellFormed(text));
    texts++;
    units += text.length;
    if (units >= breath) {
      units = 0;
      throwIfAborted(options.signal);
      options.onProgress?.({ phase: "counting", done: texts, total: undefined });
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }
  if (counter.size === 0) throw textError("the texts hold no word");
  const model = trainModel(options, scheme, counter);
  const json = createJson(scheme.specialTokens, {
    normalizer: scheme.normalizer,
    pre_tokenizer: scheme.preTokenizer,
    post_processor: scheme.postProcessor,
    decoder: scheme.decoder,
    model,
  });
  const { config } = scheme;
  let words = 0;
  for (let i = 0; i < counter.size; i++) words += counter.counts[i]!;
  return {
    json,
    config,
    tokenizer: createTokenizer(json, readTokenizerSettings({ config })),
    texts,
    distinctWords: counter.size,
    words,
  };
}

/**
 * Writes `tokenizer.json` and `tokenizer_config.json` into a folder, each whole or not at all
 * (temporary file, fsync, rename). The folder is created where needed.
 */
export async function saveTokenizer(
  folder: string,
  trained: Pick<TrainedTokenizer, "json" | "config">,
): Promise<void> {
  const { join } = await import("node:path");
  const files = { "tokenizer_config.json": trained.config, "tokenizer.json": trained.json };
  for (const [name, content] of Object.entries(files)) {
    await writeWhole(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
  }
}

/** Everything of the file but the model and the ids. */
interface Scheme {
  readonly specialTokens: readonly string[];
  readonly unknownToken: string | undefined;
  readonly normalizer: unknown;
  readonly preTokenizer: unknown;
  readonly postProcessor: unknown;
  readonly decoder: unknown;
  readonly config: Record<string, unknown>;
}

function planScheme(options: TrainTokenizerOptions): Scheme {
  const { kind, vocabSize } = options;
  if (!trainableKinds.includes(kind)) throw optionError("kind", kind, trainableKinds.join(" or "));
  checkCount("vocabSize", vocabSize, 1, maxId);
  checkCount("minFrequency", options.minFrequency ?? 2, 0, Number.MAX_SAFE_INTEGER);
  checkCount("maxTokenLength", options.maxTokenLength ?? 16, 1, 1_000_000);
  checkCount("maxAlphabet", options.maxAlphabet ?? 1000, 1, maxId);
  checkCount("seedSize", options.seedSize ?? 1_000_000, 1, 10_000_000);
  switch (kind) {
    case "byte-level-bpe":
      return planByteLevel(options);
    case "wordpiece":
      return planWordPiece(options);
    case "byte-fallback-bpe":
    case "unigram":
      return planMetaspace(options);
  }
}

function checkCount(name: string, value: number, minimum: number, maximum: number): void {
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw optionError(name, value, `an integer from ${minimum} to ${maximum}`);
  }
}

function sequenceOf(key: string, parts: readonly unknown[]): unknown {
  if (parts.length < 2) return parts[0] ?? null;
  return { type: "Sequence", [key]: parts };
}

function planByteLevel(options: TrainTokenizerOptions): Scheme {
  const specialTokens = chooseSpecials(options.specialTokens, ["<|endoftext|>"]);
  const beginning = chooseNamed("bosToken", options.bosToken, "<s>", specialTokens);
  const end = chooseNamed("eosToken", options.eosToken, "<|endoftext|>", specialTokens);
  const pattern = options.pattern ?? "gpt2";
  const byteLevel = (useRegex: boolean): unknown => ({
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: useRegex,
  });
  let preTokenizer = byteLevel(true);
  if (pattern !== "gpt2") {
    const regex = typeof pattern === "string" ? knownPatterns[pattern] : pattern.regex;
    if (regex === undefined) throw optionError("pattern", pattern, "a known pattern");
    preTokenizer = sequenceOf("pretokenizers", [
      { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
      byteLevel(false),
    ]);
  }
  return {
    specialTokens,
    unknownToken: undefined,
    normalizer: options.normalization === undefined ? null : { type: options.normalization },
    preTokenizer,
    postProcessor: createBeginning(beginning, specialTokens),
    decoder: byteLevel(true),
    config: createConfig({ bos_token: beginning, eos_token: end }),
  };
}

function planMetaspace(options: TrainTokenizerOptions): Scheme {
  const specialTokens = chooseSpecials(options.specialTokens, ["<unk>", "<s>", "</s>"]);
  const unknown = chooseNamed("specialTokens", "<unk>", "<unk>", specialTokens);
  const beginning = chooseNamed("bosToken", options.bosToken, "<s>", specialTokens);
  const end = chooseNamed("eosToken", options.eosToken, "</s>", specialTokens);
  // As in Llama 2: one space is put in front, so that nothing is lost where the text begins with one.
  const normalizers: unknown[] = [
    { type: "Prepend", prepend: metaspace },
    { type: "Replace", pattern: { String: " " }, content: metaspace },
  ];
  if (options.normalization !== undefined) normalizers.unshift({ type: options.normalization });
  const words = {
    type: "Split",
    pattern: { Regex: knownPatterns.metaspace },
    behavior: "Isolated",
    invert: false,
  };
  const digits = { type: "Digits", individual_digits: true };
  return {
    specialTokens,
    unknownToken: unknown,
    normalizer: sequenceOf("normalizers", normalizers),
    preTokenizer: sequenceOf(
      "pretokenizers",
      options.splitDigits === true ? [words, digits] : [words],
    ),
    postProcessor: createBeginning(beginning, specialTokens),
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: metaspace }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    config: createConfig({ bos_token: beginning, eos_token: end, unk_token: unknown }),
  };
}

function planWordPiece(options: TrainTokenizerOptions): Scheme {
  const usual = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const specialTokens = chooseSpecials(options.specialTokens, usual);
  const unknown = chooseNamed("specialTokens", "[UNK]", "[UNK]", specialTokens);
  const lowercase = options.lowercase ?? true;
  const bert = {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase,
  };
  const classified = specialTokens.includes("[CLS]") && specialTokens.includes("[SEP]");
  return {
    specialTokens,
    unknownToken: unknown,
    normalizer: sequenceOf(
      "normalizers",
      options.normalization === undefined ? [bert] : [{ type: options.normalization }, bert],
    ),
    preTokenizer: { type: "BertPreTokenizer" },
    postProcessor: classified
      ? {
          type: "BertProcessing",
          sep: ["[SEP]", specialTokens.indexOf("[SEP]")],
          cls: ["[CLS]", specialTokens.indexOf("[CLS]")],
        }
      : null,
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    config: {
      ...createConfig({
        unk_token: unknown,
        pad_token: specialTokens.includes("[PAD]") ? "[PAD]" : undefined,
        cls_token: classified ? "[CLS]" : undefined,
        sep_token: classified ? "[SEP]" : undefined,
      }),
      do_lower_case: lowercase,
    },
  };
}

const allBytes: readonly string[] = Array.from({ length: 256 }, (_, byte) => byteToken(byte));

function trainModel(
  options: TrainTokenizerOptions,
  scheme: Scheme,
  counter: WordCounter,
): Record<string, unknown> {
  switch (options.kind) {
    case "byte-level-bpe":
      return trainByteLevel(options, scheme, counter);
    case "byte-fallback-bpe":
      return trainByteFallback(options, scheme, counter);
    case "wordpiece":
      return trainWordPiece(options, scheme, counter);
    case "unigram":
      return trainUnigramModel(options, scheme, counter);
  }
}

/**
 * Runs the merges over words given as symbols: the first tokens, then the alphabet. Where a word has
 * undefined, a character without a symbol, nothing merges across it.
 */
function runMerges(
  options: TrainTokenizerOptions,
  counter: WordCounter,
  firstTokens: readonly string[],
  alphabet: readonly string[],
  readWord: (word: string) => Iterable<number | undefined>,
  continuingPrefix = "",
): ReturnType<typeof trainBytePairs> {
  const start = firstTokens.length + alphabet.length;
  if (start > options.vocabSize) {
    throw optionError(
      "vocabSize",
      options.vocabSize,
      `at least ${start}: ${firstTokens.length} tokens and an alphabet of ${alphabet.length}`,
    );
  }
  const symbols = new IntegerList(1 << 16);
  const starts = new IntegerList(counter.size + 1);
  const counts: number[] = [];
  const word: number[] = [];
  const flush = (count: number): void => {
    if (word.length > 1) {
      starts.push(symbols.length);
      counts.push(count);
      for (const symbol of word) symbols.push(symbol);
    }
    word.length = 0;
  };
  for (const [text, count] of counter.words()) {
    for (const symbol of readWord(text)) {
      if (symbol === undefined) flush(count);
      else word.push(symbol);
    }
    flush(count);
  }
  starts.push(symbols.length);
  const total = options.vocabSize;
  return trainBytePairs({
    symbols: symbols.toArray(),
    starts: starts.toArray(),
    counts: Float64Array.from(counts),
    tokens: [...firstTokens, ...alphabet],
    vocabSize: total,
    minFrequency: options.minFrequency ?? 2,
    continuingPrefix,
    ...(options.maxTokenLength === undefined ? {} : { maxTokenLength: options.maxTokenLength }),
    onProgress: (done) => options.onProgress?.({ phase: "merging", done, total }),
    signal: options.signal,
  });
}

function toVocabulary(tokens: readonly string[]): Record<string, number> {
  // Without a prototype, so that a token named `__proto__` is a key like any other.
  const vocabulary = Object.create(null) as Record<string, number>;
  for (const [id, token] of tokens.entries()) vocabulary[token] = id;
  return vocabulary;
}

function trainByteLevel(
  options: TrainTokenizerOptions,
  scheme: Scheme,
  counter: WordCounter,
): Record<string, unknown> {
  const alphabet = [...byteToCharacter].sort();
  const first = scheme.specialTokens.length;
  const symbolOfByte = byteToCharacter.map((character) => first + alphabet.indexOf(character));
  const clash = scheme.specialTokens.find((token) => alphabet.includes(token));
  if (clash !== undefined) throw optionError("specialTokens", clash, "no token of the alphabet");
  const { tokens, merges } = runMerges(options, counter, scheme.specialTokens, alphabet, (word) =>
    utf8Bytes(word).map((byte) => symbolOfByte[byte]),
  );
  return {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: toVocabulary(tokens),
    merges: merges.map(([left, right]) => [tokens[left]!, tokens[right]!]),
  };
}

/** The commonest characters of the words, at most `most`, by code point. */
function chooseAlphabet(
  counter: WordCounter,
  most: number,
  excluded: ReadonlySet<string>,
): string[] {
  const frequencies = new Map<string, number>();
  for (const [word, count] of counter.words()) {
    for (const character of word) {
      frequencies.set(character, (frequencies.get(character) ?? 0) + count);
    }
  }
  const codePoint = (character: string): number => character.codePointAt(0)!;
  return [...frequencies]
    .filter(([character]) => !excluded.has(character))
    .sort((a, b) => b[1] - a[1] || codePoint(a[0]) - codePoint(b[0]))
    .slice(0, most)
    .map(([character]) => character)
    .sort((a, b) => codePoint(a) - codePoint(b));
}

/** Space for the alphabet where no limit is given: half of what special tokens and bytes leave. */
function alphabetLimit(options: TrainTokenizerOptions, reserved: number): number {
  const half = Math.max(1, Math.floor((options.vocabSize - reserved) / 2));
  return options.maxAlphabet ?? Math.min(10_000, half);
}

function trainByteFallback(
  options: TrainTokenizerOptions,
  scheme: Scheme,
  counter: WordCounter,
): Record<string, unknown> {
  const first = [...scheme.specialTokens, ...allBytes];
  const limit = alphabetLimit(options, first.length);
  const alphabet = chooseAlphabet(counter, limit, new Set(first));
  const symbolOf = new Map(alphabet.map((character, i) => [character, first.length + i]));
  const { tokens, merges } = runMerges(options, counter, first, alphabet, (word) =>
    Array.from(word, (character) => symbolOf.get(character)),
  );
  return {
    type: "BPE",
    dropout: null,
    unk_token: scheme.unknownToken ?? null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: true,
    ignore_merges: false,
    vocab: toVocabulary(tokens),
    merges: merges.map(([left, right]) => [tokens[left]!, tokens[right]!]),
  };
}

function trainWordPiece(
  options: TrainTokenizerOptions,
  scheme: Scheme,
  counter: WordCounter,
): Record<string, unknown> {
  const prefix = "##";
  const specials = new Set(scheme.specialTokens);
  const limit = alphabetLimit(options, specials.size);
  const characters = chooseAlphabet(counter, limit, specials);
  const known = new Set(characters);
  // Continuations that occur, in the order of the characters.
  const continuing = new Set<string>();
  for (const [word] of counter.words()) {
    let first = true;
    for (const character of word) {
      if (!first && known.has(character)) continuing.add(prefix + character);
      first = false;
    }
  }
  const alphabet = [
    ...characters,
    ...characters.map((character) => prefix + character).filter((token) => continuing.has(token)),
  ];
  const symbolOf = new Map(alphabet.map((token, i) => [token, specials.size + i]));
  const { tokens } = runMerges(
    options,
    counter,
    scheme.specialTokens,
    alphabet,
    (word) =>
      Array.from(word, (character, i) => symbolOf.get(i === 0 ? character : prefix + character)),
    prefix,
  );
  return {
    type: "WordPiece",
    unk_token: scheme.unknownToken ?? "[UNK]",
    continuing_subword_prefix: prefix,
    max_input_chars_per_word: 100,
    vocab: toVocabulary(tokens),
  };
}

function trainUnigramModel(
  options: TrainTokenizerOptions,
  scheme: Scheme,
  counter: WordCounter,
): Record<string, unknown> {
  const reserved = [...scheme.specialTokens, ...allBytes];
  const excluded = new Set(reserved);
  const limit = alphabetLimit(options, reserved.length);
  const alphabet = new Set(chooseAlphabet(counter, limit, excluded));
  if (reserved.length + alphabet.size > options.vocabSize) {
    throw optionError(
      "vocabSize",
      options.vocabSize,
      `at least ${reserved.length + alphabet.size}: special tokens, bytes and an alphabet`,
    );
  }
  // Rare characters break words: they become bytes.
  const words: [string, number][] = [];
  for (const [word, count] of counter.words()) {
    let part = "";
    for (const character of word) {
      if (alphabet.has(character)) {
        part += character;
      } else {
        if (part !== "") words.push([part, count]);
        part = "";
      }
    }
    if (part !== "") words.push([part, count]);
  }
  const pieces = trainUnigram({
    words,
    pieceCount: options.vocabSize - reserved.length,
    requiredCharacters: [],
    maxPieceLength: options.maxTokenLength ?? 16,
    seedSize: options.seedSize ?? 1_000_000,
    shrinkingFactor: 0.75,
    rounds: 2,
    onProgress: (done) =>
      options.onProgress?.({ phase: "pruning", done, total: options.vocabSize }),
    signal: options.signal,
  });
  // Text that spells a special token or a byte must never be cheaper as that token.
  const floor = pieces.reduce((least, [, score]) => Math.min(least, score), 0) - 100;
  const vocab: [string, number][] = [
    ...reserved.map((token): [string, number] => [token, Math.floor(floor)]),
    ...pieces
      .filter(([text]) => !excluded.has(text))
      // Parsers that are not exact to the last bit still read twelve digits alike.
      .map(([text, score]): [string, number] => [text, Number(score.toPrecision(12))]),
  ];
  return {
    type: "Unigram",
    unk_id: scheme.unknownToken === undefined ? null : reserved.indexOf(scheme.unknownToken),
    vocab,
    byte_fallback: true,
  };
}
