/** The stored weights of a model: in memory, or on the disk. */
import { type Checkpoint, openCheckpoint } from "../checkpoint/index.ts";
import { JetonError } from "../core/index.ts";
import { isNode } from "../tensor/device.ts";
import type { LoadedModel } from "./types.ts";

/**
 * Opens the checkpoint that a model was made of. Close it.
 *
 * @throws JetonError `model-weights-not-kept` in a browser for a model that was opened without `keepWeights`, and those
 *   of `openCheckpoint`
 */
export async function openStored({
  folder,
  stored,
}: Pick<LoadedModel, "folder" | "stored">): Promise<Checkpoint> {
  if (stored) return stored;
  if (isNode() && folder !== "") return openCheckpoint(folder);
  throw new JetonError("the stored weights of the model are gone: open it with keepWeights", {
    code: "model-weights-not-kept",
    details: { folder, expected: "keepWeights: true of fetchModel or openModel" },
  });
}
