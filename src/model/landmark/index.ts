/** Landmark attention: a decoder whose blocks are opened through a token of their own. */
export {
  attendLandmarks,
  fillerDocument,
  type LandmarkRows,
  landmarkTime,
} from "./attend-landmarks.ts";
export { type GroupedScores, type GroupedWeights, groupedSoftmax } from "./grouped-softmax.ts";
export { type LandmarkConfig, rowsOfBlock, rowsOfTokens, tokensOfRows } from "./landmark-config.ts";
export {
  type LandmarkMode,
  type LandmarkOptions,
  type LandmarkSettings,
  landmarkDefaults,
  needLandmarks,
} from "./landmark-options.ts";
export { createLandmarkPolicy } from "./landmark-policy.ts";
export { decodeLandmarks } from "./landmark-program.ts";
