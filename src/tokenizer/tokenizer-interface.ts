/** What a tokenizer offers: its options, its results and its methods. */
import type { TokenizerSettings } from "./formats/tokenizer-settings.ts";
import type { WordModel } from "./models/word-model.ts";

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

/** Options of `encodeIds`. */
export interface EncodeIdsOptions extends SpecialTextOptions {
  /** Whether the file's template puts its special tokens around the text. Default true. */
  addSpecialTokens?: boolean;
  /** A second text, for templates of two. */
  pair?: string;
  /** Whether truncation and padding apply as the file sets them; `"truncation"`: that alone. Default true. */
  applyLimits?: boolean | "truncation";
  /**
   * Cuts the text to this many tokens, those of the template included; of a pair the longer text first.
   * Holds in place of the file's truncation. Default: none.
   */
  maxLength?: number;
}

/** Options of `encode`. */
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

/** Options of `decode` and `streamDecoder`. */
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
  /** Returns the text that was held back. The decoder must not be used afterwards. */
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
  /** Id of the token that begins texts; undefined where there is none. */
  readonly bosTokenId: number | undefined;
  /** Id of the token that ends texts; undefined where there is none. */
  readonly eosTokenId: number | undefined;
  /** Id of the padding token; undefined where there is none. */
  readonly padTokenId: number | undefined;
  /** Id of the token for unknown text; undefined where there is none. */
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
  /** Id of a token by its content; undefined where there is none. */
  tokenToId(token: string): number | undefined;
  /** Content of a token; undefined for an id outside the vocabulary. */
  idToToken(id: number): string | undefined;
  /** True for special tokens, which `decode` leaves out by default. */
  isSpecial(id: number): boolean;
}
