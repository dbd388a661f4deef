/** Names of drafters, apart from their implementations: listing names loads no drafter. */
import type { ContextPolicy } from "../../model/index.ts";

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

/** The drafter under a policy: `auto` drafts nothing where nothing that is drafted can be verified. */
export function drafterUnder<Name extends DrafterChoice>(
  policy: Pick<ContextPolicy, "drafting"> | undefined,
  drafter: Name,
): Name | "none" {
  return policy?.drafting.kind === "excluded" && drafter === "auto" ? "none" : drafter;
}

/** True for drafters that have a use for a draft model; `auto` does without one too. */
export function usesDraftModel(name: DrafterChoice): boolean {
  return name === "auto" || name === "dyspec" || name === "draft-model";
}
