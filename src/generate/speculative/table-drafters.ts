/** Drafters that need no draft model: they run in browsers too. */
import type { LoadedModel } from "../../model/types.ts";
import { createAdedDrafter } from "../aded/index.ts";
import { createLookaheadDrafter } from "../lookahead/index.ts";
import { createTokenRecyclingDrafter } from "../token-recycling/index.ts";
import { createAutoDrafter } from "./auto.ts";
import type { Drafter } from "./drafter.ts";
import type { DrafterName } from "./drafter-names.ts";
import { createPromptLookupDrafter } from "./prompt-lookup.ts";

/** The members of `auto` that need no draft model, in order of preference. */
export function createTableMembers(model: LoadedModel): Drafter[] {
  return [
    createPromptLookupDrafter(),
    createLookaheadDrafter(model),
    createTokenRecyclingDrafter(model),
  ];
}

/** A drafter by name; undefined where it needs a draft model. `auto` chooses among tables only. */
export function openTableDrafter(name: DrafterName, model: LoadedModel): Drafter | undefined {
  switch (name) {
    case "prompt-lookup":
      return createPromptLookupDrafter();
    case "token-recycling":
      return createTokenRecyclingDrafter(model);
    case "lookahead":
      return createLookaheadDrafter(model);
    case "aded":
      return createAdedDrafter(model);
    case "auto":
      return createAutoDrafter(createTableMembers(model));
    default:
      return undefined;
  }
}
