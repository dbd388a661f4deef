/**
 * Lexical search and similarity: analyzers, BM25, character n-grams, MinHash.
 *
 * @module lexical
 */
export {
  type Analyzer,
  type AnalyzerOptions,
  analyze,
  createAnalyzer,
  type TextTerm,
} from "./analysis/analyzer.ts";
export { stemEnglish } from "./analysis/english-stemmer.ts";
export { englishStopWords } from "./analysis/stop-words.ts";
export {
  type Bm25Hit,
  type Bm25Index,
  type Bm25Options,
  type Bm25SearchOptions,
  createBm25Index,
} from "./bm25.ts";
export {
  type Bm25Formula,
  type Bm25FormulaOptions,
  type Bm25Saturation,
  type Bm25VariantName,
  type Bm25Weight,
  bm25Variants,
  resolveBm25Formula,
  weightOfTerm,
} from "./bm25-formula.ts";
export {
  countQueryTerms,
  type QueryTerms,
  ScoreAccumulator,
  type WeightedTerm,
  weighTerms,
} from "./bm25-scoring.ts";
export { type CharacterNgramOptions, characterNgrams, compareBags } from "./character-ngrams.ts";
export {
  createMinHash,
  createMinHashIndex,
  estimateJaccard,
  type MinHash,
  type MinHashIndex,
  type MinHashIndexOptions,
  type MinHashOptions,
} from "./min-hash.ts";
export {
  IndexedPostings,
  type PostingArrays,
  type PostingList,
  type Postings,
  PostingsBuilder,
} from "./postings.ts";
export { compareUtf8, TopSelector } from "./ranking.ts";
