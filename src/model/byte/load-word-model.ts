/** Opens the checkpoint folder of a model of words. */
import { availableParallelism } from "node:os";
import type { Checkpoint } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { checkShapes, defaultFormat } from "../decoder-model.ts";
import type { LoadedModel, LoadModelOptions } from "../types.ts";
import { bindCheckpoint } from "../weights/bind-checkpoint.ts";
import { storedShapes } from "../weights/trace-weights.ts";
import { type ServiceModule, startModelService } from "../worker/start-model-service.ts";
import { wordModelConfig } from "./word-config.ts";
import { WordModel } from "./word-model.ts";
import { wordMatrixGroups, wordParameterShapes } from "./word-parameters.ts";
import type { WordService, WordServiceStart } from "./word-service.ts";
import * as wordService from "./word-service.ts";

/**
 * Opens a model of words; the checkpoint stays open.
 *
 * @throws JetonError `model-weights-missing`, `model-weights-shape`, `model-config-invalid`,
 *   `model-exact-unsupported` where `exact` is asked for
 */
export async function loadWordModel(
  checkpoint: Checkpoint,
  name: string,
  options: LoadModelOptions,
): Promise<LoadedModel> {
  const words = wordModelConfig(checkpoint.config);
  if (options.exact === true) {
    throw new JetonError(
      `${name} is a model of words, whose rows depend on their neighbours in the last bits: exact cannot be true`,
      { code: "model-exact-unsupported", details: { model: name, family: words.family } },
    );
  }
  const { threads = Math.min(8, availableParallelism()), onProgress } = options;
  const format = options.format ?? defaultFormat(checkpoint);
  checkShapes(checkpoint.tensors, wordParameterShapes(words));
  const tokenizer = await loadTokenizer(checkpoint.folder);
  const groups = wordMatrixGroups(words);
  const { bindings, packedBytes } = await bindCheckpoint(checkpoint, groups, format, options);
  onProgress?.({ stage: "load", done: 0, total: 1 });
  const tensors = storedShapes(checkpoint.tensors);
  const start: WordServiceStart = { config: words, tensors, bindings, format, threads };
  const inline = options.inline ?? false;
  const service = await startModelService<WordService>(serviceModule, start, inline);
  onProgress?.({ stage: "load", done: 1, total: 1 });
  const { generationConfig } = checkpoint;
  return new WordModel({
    name,
    folder: checkpoint.folder,
    checkpoint: {
      config: checkpoint.config,
      tensors: checkpoint.tensors,
      files: checkpoint.files,
      ...(generationConfig && { generationConfig }),
    },
    words,
    tokenizer,
    format,
    threads,
    slots: options.slots ?? 16,
    contextLength: options.contextLength,
    service,
    weightBytes: packedBytes,
  });
}

const serviceModule: ServiceModule = {
  module: wordService,
  path: "byte/word-service",
  factory: "createWordService",
};
