/** Weights of an open checkpoint as a program takes them: where they lie on disk, or packed. */
import { createHash } from "node:crypto";
import { type Checkpoint, openPackedCache, openSafetensors } from "../../checkpoint/index.ts";
import { warn } from "../../core/index.ts";
import type { ParameterBinding } from "../../tensor/index.ts";
import { parameterCount } from "../decoder-model.ts";
import type { LoadModelOptions, WeightFormat } from "../types.ts";
import {
  type PackCheckpointOptions,
  packedTensors,
  packIntoFile,
  packIntoMemory,
  type StoredTensors,
} from "./pack-checkpoint.ts";
import type { PackedFormat } from "./pack-rows.ts";
import { fileBindings } from "./trace-weights.ts";

/** Change this when packing gives other bytes. */
const packedVersion = "5";

/** Files of a checkpoint, and its tensors with stacked experts split. */
type SplitFiles = StoredTensors & Pick<Checkpoint, "files">;

/** Options of `bindCheckpoint`. */
export type BindCheckpointOptions = Pick<
  LoadModelOptions,
  "onProgress" | "onWarning" | "signal" | "inline" | "cacheFolder"
> & {
  /** Tells programs over the same files apart that pack other matrices. Default: none. */
  readonly program?: string;
};

/** Stored tensors where they lie; matrices of a packed format from the disk cache, or from memory. */
export async function bindCheckpoint(
  checkpoint: SplitFiles,
  groups: readonly (readonly string[])[],
  format: WeightFormat,
  options: BindCheckpointOptions,
): Promise<{ bindings: Map<string, ParameterBinding>; packedBytes: number }> {
  const bindings = fileBindings(checkpoint.tensors, { decodes: format === "f32" });
  if (format === "f32") return { bindings, packedBytes: 4 * parameterCount(checkpoint) };
  const { onProgress, signal, inline = false } = options;
  const packing = {
    inline,
    ...(signal && { signal }),
    ...(onProgress && {
      onProgress: (done: number, total: number) => onProgress({ stage: "pack", done, total }),
    }),
  };
  const path = await openPackedFile(checkpoint, groups, format, options, packing);
  let packedBytes = 0;
  if (path !== undefined) {
    await using packed = await openSafetensors(path);
    for (const [name, { file, offset, length }] of packed.tensors) {
      bindings.set(name, { kind: "file", file, offset, length });
      packedBytes += length;
    }
    return { bindings, packedBytes };
  }
  for (const [name, data] of await packIntoMemory(checkpoint, groups, format, packing)) {
    bindings.set(name, { kind: "data", data });
    packedBytes += data.byteLength;
  }
  return { bindings, packedBytes };
}

/** Two models may share their weight files and read other parts of them, e.g. fewer layers. */
function packedKey(
  format: PackedFormat,
  program: string | undefined,
  groups: readonly (readonly string[])[],
): string {
  const digest = createHash("sha256").update(JSON.stringify(groups)).digest("hex").slice(0, 12);
  return program === undefined ? `${format}-${digest}` : `${format}-${program}-${digest}`;
}

/** The file of packed matrices, which is written where there is none; undefined where it cannot be. */
async function openPackedFile(
  checkpoint: SplitFiles,
  groups: readonly (readonly string[])[],
  format: PackedFormat,
  options: BindCheckpointOptions,
  packing: PackCheckpointOptions,
): Promise<string | undefined> {
  const entry = await openPackedCache({
    files: checkpoint.files,
    version: packedVersion,
    key: packedKey(format, options.program, groups),
    ...(options.cacheFolder !== undefined && { folder: options.cacheFolder }),
  });
  if (entry.state === "found") return entry.path;
  const { path, warning } = await entry.fill(
    packedTensors(checkpoint, groups, format),
    packIntoFile(checkpoint, groups, format, packing),
  );
  if (warning) warn(warning, options.onWarning);
  return path;
}
