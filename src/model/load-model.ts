/**
 * Opens a checkpoint for generation: tokenizer, packed weights, and a decoder in a worker thread.
 */
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { openCheckpoint, resolveModel } from "../checkpoint/index.ts";
import { type Remote, startInline, startService } from "../tensor/index.ts";
import { loadTokenizer } from "../tokenizer/index.ts";
import { loadWordModel } from "./byte/load-word-model.ts";
import { isWordModel } from "./byte/word-config.ts";
import { decoderConfig } from "./decoder/config.ts";
import { matrixGroups } from "./decoder/decoder-names.ts";
import { nameTensors } from "./decoder/stored-names.ts";
import { checkWeights, defaultFormat, startDecoderModel } from "./decoder-model.ts";
import type { LoadedModel, LoadModelOptions } from "./types.ts";
import { bindCheckpoint } from "./weights/bind-checkpoint.ts";
import type { DecoderService, DecoderStart } from "./worker/decoder-service.ts";
import * as decoderService from "./worker/decoder-service.ts";

export { defaultFormat, parameterCount } from "./decoder-model.ts";

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
  const opened = await openCheckpoint(folder);
  if (isWordModel(opened.config)) {
    return loadWordModel(opened, modelName(nameOrFolder, folder), options);
  }
  try {
    const config = decoderConfig(opened.config);
    const checkpoint = nameTensors(opened, config);
    checkWeights(checkpoint.tensors, config);
    const tokenizer = await loadTokenizer(folder);
    const format = options.format ?? defaultFormat(checkpoint);
    const groups = matrixGroups(config);
    const { bindings, packedBytes } = await bindCheckpoint(checkpoint, groups, format, options);
    signal?.throwIfAborted();
    const { generationConfig } = checkpoint;
    return await startDecoderModel(
      {
        name: modelName(nameOrFolder, folder),
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
    await opened.close();
  }
}

function modelName(nameOrFolder: string, folder: string): string {
  return basename(folder) === "" ? folder : nameOrFolder.replace(/[\\/]+$/, "");
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
