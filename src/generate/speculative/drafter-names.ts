/** Names of drafters, apart from the drafters themselves: whoever only lists them loads nothing else. */

/** Names that `openDrafter` knows. */
export const drafterNames = [
  "auto",
  "prompt-lookup",
  "token-recycling",
  "lookahead",
  "aded",
  "dyspec",
  "draft-model",
] as const;

export type DrafterName = (typeof drafterNames)[number];

/** What a command or a request may ask for: `none` is plain decoding. */
export const drafterChoices: readonly [...typeof drafterNames, "none"] = [...drafterNames, "none"];

export type DrafterChoice = (typeof drafterChoices)[number];
