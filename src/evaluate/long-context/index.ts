/**
 * Evaluations of long contexts: grids of questions by length and difficulty, effective context limits.
 *
 * @module evaluate/long-context
 */
export {
  type BinomialInterval,
  binomialInterval,
  type EffectiveLimit,
  effectiveLimit,
  type LengthAccuracy,
} from "./accuracy.ts";
export { type EvaluateCompressedOptions, evaluateCompressed } from "./compressed-model.ts";
export { type EvaluateEndpointOptions, evaluateEndpoint } from "./endpoint-model.ts";
export type {
  AskingOptions,
  CellPlace,
  CellResult,
  PlannedCell,
  Question,
  QuestionScore,
} from "./evaluate-cells.ts";
export {
  type DifficultyLimit,
  type EvaluateGridOptions,
  type EvaluationReport,
  evaluateGrid,
  type GroupLimits,
  limitsOf,
  type MeasureGridOptions,
} from "./evaluate-grid.ts";
export {
  type AnswerOptions,
  type EvaluatedModel,
  type EvaluateLocallyOptions,
  evaluateLocally,
} from "./evaluated-model.ts";
export { formatEvaluation } from "./format-evaluation.ts";
export { formatPolicies } from "./format-policies.ts";
export { type EvaluatePasskeyOptions, evaluatePasskey } from "./passkey.ts";
export { renderContour } from "./render-contour.ts";
