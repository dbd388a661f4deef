/**
 * Opens a checkpoint for generation: tokenizer, packed weights, and a decoder in a worker thread.
 */
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import {
  type Checkpoint,
  openCheckpoint,
  openPackedCache,
  openSafetensors,
  resolveModel,
} from "../checkpoint/index.ts";
import { warn } from "../core/index.ts";
import { type ParameterBinding, type Remote, startInline, startService } from "../tensor/index.ts";
import { loadTokenizer } from "../tokenizer/index.ts";
import { type DecoderConfig, decoderConfig } from "./decoder/config.ts";
import { matrixGroups } from "./decoder/decoder-names.ts";
import { nameTensors } from "./decoder/stored-names.ts";
import { checkWeights, defaultFormat, parameterCount, startDecoderModel } from "./decoder-model.ts";
import type { LoadedModel, LoadModelOptions, WeightFormat } from "./types.ts";
import {
  type PackCheckpointOptions,
  packedTensors,
  packIntoFile,
  packIntoMemory,
} from "./weights/pack-checkpoint.ts";
import type { PackedFormat } from "./weights/pack-rows.ts";
import { fileBindings } from "./weights/trace-weights.ts";
import type { DecoderService, DecoderStart } from "./worker/decoder-service.ts";
import * as decoderService from "./worker/decoder-service.ts";

export { defaultFormat, parameterCount } from "./decoder-model.ts";

/** Change this when packing gives other bytes. */
const packedVersion = "5";

/**
 * Opens a model: a checkpoint folder, or a name on the hub (`owner/name`).
 *
 * @example
 * await using model = await loadModel("path/to/checkpoint", { format: "int8" });
 *
 * @throws JetonError `model-family-unknown`, `model-weights-missing`, … and the errors of resolving and
 *   reading the checkpoint
 */
export async function loadModel(
  nameOrFolder: string,
  options: LoadModelOptions = {},
): Promise<LoadedModel> {
  const { onProgress, signal } = options;
  const folder = await resolveModel(nameOrFolder, {
    ...(signal && { signal }),
    ...(onProgress && {
      onProgress: ({ bytes, totalBytes }) =>
        onProgress({ stage: "download", done: bytes, total: totalBytes ?? bytes }),
    }),
  });
  signal?.throwIfAborted();
  const checkpoint = nameTensors(await openCheckpoint(folder));
  try {
    const config = decoderConfig(checkpoint.config);
    checkWeights(checkpoint.tensors, config);
    const tokenizer = await loadTokenizer(folder);
    const format = options.format ?? defaultFormat(checkpoint);
    const { bindings, packedBytes } = await bindWeights(checkpoint, config, format, options);
    signal?.throwIfAborted();
    const { generationConfig } = checkpoint;
    return await startDecoderModel(
      {
        name: basename(folder) === "" ? folder : nameOrFolder.replace(/[\\/]+$/, ""),
        folder: checkpoint.folder,
        checkpoint: {
          config: checkpoint.config,
          tensors: checkpoint.tensors,
          files: checkpoint.files,
          ...(generationConfig && { generationConfig }),
        },
        tokenizer,
        config,
        format,
        threads: options.threads ?? Math.min(8, availableParallelism()),
        slots: options.slots ?? 16,
        exact: options.exact,
        contextLength: options.contextLength,
        weightBytes: packedBytes,
        bindings,
      },
      options.inline ? startHere : startWorker,
      options,
    );
  } finally {
    await checkpoint.close();
  }
}

const startHere = (start: DecoderStart): Promise<Remote<DecoderService>> =>
  startInline(decoderService, "createDecoderService", start);

const startWorker = (start: DecoderStart): Promise<Remote<DecoderService>> =>
  startService(
    new URL(
      import.meta.url.endsWith(".ts")
        ? "./worker/decoder-service.ts"
        : "./worker/decoder-service.js",
      import.meta.url,
    ).href,
    "createDecoderService",
    start,
    {
      // Packed weights in memory are the worker's alone.
      transfer: [...start.bindings.values()].flatMap((binding) =>
        binding.kind === "data" ? [binding.data.buffer as ArrayBuffer] : [],
      ),
    },
  );

/** Stored tensors where they lie; matrices of a packed format from the disk cache, or from memory. */
async function bindWeights(
  checkpoint: Checkpoint,
  config: DecoderConfig,
  format: WeightFormat,
  options: LoadModelOptions,
): Promise<{ bindings: Map<string, ParameterBinding>; packedBytes: number }> {
  const bindings = fileBindings(checkpoint.tensors);
  const groups = matrixGroups(config);
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

/** The file of packed matrices, which is written where there is none; undefined where it cannot be. */
async function openPackedFile(
  checkpoint: Checkpoint,
  groups: readonly (readonly string[])[],
  format: PackedFormat,
  options: LoadModelOptions,
  packing: PackCheckpointOptions,
): Promise<string | undefined> {
  const entry = await openPackedCache({
    files: checkpoint.files,
    version: packedVersion,
    key: format,
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
