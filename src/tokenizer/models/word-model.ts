/**
 * What the kinds of tokenizer models have in common: they cut one word, a piece of text that
 * the pre-tokenizer has set apart, into tokens of a vocabulary.
 */
import type { TokenSink } from "./token-sink.ts";
import type { Vocabulary } from "./vocabulary.ts";

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
}
