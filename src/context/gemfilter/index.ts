export { largestScores, type PoolScoresOptions, poolScores } from "./choose-tokens.ts";
export {
  type GemFilterOptions,
  gemFilter,
  gemFilterPolicy,
  scorePrompt,
} from "./gemfilter.ts";
