/** Data mixture inference: what a byte-pair tokenizer's merges say about its training data. */
export {
  type CategoryShare,
  type InferMixtureOptions,
  type InferredMixture,
  inferMixture,
  type MergeViolation,
  type MixtureCategory,
  type MixtureProgress,
  type PairViolation,
} from "./data-mixture-inference.ts";
export {
  loadMergeList,
  type MergeList,
  type ReadMergeListOptions,
  readMergeList,
  type WordCollector,
} from "./merge-list.ts";
export { readSampleFolder } from "./read-samples.ts";
