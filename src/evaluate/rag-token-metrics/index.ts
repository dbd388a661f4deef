/**
 * RAG token metrics: whether retrieval returns exactly the passages that were needed.
 *
 * @module evaluate/rag-token-metrics
 */
export type { Chunker } from "./chunkers/chunker.ts";
export {
  createCharacterChunker,
  createSentenceChunker,
  createTokenChunker,
  type FixedChunkerOptions,
} from "./chunkers/fixed.ts";
export { createRecursiveChunker, type RecursiveChunkerOptions } from "./chunkers/recursive.ts";
export {
  createBreakpointChunker,
  createClusterChunker,
  type EmbedTexts,
  type SemanticChunkerOptions,
} from "./chunkers/semantic.ts";
export {
  bm25Retriever,
  type Chunk,
  type ChunkingEvaluation,
  type ChunkingScores,
  type ChunkRetriever,
  type EvaluateChunkingOptions,
  evaluateChunking,
  type MeanAndDeviation,
  type RetrieveChunks,
} from "./evaluate-chunking.ts";
export type { Interval } from "./intervals.ts";
export { characterPositions, type PositionMap, tokenPositions } from "./positions.ts";
export {
  type CorpusRange,
  precisionOmega,
  type RangeScores,
  type ScoreRangesOptions,
  scoreRanges,
} from "./rag-token-metrics.ts";
export { readSpanQuestions, type SpanQuestion } from "./read-questions.ts";
