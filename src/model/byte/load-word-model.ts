/** Opens the checkpoint folder of a model of words. */
import { availableParallelism } from "node:os";
import type { Checkpoint } from "../../checkpoint/index.ts";
import { type Remote, startInline, startService } from "../../tensor/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { checkShapes, defaultFormat } from "../decoder-model.ts";
import type { LoadedModel, LoadModelOptions } from "../types.ts";
import { bindCheckpoint } from "../weights/bind-checkpoint.ts";
import { wordModelConfig } from "./word-config.ts";
import { WordModel } from "./word-model.ts";
import { wordMatrixGroups, wordParameterShapes } from "./word-parameters.ts";
import type { WordService, WordServiceStart } from "./word-service.ts";
import * as wordService from "./word-service.ts";

/**
 * Opens a model of words and closes the checkpoint.
 *
 * @throws JetonError `model-weights-missing`, `model-weights-shape`, `model-config-invalid`
 */
export async function loadWordModel(
  checkpoint: Checkpoint,
  name: string,
  options: LoadModelOptions,
): Promise<LoadedModel> {
  try {
    const words = wordModelConfig(checkpoint.config);
    const { threads = Math.min(8, availableParallelism()), onProgress } = options;
    const format = options.format ?? defaultFormat(checkpoint);
    checkShapes(checkpoint.tensors, wordParameterShapes(words));
    const tokenizer = await loadTokenizer(checkpoint.folder);
    const groups = wordMatrixGroups(words);
    const { bindings, packedBytes } = await bindCheckpoint(checkpoint, groups, format, options);
    onProgress?.({ stage: "load", done: 0, total: 1 });
    const service = await startWords(
      {
        config: words,
        tensors: new Map(
          [...checkpoint.tensors].map(([key, { dtype, shape }]) => [key, { dtype, shape }]),
        ),
        bindings,
        format,
        threads,
      },
      options.inline ?? false,
    );
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
  } finally {
    await checkpoint.close();
  }
}

function startWords(start: WordServiceStart, inline: boolean): Promise<Remote<WordService>> {
  if (inline) return startInline<WordService>(wordService, "createWordService", start);
  return startService<WordService>(
    new URL(
      import.meta.url.endsWith(".ts") ? "./word-service.ts" : "./word-service.js",
      import.meta.url,
    ).href,
    "createWordService",
    start,
  );
}
