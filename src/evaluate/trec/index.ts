/**
 * Retrieval measures as trec_eval gives them: nDCG, MRR, MAP, recall, precision, success.
 *
 * @module evaluate/trec
 */
export { type CompareRunsOptions, compareRuns, type RunComparison } from "./compare-runs.ts";
export {
  type EvaluateRunOptions,
  type Evaluation,
  evaluateRun,
  type MeanEvaluation,
  type QueryEvaluation,
} from "./evaluate-run.ts";
export type { MeasureName } from "./measures.ts";
export {
  formatRun,
  type Judgments,
  parseJudgments,
  parseRun,
  type Run,
  rankDocuments,
} from "./trec-files.ts";
