/** A digest by which what is made for a model (compressors, hypernetworks, packed texts) knows it. */
import type { Checkpoint } from "../checkpoint/index.ts";
import { createSha256 } from "../core/index.ts";
import { openStored } from "./open-stored.ts";
import type { LoadedModel } from "./types.ts";

/** Bytes of each tensor that are read: weights that were trained on differ everywhere. */
const readBytes = 1 << 14;

/**
 * SHA-256 over the names, types and shapes of a checkpoint's tensors and the first 16 KiB of each: it differs between a model
 * and its fine-tuned copies, and is the same for every format in which the weights are held in memory.
 *
 * @param model the checkpoint's folder, or an open model
 * @throws JetonError `model-weights-not-kept`, and those of `openCheckpoint`
 */
export async function identifyModel(
  model: string | Pick<LoadedModel, "folder" | "stored">,
): Promise<string> {
  await using checkpoint = await openStored(typeof model === "string" ? { folder: model } : model);
  return await identifyCheckpoint(checkpoint);
}

/** The same of an open checkpoint. */
export async function identifyCheckpoint(checkpoint: Checkpoint): Promise<string> {
  const hash = createSha256();
  const tensors = [...checkpoint.tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, { dtype, shape }] of tensors) {
    hash.update(JSON.stringify([name, dtype, shape]));
    hash.update(await checkpoint.readBytes(name, readBytes));
  }
  return hash.hex();
}
