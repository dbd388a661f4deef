export {
  type CalibrateOptions,
  type CalibrationPrompt,
  calibrateFilterLayer,
  type LayerCalibration,
  type NeedlePromptsOptions,
  needlePrompts,
} from "./calibrate.ts";
export { largestScores, type PoolScoresOptions, poolScores } from "./choose-tokens.ts";
export {
  type GemFilterOptions,
  gemFilter,
  gemFilterPolicy,
  scorePrompt,
} from "./gemfilter.ts";
export { savedFilterLayer, saveFilterLayer } from "./saved-layer.ts";
