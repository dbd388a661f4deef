/**
 * Drafters by name, for commands and servers.
 */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { singleWeightsName } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { createDrafter } from "./create-drafter.ts";
import type { Drafter } from "./drafter.ts";
import { type DrafterName, drafterNames, usesDraftModel } from "./drafter-names.ts";

/** Options of `openDrafter`. */
export interface OpenDrafterOptions {
  /**
   * Draft model of `dyspec` and `draft-model`, which `auto` uses too: an open one, which the caller closes,
   * or a folder or hub name, which is opened now and closed with the drafter. Default: the folder beside the
   * model's own with `-draft` appended to its name, if it exists.
   */
  draftModel?: string | LoadedModel;
  signal?: AbortSignal;
}

/**
 * Opens a drafter for a model. It learns from every request that uses it. Drafts are deterministic: the text
 * equals that of the same seed without a drafter, independent of the learned state and of measured times.
 *
 * @example
 * const drafter = await openDrafter("auto", model);
 * const { text, drafting } = await complete(model, prompt, { drafter });
 *
 * @throws JetonError `drafter-unknown`, `draft-model-missing`, `draft-model-vocabulary`, and those of
 *   `loadModel`
 */
export async function openDrafter(
  name: DrafterName,
  model: LoadedModel,
  options: OpenDrafterOptions = {},
): Promise<Drafter> {
  if (!drafterNames.includes(name)) {
    throw new JetonError(`${name} is no drafter, expected one of ${drafterNames.join(", ")}`, {
      code: "drafter-unknown",
      details: { name, expected: drafterNames },
    });
  }
  const draft = usesDraftModel(name) ? await openDraft(model, options) : undefined;
  if (!draft) return createDrafter(name, model);
  return withDraft(draft, () => createDrafter(name, model, draft.model));
}

/** Draft models up to this many bytes run on the calling thread: a message to a worker costs as much. */
const inlineBytes = 8_000_000;

interface Draft {
  readonly model: LoadedModel;
  /** True where `openDrafter` opened it and closes it with the drafter. */
  readonly isOwned: boolean;
}

async function openDraft(
  model: LoadedModel,
  { draftModel, signal }: OpenDrafterOptions,
): Promise<Draft | undefined> {
  if (typeof draftModel === "object") return { model: draftModel, isOwned: false };
  const name = draftModel ?? siblingOf(model);
  if (name === undefined) return undefined;
  const weights = await stat(join(name, singleWeightsName)).catch(() => undefined);
  const draft = await loadModel(name, {
    slots: model.slots,
    threads: model.threads,
    ...(weights && weights.size <= inlineBytes && { inline: true, threads: 1 }),
    ...(signal && { signal }),
  });
  return { model: draft, isOwned: true };
}

/** The folder of a model's own draft model, if there is one. */
function siblingOf({ folder }: LoadedModel): string | undefined {
  if (folder === "") return undefined;
  const sibling = `${folder.replace(/[\\/]+$/, "")}-draft`;
  return existsSync(join(sibling, "config.json")) ? sibling : undefined;
}

/** A drafter that closes its draft model where it owns it. */
async function withDraft({ model, isOwned }: Draft, create: () => Drafter): Promise<Drafter> {
  try {
    const drafter = create();
    if (!isOwned) return drafter;
    return {
      ...drafter,
      async close() {
        await drafter.close();
        await model.close();
      },
    };
  } catch (error) {
    if (isOwned) await model.close();
    throw error;
  }
}
