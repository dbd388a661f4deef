/** Names of drafters, apart from their implementations: listing names loads no drafter. */

/** Names of drafters for `openDrafter`. */
export const drafterNames = [
  "auto",
  "prompt-lookup",
  "token-recycling",
  "lookahead",
  "aded",
  "dyspec",
  "draft-model",
] as const;

/** Name of a drafter, as commands and requests give it. */
export type DrafterName = (typeof drafterNames)[number];

/** Drafters that commands and requests may name: `none` is autoregressive decoding. */
export const drafterChoices: readonly [...typeof drafterNames, "none"] = [...drafterNames, "none"];

/** A drafter's name, or `"none"`: autoregressive decoding. */
export type DrafterChoice = (typeof drafterChoices)[number];

/** True for drafters that have a use for a draft model; `auto` does without one too. */
export function usesDraftModel(name: DrafterChoice): boolean {
  return name === "auto" || name === "dyspec" || name === "draft-model";
}
