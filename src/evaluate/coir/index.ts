/**
 * CoIR: code retrieval, one protocol over ten sets.
 *
 * @module evaluate/coir
 */
export {
  averageNdcg,
  type EvaluateSetOptions,
  evaluateSet,
  type SetEvaluation,
} from "./coir.ts";
export {
  createBm25Ranker,
  createRandomRanker,
  createTfIdfRanker,
  createTrigramRanker,
  createVectorRanker,
  type RankDocuments,
  type RankedDocument,
  type Ranker,
} from "./rankers.ts";
export { type ReadCoirSetOptions, readCoirSet } from "./read-set.ts";
export { type CoirGroup, type CoirSet, type CoirTask, type CoirText, coirTasks } from "./tasks.ts";
