/** Exact byte probabilities of models of tokens. */
export { createExactBytes } from "./exact-byte-probabilities.ts";
export type { Covering, ExactBytes, ExactBytesOptions } from "./exact-bytes.ts";
export { type FilledMiddle, type FillMiddleOptions, fillMiddle } from "./fill-middle.ts";
export {
  defaultHealing,
  type HealedPrompt,
  type HealedPrompts,
  type Healing,
  type HealOptions,
  healings,
  healPrompt,
  healPrompts,
  isHealingUnavailable,
} from "./heal-prompt.ts";
export {
  type OpenBytesOptions,
  openByteDistribution,
  openExactBytes,
} from "./open-byte-distribution.ts";
