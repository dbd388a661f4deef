/**
 * Reproductions: claims of papers, measured here, judged by numbers, recorded.
 *
 * @module reproduce
 */

export { collectCode, digestCode } from "./code-digest.ts";
export {
  type Claim,
  defineReproduction,
  type Measurement,
  type PaperFigure,
  type Reproduction,
  type ReproductionContext,
  type Thresholds,
} from "./define-reproduction.ts";
export { describeMachine, type Machine, type MachineLoad, sampleLoad } from "./machine.ts";
export { measuredMarks, measuredTable } from "./measured-table.ts";
export type { MissingFile } from "./open-context.ts";
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
export { halfOf } from "./quick-thresholds.ts";
export { rankCorrelation } from "./rank-correlation.ts";
export { checkLoad, recordResult, speedClaims, withoutLoadedSpeed } from "./record.ts";
export { type FormatResultOptions, formatResult } from "./report.ts";
export {
  type ClaimResult,
  type IntervalEnd,
  type PaperResult,
  type ReproductionResult,
  type RunReproductionOptions,
  runReproduction,
} from "./run-reproduction.ts";
export {
  averageSeeds,
  constantOf,
  meanOf,
  type RatioParts,
  ratioOfSums,
  type Sample,
  statisticOf,
  wholeValue,
} from "./sample.ts";
export {
  type ResumableTraining,
  type TrainResumablyOptions,
  trainResumably,
} from "./train-resumably.ts";
export {
  effectOf,
  type Interval,
  type Judgement,
  type JudgeOptions,
  judge,
  type Verdict,
} from "./verdict.ts";
