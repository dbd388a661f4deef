/** What every module uses: errors, seeded random numbers, digests, quantiles, probabilities, tasks, progress, tables, "did you mean". */
export { JetonError, type JetonErrorOptions } from "./error.ts";
export { nextTask } from "./next-task.ts";
export {
  createProgressLine,
  createProgressMeter,
  formatBytes,
  formatCount,
  formatCountOf,
  formatDuration,
  formatRate,
  type ProgressLine,
  type ProgressLineOptions,
  type ProgressMeter,
  type ProgressMeterOptions,
  type ProgressState,
} from "./progress.ts";
export { quantile } from "./quantile.ts";
export { createRandom, type Random } from "./random.ts";
export { createSha256, type Sha256 } from "./sha256.ts";
export { softmax } from "./softmax.ts";
export { editDistance, suggest } from "./suggest.ts";
export {
  displayWidth,
  type FormatTableOptions,
  formatTable,
  type TableColumn,
} from "./table.ts";
export { type WarningHandler, warn } from "./warning.ts";
