/** Dynamic tokenization: boundaries that follow the text, rows of new tokens computed on the fly. */
export {
  createDirectionIndex,
  type DirectionIndex,
  type DirectionIndexOptions,
  type FoundTokens,
  type SearchOptions,
  searchExactly,
} from "./direction-index.ts";
export {
  type ContinuationQuestion,
  type DynamicModel,
  type OpenDynamicModelOptions,
  openDynamicModel,
  type ScoredContinuations,
} from "./dynamic-model.ts";
export {
  type GenerateLargeOptions,
  type GenerateLargeResult,
  generateLarge,
  type LargeToken,
} from "./generate-large.ts";
export {
  type GrowVocabularyOptions,
  growVocabulary,
  type LargeVocabulary,
  type MakeLargeVocabularyOptions,
  makeLargeVocabulary,
} from "./large-vocabulary.ts";
export {
  type DynamicToken,
  type MergeBatchOptions,
  type MergedBatch,
  mergeBatch,
  mergesForReduction,
} from "./merge-batch.ts";
export { type CutByMergingOptions, cutByMerging } from "./merged-texts.ts";
export { type CacheUse, RowCache } from "./row-cache.ts";
