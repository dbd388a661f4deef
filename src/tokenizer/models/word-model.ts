/**
 * What the kinds of tokenizer models have in common: they cut one word, a piece of text that
 * the pre-tokenizer has set apart, into tokens of a vocabulary.
 */
import type { PairTable } from "./pair-table.ts";
import type { TokenSink } from "./token-sink.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** How a byte-pair model cuts words, for questions about token sequences. */
export interface BytePairRules {
  /** (left id, right id) → rank, merged id. */
  readonly pairs: PairTable;
  /** True when the symbols are the bytes of a word, false when they are its characters. */
  readonly bytesAsSymbols: boolean;
  /** Id of the token of each single byte, -1 where absent; null where bytes are no symbols. */
  readonly byteIds: Int32Array | null;
  /** A word that is a token as a whole is not merged at all. */
  readonly ignoreMerges: boolean;
  /** True when symbols are written in the same way at every place of a word. */
  readonly isPlain: boolean;
}

export interface WordModel {
  readonly kind: "BPE" | "WordPiece" | "Unigram" | "WordLevel" | "LiB";
  readonly vocabulary: Vocabulary;
  /** The id for text outside the vocabulary, where there is one. */
  readonly unknownId: number | undefined;
  /** Whether an unknown token is shown as the text it stands for (Unigram) or as itself. */
  readonly unknownShowsText: boolean;
  /** Appends the tokens of `word` with their spans. `word` is well-formed and not empty. */
  encodeWord(word: string, sink: TokenSink): void;
  /**
   * A character before which a text may be cut without changing the result, unless the same
   * character stands before it: no merge crosses that boundary.
   */
  readonly cutBefore?: string;
  /** The merges of a byte-pair model. */
  readonly bytePairs?: BytePairRules;
  /** Strings that a split before the model sets apart as words, each one token: the first step is that split. */
  readonly symbols?: ReadonlyMap<string, number>;
}
