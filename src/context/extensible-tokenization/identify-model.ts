/** A digest by which a compressor and packed texts know the model that they were made for. */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { openCheckpoint } from "../../checkpoint/index.ts";

/** Bytes of each tensor that are read: weights that were trained on differ everywhere. */
const readBytes = 1 << 14;

/**
 * SHA-256 over the names, types and shapes of a checkpoint's tensors and the first 16 KiB of each: it differs between a model
 * and its fine-tuned copies, and is the same for every format in which the weights are held in memory.
 *
 * @param folder of the checkpoint
 * @throws JetonError those of `openCheckpoint`
 */
export async function identifyModel(folder: string): Promise<string> {
  await using checkpoint = await openCheckpoint(folder);
  const hash = createHash("sha256");
  const files = new Map<string, FileHandle>();
  try {
    const tensors = [...checkpoint.tensors].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, { dtype, shape, file, offset, length }] of tensors) {
      hash.update(JSON.stringify([name, dtype, shape]));
      const handle = files.get(file) ?? (await open(file, "r"));
      files.set(file, handle);
      const bytes = new Uint8Array(Math.min(length, readBytes));
      await handle.read(bytes, 0, bytes.length, offset);
      hash.update(bytes);
    }
  } finally {
    for (const handle of files.values()) await handle.close();
  }
  return hash.digest("hex");
}
