/** What training a tokenizer is asked for, reports and returns. */
import type { KnownPattern } from "../pre-tokenizers/scanners.ts";
import type { Tokenizer } from "../tokenizer-interface.ts";

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
