/** Drafters by name over models that are open already: they run in browsers too. */
import { JetonError } from "../../core/error.ts";
import type { LoadedModel } from "../../model/types.ts";
import { createDyspecDrafter } from "../dyspec/index.ts";
import { createAutoDrafter } from "./auto.ts";
import { createDraftModelDrafter } from "./draft-model.ts";
import type { Drafter } from "./drafter.ts";
import type { DrafterName } from "./drafter-names.ts";
import { createTableMembers, openTableDrafter } from "./table-drafters.ts";

/**
 * Makes a drafter by name.
 *
 * @param draft a smaller model with the same tokenizer, which the caller closes; `auto` has one member fewer
 *   without it
 * @throws JetonError `draft-model-missing`, `draft-model-vocabulary`
 */
export function createDrafter(name: DrafterName, model: LoadedModel, draft?: LoadedModel): Drafter {
  const table = draft && name === "auto" ? undefined : openTableDrafter(name, model);
  if (table) return table;
  if (!draft) {
    throw new JetonError(`${name} needs a draft model: a smaller one with the same tokenizer`, {
      code: "draft-model-missing",
      details: { drafter: name },
    });
  }
  if (name === "draft-model") return createDraftModelDrafter(model, draft, { tokens: "best" });
  const dyspec = createDyspecDrafter(model, { draft, calibrate: true, children: "best" });
  return name === "auto" ? createAutoDrafter([...createTableMembers(model), dyspec]) : dyspec;
}
