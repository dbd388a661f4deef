/**
 * Opens an encoder from bytes in memory: in a browser, in its workers, and in Node.
 *
 * Needs nothing of Node. The encoder lives on the calling thread and blocks it during a forward pass.
 */
import { type JsonObject, type JsonValue, parseJson } from "../../checkpoint/json.ts";
import { staticModuleConfig } from "../../checkpoint/module-list.ts";
import { combineFiles } from "../../checkpoint/safetensors/combine-files.ts";
import { openSafetensorsBytes } from "../../checkpoint/safetensors/safetensors-bytes.ts";
import type { TensorReader } from "../../checkpoint/safetensors/tensor-reader.ts";
import type { ModelConfig } from "../../checkpoint/text-config.ts";
import { JetonError } from "../../core/index.ts";
import { type DeviceChoice, startInline } from "../../tensor/index.ts";
import { checkShapes, defaultFormat } from "../decoder-model.ts";
import { modelDevice } from "../model-device.ts";
import {
  defaultThreads,
  type ModelFiles,
  readConfigFiles,
  readTokenizerFiles,
  splitStored,
} from "../open-model.ts";
import { bindBytes } from "../weights/bind-bytes.ts";
import {
  parseWeights,
  renameStored,
  type StoredTensors,
  type WeightsFile,
} from "../weights/parse-weights.ts";
import { readRowsOf } from "../weights/repeated-tensor.ts";
import { shapesOn } from "../weights/widen-stored.ts";
import type { EncoderService, EncoderStart } from "../worker/encoder-service.ts";
import * as encoderService from "../worker/encoder-service.ts";
import { encoderConfig } from "./config.ts";
import { EncoderModel } from "./encoder-model.ts";
import { encoderMatrixGroups } from "./encoder-names.ts";
import { encoderHeads, tieRepeatedHead } from "./heads/heads.ts";
import { addBlockBytes, addBlocks } from "./mixer/mixer-names.ts";
import { encoderParameterShapes } from "./parameter-shapes.ts";
import type { FolderFiles } from "./sentence/folder-files.ts";
import { hasModuleList, readingModule, readSentenceFolder } from "./sentence/sentence-folder.ts";
import { sentencePipeline } from "./sentence/sentence-modules.ts";
import { openStatic } from "./static/open-static.ts";
import { isStaticConfig } from "./static/static-config.ts";
import { withStoredLayout } from "./stored-layout.ts";
import { encoderStoredNames } from "./stored-names.ts";
import type { LoadEncoderOptions, LoadedEncoder } from "./types.ts";

/** Options of `openEncoder`. */
export interface OpenEncoderOptions
  extends Pick<
    LoadEncoderOptions,
    "format" | "contextLength" | "onProgress" | "onWarning" | "signal"
  > {
  /** What the model is called. Default `"model"`. */
  readonly name?: string;
  /** Where the files came from: what `LoadedEncoder.folder` says. Default: empty. */
  readonly folder?: string;
  readonly files: Pick<ModelFiles, "config" | "tokenizer" | "tokenizerConfig" | "specialTokensMap">;
  /** One file, or all shards. Their memory is viewed, not copied. */
  readonly weights: readonly WeightsFile[];
  /**
   * Reads further files of the folder, which sentence-transformers puts there: `modules.json` and what it names.
   * Undefined for a file that is not there. Default: there are none.
   */
  readonly readFile?: (path: string) => Promise<Uint8Array | undefined>;
  /** As of `openModel`. */
  readonly device?: DeviceChoice;
  /** Threads of one forward pass. Default: as `openModel`. */
  readonly threads?: number;
}

/**
 * Opens an encoder from bytes in memory, with the modules of its folder.
 *
 * @throws JetonError `config-invalid`, `checkpoint-weights-missing`, `checkpoint-tensor-ambiguous`,
 *   `model-family-unknown`, `model-config-invalid`, `model-weights-missing`, `model-weights-shape`,
 *   `encoder-module-unknown`, `encoder-module-invalid`, and those of a device: see `openModel`
 */
export async function openEncoder(options: OpenEncoderOptions): Promise<LoadedEncoder> {
  const { files, weights, signal, onProgress } = options;
  signal?.throwIfAborted();
  const modules = new MemoryFolder(options.readFile);
  const given = files.config as JsonObject | undefined;
  const stated = staticModuleConfig(await readingModule(modules), given) ?? given;
  const { config: configFile } = readConfigFiles({ config: stated });
  if (isStaticConfig(configFile)) return openStaticBytes(options, configFile, modules);
  const hasModules = await hasModuleList(modules);
  const described = encoderConfig(configFile, { hasModules });
  const tokenizer = readTokenizerFiles(files);
  const stored = parseWeights(weights);
  const names = encoderStoredNames(described, stored.tensors.keys());
  const renamed = renameStored(stored, names);
  const { backbone } = described;
  const { tensors: named, bytes: namedBytes } = backbone ? splitStored(renamed, backbone) : renamed;
  const ownBytes = new Map(namedBytes);
  const laidOut = withStoredLayout(described, named);
  checkShapes(named, encoderParameterShapes(laidOut));
  const format = options.format ?? defaultFormat({ tensors: named });
  const { name = "model", onWarning } = options;
  const device = await modelDevice({
    ...{ name, device: options.device, format, onWarning },
    hasFloat64: laidOut.mixer !== undefined,
  });
  const { threads = defaultThreads(device) } = options;
  const { sentence, tensors: own } = await readSentenceFolder(modules, laidOut, {
    tokenizer,
    shape: (name) => named.get(name)?.shape,
  });
  for (const name of own.keys()) ownBytes.set(name, modules.bytes.get(name)!);
  const read = readRowsOf({ tensors: named, bytes: ownBytes });
  const { config, tensors: kept } = await tieRepeatedHead(laidOut, named, read);
  for (const name of named.keys()) if (!kept.has(name)) ownBytes.delete(name);
  const tensors = addBlocks(config, new Map([...kept, ...own]));
  const bytes = addBlockBytes(config, ownBytes);
  const bindings = await bindBytes({ tensors, bytes }, encoderMatrixGroups(config), format, {
    widens: device === "webgpu",
    onProgress: (done, total) => onProgress?.({ stage: "pack", done, total }),
    signal,
  });
  const start = {
    ...{ config, pipeline: sentencePipeline(sentence), tensors: shapesOn(device, tensors) },
    ...{ bindings, format, threads },
    ...(device && { device }),
  } satisfies EncoderStart;
  const service = await startInline<EncoderService>(encoderService, "createEncoderService", start);
  const { contextLength = config.contextLength } = options;
  return new EncoderModel({
    name,
    folder: options.folder ?? "",
    checkpoint: { config: configFile, tensors, files: weights.map(({ name }) => name) },
    tokenizer,
    config,
    format,
    threads,
    contextLength: Math.min(contextLength, config.contextLength),
    sentence,
    heads: [...encoderHeads(config, (name) => tensors.has(name)).keys()],
    service,
  });
}

/** Opens a static model, which needs no runtime and no graphics processor. */
async function openStaticBytes(
  { name = "model", folder = "", files, weights, device, ...options }: OpenEncoderOptions,
  config: ModelConfig,
  modules: FolderFiles,
): Promise<LoadedEncoder> {
  if (device === "webgpu") {
    throw new JetonError(
      `${name} is a static model, which is read on the calling thread, not on WebGPU: leave device out`,
      { code: "model-option-invalid", details: { option: "device", value: device } },
    );
  }
  // Two files with one name of a tensor are refused there.
  const { tensors } = parseWeights(weights);
  const parts = weights.map(({ name, data }) => openSafetensorsBytes(data, name));
  const checkpoint = { ...combineFiles(parts, tensors), config };
  const tokenizer = readTokenizerFiles(files);
  return openStatic({ name, folder, files: modules, checkpoint, tokenizer }, options);
}

/** A folder whose files are read into memory. */
class MemoryFolder implements FolderFiles {
  readonly #readFile: (path: string) => Promise<Uint8Array | undefined>;
  /** JSON files by path: in a browser each reading is a request. */
  readonly #read: Map<string, Promise<JsonValue | undefined>> = new Map();
  /** Open files of modules by path. */
  readonly #readers: Map<string, TensorReader> = new Map();
  /** Of the modules' tensors, by `<folder>.<name>`. */
  readonly bytes: Map<string, Uint8Array> = new Map();

  constructor(readFile: OpenEncoderOptions["readFile"] = async () => undefined) {
    this.#readFile = readFile;
  }

  json(path: string): Promise<JsonValue | undefined> {
    const read = this.#read.get(path) ?? this.#readJson(path);
    this.#read.set(path, read);
    return read;
  }

  async #readJson(path: string): Promise<JsonValue | undefined> {
    const file = await this.#readFile(path);
    if (file === undefined) return undefined;
    const text = new TextDecoder().decode(file);
    return parseJson(text, { source: path, code: "config-invalid", allowNonFinite: true });
  }

  async tensors(path: string): Promise<StoredTensors["tensors"]> {
    const data = await this.#readFile(path);
    const { tensors, bytes } = parseWeights(data ? [{ name: path, data }] : []);
    const folder = path.slice(0, path.lastIndexOf("/"));
    for (const [name, own] of bytes) this.bytes.set(`${folder}.${name}`, own);
    if (data) this.#readers.set(path, openSafetensorsBytes(data, path));
    return tensors;
  }

  async float32(path: string, name: string): Promise<Float32Array> {
    if (!this.#readers.has(path)) await this.tensors(path);
    return this.#readers.get(path)!.readFloat32(name);
  }
}
