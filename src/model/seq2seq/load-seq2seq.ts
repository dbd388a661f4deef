/** Opens an encoder-decoder checkpoint: tokenizer, packed weights, and both programs in a worker thread. */
import { availableParallelism } from "node:os";
import { warn } from "../../core/warning.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { unobeyedKeys } from "../decoder/generation-keys.ts";
import { defaultFormat } from "../decoder-model.ts";
import { checkLoadOptions } from "../load-options.ts";
import type { LoadModelOptions } from "../types.ts";
import { bindCheckpoint } from "../weights/bind-checkpoint.ts";
import { type NamedCheckpoint, openNamedCheckpoint } from "../weights/open-named-checkpoint.ts";
import { renameTensors } from "../weights/rename-tensors.ts";
import { readRowsFrom } from "../weights/repeated-tensor.ts";
import { storedShapes } from "../weights/trace-weights.ts";
import type { Seq2SeqService, Seq2SeqStart } from "../worker/seq2seq-service.ts";
import * as seq2seqService from "../worker/seq2seq-service.ts";
import { type ServiceModule, startModelService } from "../worker/start-model-service.ts";
import { seq2seqMatrixGroups } from "./decoder-names.ts";
import { Seq2SeqModel } from "./seq2seq-model.ts";
import { checkedTensors, describeSeq2Seq } from "./stored-seq2seq.ts";
import type { LoadedSeq2Seq } from "./types.ts";

/** Options of `loadSeq2Seq`. */
export type LoadSeq2SeqOptions = Pick<
  LoadModelOptions,
  "format" | "threads" | "inline" | "cacheFolder" | "onProgress" | "onWarning" | "signal"
>;

/**
 * Opens an encoder-decoder (T5, mT5, umT5, ByT5, MrT5): a checkpoint folder, or a name on the hub (`owner/name`).
 *
 * @example
 * await using model = await loadSeq2Seq("path/to/t5");
 * for await (const token of generateFrom(model, "translate English to German: The king is dead.")) {
 *   process.stdout.write(token.text);
 * }
 *
 * @throws JetonError `model-family-unknown`, `model-config-invalid`, `model-weights-missing`,
 *   `model-weights-shape`, and the errors of resolving and reading a checkpoint
 */
export async function loadSeq2Seq(
  nameOrFolder: string,
  options: LoadSeq2SeqOptions = {},
): Promise<LoadedSeq2Seq> {
  checkLoadOptions(options, ["slots", "contextLength", "exact"]);
  return loadNamedSeq2Seq(await openNamedCheckpoint(nameOrFolder, options), options);
}

/** Loads an open checkpoint, and closes it. @throws JetonError those of `loadSeq2Seq` */
export async function loadNamedSeq2Seq(
  { name, checkpoint: opened }: NamedCheckpoint,
  options: LoadSeq2SeqOptions = {},
): Promise<LoadedSeq2Seq> {
  const { signal, inline = false } = options;
  try {
    const { generationConfig } = opened;
    const { config, names } = describeSeq2Seq(opened, opened.tensors.keys());
    const renamed = renameTensors(opened, names);
    const tensors = await checkedTensors(config, renamed.tensors, readRowsFrom(renamed));
    const checkpoint = { ...renamed, tensors };
    const tokenizer = await loadTokenizer(opened.folder);
    const format = options.format ?? defaultFormat(checkpoint);
    const groups = seq2seqMatrixGroups(config, (name) => tensors.has(name));
    const packing = { ...options, program: "seq2seq" };
    const { bindings, packedBytes } = await bindCheckpoint(checkpoint, groups, format, packing);
    signal?.throwIfAborted();
    const threads = options.threads ?? Math.min(8, availableParallelism());
    const shapes = storedShapes(tensors);
    const start: Seq2SeqStart = { config, tensors: shapes, bindings, format, threads };
    const service = await startModelService<Seq2SeqService>(serviceModule, start, inline);
    const unobeyed = unobeyedKeys(generationConfig);
    if (unobeyed) warn(unobeyed, options.onWarning);
    return new Seq2SeqModel({
      name,
      folder: opened.folder,
      checkpoint: {
        config: opened.config,
        tensors,
        files: opened.files,
        ...(generationConfig && { generationConfig }),
      },
      tokenizer,
      config,
      format,
      threads,
      service,
      weightBytes: packedBytes,
    });
  } finally {
    await opened.close();
  }
}

const serviceModule: ServiceModule = {
  module: seq2seqService,
  path: "worker/seq2seq-service",
  factory: "createSeq2SeqService",
};
