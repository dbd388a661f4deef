/**
 * Opens a checkpoint for generation: tokenizer, packed weights, and a decoder in a worker thread.
 */
import { availableParallelism } from "node:os";
import { type ModelConfig, textConfig } from "../checkpoint/index.ts";
import { JetonError } from "../core/index.ts";
import { loadTokenizer } from "../tokenizer/index.ts";
import { loadWordModel } from "./byte/load-word-model.ts";
import { isWordModel } from "./byte/word-config.ts";
import { isByte2Word } from "./byte2word/config.ts";
import { decoderConfig, decoderFamilies } from "./decoder/config.ts";
import { matrixGroups } from "./decoder/decoder-names.ts";
import { nameTensors, withStoredHead } from "./decoder/stored-names.ts";
import { checkWeights, defaultFormat, startDecoderModel } from "./decoder-model.ts";
import { checkLoadOptions } from "./load-options.ts";
import { modelKind } from "./model-kind.ts";
import type { LoadedModel, LoadModelOptions } from "./types.ts";
import { bindCheckpoint } from "./weights/bind-checkpoint.ts";
import { type NamedCheckpoint, openNamedCheckpoint } from "./weights/open-named-checkpoint.ts";
import { readRowsFrom } from "./weights/repeated-tensor.ts";
import type { DecoderService, DecoderStart } from "./worker/decoder-service.ts";
import * as decoderService from "./worker/decoder-service.ts";
import { type ServiceModule, startModelService } from "./worker/start-model-service.ts";

export { defaultFormat, parameterCount } from "./decoder-model.ts";

/**
 * Opens a model: a checkpoint folder, the name of a bundled model, or one on the hub (`owner/name`).
 *
 * @example
 * await using model = await loadModel("path/to/checkpoint", { format: "int8" });
 *
 * @throws JetonError `model-option-unknown`, `model-option-invalid`, `model-family-unknown`, `model-weights-missing`, … and the errors of resolving and
 *   reading the checkpoint
 */
export async function loadModel(
  nameOrFolder: string,
  options: LoadModelOptions = {},
): Promise<LoadedModel> {
  checkLoadOptions(options);
  return loadNamedModel(await openNamedCheckpoint(nameOrFolder, options), options);
}

/** Loads an open checkpoint, and closes it. @throws JetonError those of `loadModel` */
export async function loadNamedModel(
  { name, checkpoint: opened }: NamedCheckpoint,
  options: LoadModelOptions = {},
): Promise<LoadedModel> {
  const { signal, inline = false } = options;
  try {
    if (isWordModel(opened.config)) return await loadWordModel(opened, name, options);
    refuseOtherKinds(opened.config, name);
    const described = decoderConfig(opened.config);
    const checkpoint = nameTensors(opened, described);
    const { tensors } = checkpoint;
    const config = await withStoredHead(described, tensors, readRowsFrom(checkpoint));
    checkWeights(checkpoint.tensors, config);
    const tokenizer = await loadTokenizer(opened.folder);
    const format = options.format ?? defaultFormat(checkpoint);
    const groups = matrixGroups(config);
    const { bindings, packedBytes } = await bindCheckpoint(checkpoint, groups, format, options);
    signal?.throwIfAborted();
    const { generationConfig } = checkpoint;
    return await startDecoderModel(
      {
        name,
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
        inline,
      },
      (start: DecoderStart) => startModelService<DecoderService>(serviceModule, start, inline),
      options,
    );
  } finally {
    await opened.close();
  }
}

/** @throws JetonError `model-family-unknown` for encoders and encoder-decoders, which have functions of their own */
function refuseOtherKinds(config: ModelConfig, name: string): void {
  const kind = isByte2Word(config) ? "byte2word" : modelKind(config);
  if (kind === "decoder") return;
  const family = textConfig(config).model_type;
  const [what, opener] = {
    byte2word: ["an encoder of words", "loadByte2Word opens it"],
    encoder: ["an encoder", "loadEncoder opens it, jeton embed, classify or fill run it"],
    seq2seq: ["an encoder-decoder", "loadSeq2Seq opens it, jeton run runs it"],
  }[kind];
  throw new JetonError(`${name} (${family}) is ${what}, expected a decoder; ${opener}`, {
    code: "model-family-unknown",
    details: { family, kind, decoderFamilies },
  });
}

const serviceModule: ServiceModule = {
  module: decoderService,
  path: "worker/decoder-service",
  factory: "createDecoderService",
};
