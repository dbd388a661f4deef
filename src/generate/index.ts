/**
 * Generation: the decoding loop, samplers, scoring.
 *
 * @module generate
 */
export { complete, generate } from "./generate.ts";
export { checkOptions, promptIds, resolveMaxTokens, resolveSampling } from "./options.ts";
export {
  chooseToken,
  drawFor,
  isGreedy,
  largestLogit,
  penalizeRepetition,
  pickToken,
  type Sampling,
  type TokenDistribution,
  tokenDistribution,
} from "./sampler.ts";
export { type ScoreOptions, score } from "./score.ts";
export { createStopText, type StopText, type StopTextResult } from "./stop-text.ts";
export type {
  FinishReason,
  Generate,
  GeneratedToken,
  GenerateOptions,
  GenerateResult,
  Prompt,
  SamplingOptions,
  ScoredToken,
  ScoreResult,
  TokenOrigin,
} from "./types.ts";
