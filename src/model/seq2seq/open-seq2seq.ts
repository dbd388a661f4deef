/**
 * Opens an encoder-decoder from bytes in memory: in a browser, in its workers, and in Node.
 *
 * Needs nothing of Node. The model lives on the calling thread and blocks it during a forward pass.
 */
import { startInline } from "../../tensor/index.ts";
import { defaultFormat, parameterCount } from "../decoder-model.ts";
import {
  defaultThreads,
  type ModelFiles,
  readConfigFiles,
  readTokenizerFiles,
} from "../open-model.ts";
import type { LoadModelOptions } from "../types.ts";
import { bindBytes, packedBytes } from "../weights/bind-bytes.ts";
import { parseWeights, renameStored, type WeightsFile } from "../weights/parse-weights.ts";
import { readRowsOf } from "../weights/repeated-tensor.ts";
import { storedShapes } from "../weights/trace-weights.ts";
import type { Seq2SeqService, Seq2SeqStart } from "../worker/seq2seq-service.ts";
import * as seq2seqService from "../worker/seq2seq-service.ts";
import { seq2seqMatrixGroups } from "./decoder-names.ts";
import { Seq2SeqModel } from "./seq2seq-model.ts";
import { checkedTensors, describeSeq2Seq } from "./stored-seq2seq.ts";
import type { LoadedSeq2Seq } from "./types.ts";

/** Options of `openSeq2Seq`. */
export interface OpenSeq2SeqOptions
  extends Pick<LoadModelOptions, "format" | "onProgress" | "signal"> {
  /** What the model is called. Default `"model"`. */
  readonly name?: string;
  /** Where the files came from: what `LoadedSeq2Seq.folder` says. Default: empty. */
  readonly folder?: string;
  readonly files: ModelFiles;
  /** One file, or all shards. Their memory is viewed, not copied. */
  readonly weights: readonly WeightsFile[];
  /** Threads of one forward pass. Default: as `openModel`. */
  readonly threads?: number;
}

/**
 * Opens an encoder-decoder (T5, mT5, umT5, ByT5, MrT5) from bytes in memory.
 *
 * @throws JetonError `config-invalid`, `checkpoint-weights-missing`, `checkpoint-tensor-ambiguous`,
 *   `model-family-unknown`, `model-config-invalid`, `model-weights-missing`, `model-weights-shape`, and the codes of
 *   `parseSafetensorsHeader` and of `createTokenizer`
 */
export async function openSeq2Seq(options: OpenSeq2SeqOptions): Promise<LoadedSeq2Seq> {
  const { files, weights, signal, onProgress, threads = defaultThreads() } = options;
  signal?.throwIfAborted();
  const configs = readConfigFiles(files);
  const tokenizer = readTokenizerFiles(files);
  const stored = parseWeights(weights);
  const { config, names } = describeSeq2Seq(configs, stored.tensors.keys());
  const named = renameStored(stored, names);
  const tensors = await checkedTensors(config, named.tensors, readRowsOf(named));
  const bytes = new Map([...named.bytes].filter(([name]) => tensors.has(name)));
  const format = options.format ?? defaultFormat({ tensors });
  const groups = seq2seqMatrixGroups(config, (name) => tensors.has(name));
  const bindings = await bindBytes({ tensors, bytes }, groups, format, {
    onProgress: (done, total) => onProgress?.({ stage: "pack", done, total }),
    signal,
  });
  const shapes = storedShapes(tensors);
  const start: Seq2SeqStart = { config, tensors: shapes, bindings, format, threads };
  const service = await startInline<Seq2SeqService>(seq2seqService, "createSeq2SeqService", start);
  return new Seq2SeqModel({
    name: options.name ?? "model",
    folder: options.folder ?? "",
    checkpoint: { ...configs, tensors, files: weights.map(({ name }) => name) },
    tokenizer,
    config,
    format,
    threads,
    service,
    weightBytes:
      format === "f32" ? 4 * parameterCount({ tensors }) : packedBytes(tensors, groups, format),
  });
}
