/**
 * Opens a model from bytes in memory: in a browser, in its workers, and in Node.
 *
 * Needs nothing of Node. The model lives on the calling thread and blocks it during a forward pass, or in
 * a Web Worker that the caller gives.
 */

import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { isJsonObject, type JsonValue } from "../checkpoint/json.ts";
import { combineFiles } from "../checkpoint/safetensors/combine-files.ts";
import { openSafetensorsBytes } from "../checkpoint/safetensors/safetensors-bytes.ts";
import { JetonError } from "../core/index.ts";
import { type Device, type DeviceChoice, type Remote, startInline } from "../tensor/index.ts";
import { readTokenizerSettings } from "../tokenizer/formats/tokenizer-settings.ts";
import { createTokenizer } from "../tokenizer/tokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer-interface.ts";
import { type DecoderConfig, decoderConfig } from "./decoder/config.ts";
import { matrixGroups } from "./decoder/decoder-names.ts";
import { readableEntries, storedNames, withStoredHead } from "./decoder/stored-names.ts";
import { checkWeights, defaultFormat, parameterCount, startDecoderModel } from "./decoder-model.ts";
import { modelDevice } from "./model-device.ts";
import type { LoadedModel, LoadModelOptions, WeightFormat } from "./types.ts";
import { bindBytes, packedBytes } from "./weights/bind-bytes.ts";
import {
  parseWeights,
  renameStored,
  type StoredTensors,
  type WeightsFile,
} from "./weights/parse-weights.ts";
import { readRowsOf } from "./weights/repeated-tensor.ts";
import { decodeMatrix, type FilePlace } from "./weights/split-experts.ts";
import { storedShapes } from "./weights/trace-weights.ts";
import type { DecoderService, DecoderStart } from "./worker/decoder-service.ts";
import * as decoderService from "./worker/decoder-service.ts";
import { startPageDecoder } from "./worker/page-decoder.ts";

export type { WeightsFile } from "./weights/parse-weights.ts";

/** Parsed contents of the small files of a checkpoint folder. */
export interface ModelFiles {
  /** `config.json`; undefined where a `StaticEmbedding` of sentence-transformers has none. */
  readonly config: unknown;
  /** `generation_config.json`, where the folder has one. */
  readonly generationConfig?: unknown;
  /** `tokenizer.json`. */
  readonly tokenizer: unknown;
  /** `tokenizer_config.json`, where the folder has one. */
  readonly tokenizerConfig?: unknown;
  /** `special_tokens_map.json`, where the folder has one. */
  readonly specialTokensMap?: unknown;
  /** Text of `chat_template.jinja`, where the folder has one. */
  readonly chatTemplate?: string;
}

/** Options of `openModel`. */
export interface OpenModelOptions
  extends Pick<
    LoadModelOptions,
    "format" | "slots" | "contextLength" | "exact" | "onProgress" | "onWarning" | "signal"
  > {
  /** What the model is called. Default `"model"`. */
  name?: string;
  /** Where the files came from: what `LoadedModel.folder` says. Default: empty. */
  folder?: string;
  files: ModelFiles;
  /** One file, or all shards. Their memory is viewed, not copied, until the model is open. */
  weights: readonly WeightsFile[];
  /**
   * True: `LoadedModel.stored` gives the weights as they are stored, for compressors and hypernetworks, which read the
   * model's tables; with a `worker` a copy of them. Default false.
   */
  keepWeights?: boolean;
  /**
   * Default: `cpu` in Node, `wasm` elsewhere. `webgpu` runs on a page's graphics processor, in all formats but
   * int8-channel and with `exact` false; `auto` takes that where it can, and warns why where it cannot.
   */
  device?: DeviceChoice;
  /**
   * Threads of one forward pass. Default: half of the cores, at most 4, on a page that is isolated from
   * other origins (`crossOriginIsolated`), the only kind that may use threads; otherwise, and on WebGPU, 1.
   */
  threads?: number;
  /**
   * A module worker whose script imports `jeton/browser-worker`: weights are packed and passes run there,
   * and the calling thread stays responsive. It belongs to the model, which ends it, and the memory of
   * `weights` moves to it: the arrays are empty afterwards. Default: none, the calling thread.
   */
  worker?: Worker;
}

/**
 * Opens a model from bytes in memory. Quantized formats are packed in memory, every time.
 *
 * @example
 * await using model = await openModel({
 *   files: { config, tokenizer },
 *   weights: [{ name: "model.safetensors", data }],
 * });
 *
 * @throws JetonError `config-invalid`, `checkpoint-weights-missing`, `checkpoint-tensor-ambiguous`,
 *   `model-family-unknown`, `model-weights-missing`, `model-weights-shape`, `model-weights-dtype`,
 *   `model-option-invalid`, `webgpu-missing`, `webgpu-runtime-missing`, `webgpu-format`,
 *   `model-exact-unsupported`, and the codes of `parseSafetensorsHeader` and of `createTokenizer`
 */
export async function openModel(options: OpenModelOptions): Promise<LoadedModel> {
  try {
    return await openParsed(options);
  } catch (error) {
    options.worker?.terminate();
    throw error;
  }
}

async function openParsed(options: OpenModelOptions): Promise<LoadedModel> {
  const { files, weights, signal, slots = 16 } = options;
  signal?.throwIfAborted();
  const configs = readConfigFiles(files);
  const described = decoderConfig(configs.config);
  const tokenizer = readTokenizerFiles(files);
  const stored = splitStored(storedTensors(weights), described);
  const { tensors } = stored;
  const config = await withStoredHead(described, tensors, readRowsOf(stored));
  checkWeights(tensors, config);
  const format = options.format ?? defaultFormat({ tensors });
  const { name = "model" } = options;
  const device = await modelDevice({ ...options, name, device: options.device, format });
  const { threads = defaultThreads(device) } = options;
  const kept = keptCheckpoint(options, configs);
  const { start, weightBytes } = await startOf(stored, config, format, { ...options, device });
  return startDecoderModel(
    {
      name,
      folder: options.folder ?? "",
      checkpoint: { ...configs, tensors, files: weights.map(({ name }) => name) },
      tokenizer,
      config,
      format,
      threads,
      slots,
      exact: device === "webgpu" ? false : options.exact,
      contextLength: options.contextLength,
      weightBytes,
      bindings: new Map(),
      ...(device && { device }),
      inline: options.worker === undefined,
      ...(kept && { stored: kept }),
    },
    start,
    options,
  );
}

/** The stored weights as a checkpoint that outlives the opening, where they are wanted. */
function keptCheckpoint(
  { weights, worker, folder = "", keepWeights = false }: OpenModelOptions,
  configs: Pick<Checkpoint, "config" | "generationConfig">,
): Checkpoint | undefined {
  if (!keepWeights) return undefined;
  const files = weights.map(({ name, data }) =>
    openSafetensorsBytes(worker ? data.slice() : data, name),
  );
  const tensors = new Map(files.flatMap((file) => [...file.tensors]));
  return { ...configs, folder, ...combineFiles(files, tensors) };
}

/** Packs weights where the decoder will live, and says how it starts there. */
async function startOf(
  stored: StoredTensors,
  config: DecoderConfig,
  format: WeightFormat,
  {
    worker,
    device,
    onProgress,
    signal,
  }: Omit<OpenModelOptions, "device"> & { readonly device: Device | undefined },
): Promise<{
  start: (start: DecoderStart) => Promise<Remote<DecoderService>>;
  weightBytes: number;
}> {
  const { bytes } = stored;
  const groups = matrixGroups(config);
  const weightBytes =
    format === "f32" ? 4 * parameterCount(stored) : packedBytes(stored.tensors, groups, format);
  const widens = device === "webgpu";
  const options = {
    widens,
    onProgress: (done: number, total: number) => onProgress?.({ stage: "pack", done, total }),
    signal,
  };
  if (worker === undefined) {
    const bindings = await bindBytes(stored, groups, format, options);
    const start = (parts: DecoderStart) =>
      startInline<DecoderService>(decoderService, "createDecoderService", { ...parts, bindings });
    return { start, weightBytes };
  }
  const tensors = storedShapes(stored.tensors);
  const remote = await startPageDecoder(
    worker,
    { tensors, bytes, groups, format, widens },
    options,
  );
  const start = async (parts: DecoderStart) => {
    try {
      await remote.start(parts);
    } catch (error) {
      await remote.close();
      throw error;
    }
    return remote;
  };
  return { start, weightBytes };
}

/** Threads of a pass where the caller names none; on WebGPU they have next to nothing to do. */
export function defaultThreads(device?: Device): number {
  const { crossOriginIsolated, navigator } = globalThis;
  return crossOriginIsolated === true && device !== "webgpu"
    ? Math.min(4, Math.ceil(navigator.hardwareConcurrency / 2))
    : 1;
}

/** The configurations of a checkpoint's small files. @throws JetonError `config-invalid` */
export function readConfigFiles({
  config,
  generationConfig,
}: Pick<ModelFiles, "config" | "generationConfig">): Pick<
  Checkpoint,
  "config" | "generationConfig"
> {
  return {
    config: jsonObject(config, "config.json"),
    ...(generationConfig !== undefined && {
      generationConfig: jsonObject(generationConfig, "generation_config.json"),
    }),
  };
}

/** The tokenizer of a checkpoint's small files. @throws JetonError those of `createTokenizer` */
export function readTokenizerFiles({
  tokenizer,
  tokenizerConfig: config,
  specialTokensMap,
  chatTemplate,
}: Pick<
  ModelFiles,
  "tokenizer" | "tokenizerConfig" | "specialTokensMap" | "chatTemplate"
>): Tokenizer {
  return createTokenizer(
    tokenizer,
    readTokenizerSettings({
      ...{ config, specialTokensMap },
      ...(chatTemplate !== undefined && { chatTemplate }),
    }),
  );
}

/** A parsed configuration file. @throws JetonError `config-invalid` for one that holds no object */
function jsonObject(value: unknown, file: string): LoadedModel["checkpoint"]["config"] {
  if (isJsonObject(value as JsonValue)) return value as LoadedModel["checkpoint"]["config"];
  throw new JetonError(`${file} must hold a JSON object`, {
    code: "config-invalid",
    details: {
      path: file,
      found: Array.isArray(value) ? "array" : typeof value,
      expected: "object",
    },
  });
}

/** The decoder's tensors of all files, by its own names; a name may occur in one of them only. */
function storedTensors(weights: readonly WeightsFile[]): StoredTensors {
  const stored = parseWeights(weights);
  const own = storedNames(stored.tensors.keys());
  return own ? renameStored(stored, own) : stored;
}

/** The same with stacked experts as parts of their own, decoded where they are encoded or transposed. */
export function splitStored(stored: StoredTensors, config: DecoderConfig): StoredTensors {
  const tensors = readableEntries(stored.tensors, config);
  if (tensors === stored.tensors) return stored;
  const files = new Map(
    Array.from(stored.tensors, ([name, entry]) => [name, { entry, data: stored.bytes.get(name)! }]),
  );
  const read = ({ file, offset, length }: FilePlace): Uint8Array => {
    for (const { entry, data } of files.values()) {
      const start = offset - entry.offset;
      if (entry.file !== file || start < 0 || start + length > data.length) continue;
      return data.slice(start, start + length);
    }
    throw new JetonError(`${file} has no tensor at byte ${offset}`, {
      code: "model-weights-missing",
      details: { file, offset },
    });
  };
  const bytes = new Map(
    Array.from(tensors, ([name, entry]) => [
      name,
      (entry.encoding ? undefined : stored.bytes.get(name)) ?? decodeMatrix(entry, read),
    ]),
  );
  return { tensors, bytes };
}
