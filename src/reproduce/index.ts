/**
 * Reproductions: claims of papers, measured here, judged by numbers, recorded.
 *
 * @module reproduce
 */

export {
  type Claim,
  defineReproduction,
  type Measurement,
  type Reproduction,
  type ReproductionContext,
} from "./define-reproduction.ts";
export { describeMachine, type Machine } from "./machine.ts";
export {
  type Axis,
  checkPlotPackages,
  type Panel,
  type Plot,
  type PlotPoint,
  renderClaims,
  renderPlot,
  type Series,
} from "./plot.ts";
export { recordResult } from "./record.ts";
export { type FormatResultOptions, formatResult } from "./report.ts";
export {
  type ClaimResult,
  type MissingFile,
  type ReproductionResult,
  type RunReproductionOptions,
  runReproduction,
} from "./run-reproduction.ts";
export {
  type ResumableTraining,
  type TrainResumablyOptions,
  trainResumably,
} from "./train-resumably.ts";
export { effectOf, judge, type Verdict } from "./verdict.ts";
