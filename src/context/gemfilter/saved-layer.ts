/** The filter layer of a model, kept in its own folder: `context_policies` of `generation_config.json`. */
import { join } from "node:path";
import {
  isJsonObject,
  type JsonObject,
  readGenerationConfig,
  writeFileAtomically,
} from "../../checkpoint/index.ts";
import type { LoadedModel } from "../../model/index.ts";

const section = "context_policies";

/** The saved filter layer; undefined where there is none that the model has. */
export function savedFilterLayer({
  config,
  checkpoint,
}: Pick<LoadedModel, "config" | "checkpoint">): number | undefined {
  const layer = settingsOf(checkpoint.generationConfig)["layer"];
  const isLayer = Number.isSafeInteger(layer) && (layer as number) >= 0;
  return isLayer && (layer as number) < config.layers.length ? (layer as number) : undefined;
}

/**
 * Saves a filter layer into the folder of a model, which is read when the model is loaded the next time.
 *
 * @throws JetonError those of reading and writing files
 */
export async function saveFilterLayer(folder: string, layer: number): Promise<void> {
  const known = (await readGenerationConfig(folder)) ?? {};
  const policies = known[section];
  const document = {
    ...known,
    [section]: {
      ...(isJsonObject(policies) && policies),
      gemfilter: { ...settingsOf(known), layer },
    },
  };
  const path = join(folder, "generation_config.json");
  await writeFileAtomically(path, `${JSON.stringify(document, null, 2)}\n`);
}

function settingsOf(generationConfig: JsonObject | undefined): JsonObject {
  const policies = generationConfig?.[section];
  const own = isJsonObject(policies) ? policies["gemfilter"] : undefined;
  return isJsonObject(own) ? own : {};
}
