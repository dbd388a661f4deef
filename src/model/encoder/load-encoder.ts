/** Opens an encoder checkpoint: tokenizer, packed weights, and the encoder in a worker thread. */
import { availableParallelism } from "node:os";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { checkShapes, defaultFormat } from "../decoder-model.ts";
import { checkLoadOptions } from "../load-options.ts";
import { bindCheckpoint } from "../weights/bind-checkpoint.ts";
import { type NamedCheckpoint, openNamedCheckpoint } from "../weights/open-named-checkpoint.ts";
import { readRowsFrom } from "../weights/repeated-tensor.ts";
import { storedShapes } from "../weights/trace-weights.ts";
import type { EncoderService, EncoderStart } from "../worker/encoder-service.ts";
import * as encoderService from "../worker/encoder-service.ts";
import { type ServiceModule, startModelService } from "../worker/start-model-service.ts";
import { encoderConfig } from "./config.ts";
import { EncoderModel } from "./encoder-model.ts";
import { encoderMatrixGroups } from "./encoder-names.ts";
import { encoderHeads, tieRepeatedHead } from "./heads/heads.ts";
import { addBlocks } from "./mixer/mixer-names.ts";
import { encoderParameterShapes } from "./parameter-shapes.ts";
import { diskFolder } from "./sentence/disk-folder.ts";
import { hasModuleList, readSentenceFolder } from "./sentence/sentence-folder.ts";
import { sentencePipeline } from "./sentence/sentence-modules.ts";
import { openStatic } from "./static/open-static.ts";
import { isStaticConfig } from "./static/static-config.ts";
import { withStoredLayout } from "./stored-layout.ts";
import { nameEncoderTensors } from "./stored-names.ts";
import type { LoadEncoderOptions, LoadedEncoder } from "./types.ts";

/**
 * Opens an encoder: a checkpoint folder, the name of a bundled one (`jeton-embed`), or one on the hub (`owner/name`). A folder of
 * sentence-transformers or PyLate is opened with its modules. A static model (`StaticEmbedding`, model2vec) is read into memory
 * and lives on the calling thread; `contextLength` is the only limit of its texts, and by default 512 for model2vec.
 *
 * @param nameOrFolder default: the bundled encoder, jeton-embed
 * @example
 * await using model = await loadEncoder("path/to/all-MiniLM-L6-v2");
 * const [vector] = await embed(model, ["A rose by any other name"]);
 *
 * @throws JetonError `model-option-unknown`, `model-option-invalid`, `model-family-unknown`, `model-config-invalid`,
 *   `model-weights-missing`, `model-weights-shape`, `model-weights-dtype`, `model-weights-invalid`, `encoder-module-unknown`, `encoder-module-invalid`, and the errors of resolving
 *   and reading a checkpoint
 */
export async function loadEncoder(
  nameOrFolder: string = "jeton-embed",
  options: LoadEncoderOptions = {},
): Promise<LoadedEncoder> {
  checkLoadOptions(options, ["slots", "exact"]);
  return loadNamedEncoder(await openNamedCheckpoint(nameOrFolder, options), options);
}

/** Loads an open checkpoint, and closes it. @throws JetonError those of `loadEncoder` */
export async function loadNamedEncoder(
  { name, folder, checkpoint: opened }: NamedCheckpoint,
  options: LoadEncoderOptions = {},
): Promise<LoadedEncoder> {
  const { signal, inline = false } = options;
  try {
    const files = diskFolder(folder);
    if (isStaticConfig(opened.config)) {
      const tokenizer = await loadTokenizer(opened.folder);
      return await openStatic({ name, folder, files, checkpoint: opened, tokenizer }, options);
    }
    const hasModules = await hasModuleList(files);
    const described = encoderConfig(opened.config, { hasModules });
    const checkpoint = nameEncoderTensors(described, opened);
    const laidOut = withStoredLayout(described, checkpoint.tensors);
    checkShapes(checkpoint.tensors, encoderParameterShapes(laidOut));
    const tokenizer = await loadTokenizer(opened.folder);
    const { sentence, tensors: own } = await readSentenceFolder(files, laidOut, {
      tokenizer,
      shape: (name) => checkpoint.tensors.get(name)?.shape,
    });
    const read = readRowsFrom(checkpoint);
    const tied = await tieRepeatedHead(laidOut, checkpoint.tensors, read);
    const { config } = tied;
    const tensors = addBlocks(config, new Map([...tied.tensors, ...own]));
    const format = options.format ?? defaultFormat(checkpoint);
    const weights = { tensors, files: checkpoint.files };
    const packing = { ...options, program: "encoder" };
    const groups = encoderMatrixGroups(config);
    const { bindings } = await bindCheckpoint(weights, groups, format, packing);
    signal?.throwIfAborted();
    const threads = options.threads ?? Math.min(8, availableParallelism());
    const start = {
      ...{ config, pipeline: sentencePipeline(sentence), tensors: storedShapes(tensors) },
      ...{ bindings, format, threads },
    } satisfies EncoderStart;
    const service = await startModelService<EncoderService>(serviceModule, start, inline);
    const { contextLength = config.contextLength } = options;
    return new EncoderModel({
      name,
      folder,
      checkpoint: { config: opened.config, tensors, files: opened.files },
      tokenizer,
      config,
      format,
      threads,
      contextLength: Math.min(contextLength, config.contextLength),
      sentence,
      heads: [...encoderHeads(config, (name) => tensors.has(name)).keys()],
      service,
    });
  } finally {
    await opened.close();
  }
}

const serviceModule: ServiceModule = {
  module: encoderService,
  path: "worker/encoder-service",
  factory: "createEncoderService",
};
