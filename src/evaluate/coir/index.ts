/**
 * CoIR: code retrieval, one protocol over ten sets.
 *
 * @module evaluate/coir
 */

export {
  createBm25Ranker,
  createRandomRanker,
  createTfIdfRanker,
  createTrigramRanker,
  createVectorRanker,
  type RankDocuments,
  type RankedDocument,
  type Ranker,
} from "../ranking/rankers.ts";
export {
  averageNdcg,
  type EvaluateSetOptions,
  evaluateSet,
  type SetEvaluation,
} from "./coir.ts";
export { type ReadCoirSetOptions, readCoirSet } from "./read-set.ts";
export { type CoirGroup, type CoirSet, type CoirTask, type CoirText, coirTasks } from "./tasks.ts";
