/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Opens a checkpoint folder in the ecosystem's format: `config.json`, and weights either in one
 * `model.safetensors` or in shards that `model.safetensors.index.json` lists.
 */
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { JetonError } from "../core/index.ts";
import { type ModelConfig, readConfig, readGenerationConfig, readJsonObject } from "./config.ts";
import { fileError } from "./files/file-error.ts";
import { checkNotQuantized, foreignFormatError } from "./foreign-formats.ts";
import { isJsonObject, type JsonObject } from "./json.ts";
import { combineFiles } from "./safetensors/combine-files.ts";
import { openSafetensors, type SafetensorsFile } from "./safetensors/safetensors.ts";
import type { TensorEntry } from "./safetensors/safetensors-header.ts";
import type { TensorReader } from "./safetensors/tensor-reader.ts";

/** The file of weights that are not sharded. */
export const singleWeightsName = "model.safetensors";
/** The file that says which shard holds which tensor. */
export const weightsIndexName = "model.safetensors.index.json";

/** An open checkpoint folder. It holds a file descriptor for each weight file until it is closed. */
export interface Checkpoint extends TensorReader {
  /** Absolute path of the folder, symbolic links resolved. */
  readonly folder: string;
  /** Absolute paths of the weight files, symbolic links resolved, in the order of their names. */
  readonly files: readonly string[];
  /** Every tensor by name. `file` is a real path: fit for ONNX external data. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** `__metadata__` of the weight files; of several files with one key, the first file's holds. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly config: ModelConfig;
  /** Absent where the folder has no `generation_config.json`. */
  readonly generationConfig?: JsonObject;
  /** Closes the weight files after the reads under way; calling it again does nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Options of `openCheckpoint`. */
export interface OpenCheckpointOptions {
  /** What stands in the place of `config.json`, which need not be there. Default: the file. */
  readonly config?: ModelConfig;
}

/**
 * Opens a checkpoint folder; reads headers and configuration, no weights.
 *
 * @example
 * const checkpoint = await openCheckpoint("models/jeton-nano");
 * const embedding = await checkpoint.readRows("model.embed_tokens.weight", 42, 1);
 * await checkpoint.close();
 *
 * @throws JetonError `checkpoint-not-found`, `checkpoint-weights-missing`,
 * `checkpoint-format-unsupported` (GGUF, ONNX, pickle), `checkpoint-quantized` (GPTQ, AWQ, FP8, …),
 * `checkpoint-index-invalid`, `checkpoint-shard-name-invalid`, `checkpoint-shard-missing`,
 * `checkpoint-tensor-missing`, `checkpoint-tensor-ambiguous`, and the codes of `openSafetensors` and
 * `readConfig`.
 */
export async function openCheckpoint(
  folder: string,
  options: OpenCheckpointOptions = {},
): Promise<Checkpoint> {
  const root = await resolveFolder(folder);
  await checkFormat(root);
  const config = options.config ?? (await readConfig(root));
  checkNotQuantized(root, config);
  const generationConfig = await readGenerationConfig(root);
  const weights = await openWeights(root);
  return { folder: root, config, ...(generationConfig && { generationConfig }), ...weights };
}

type Weights = Omit<Checkpoint, "folder" | "config" | "generationConfig">;

async function resolveFolder(folder: string): Promise<string> {
  try {
    const root = await realpath(folder);
    if ((await stat(root)).isDirectory()) return root;
  } catch (cause) {
    if (fileError(cause, folder).code !== "file-not-found") throw fileError(cause, folder);
  }
  throw new JetonError(`${folder} is not a folder; expected a checkpoint folder`, {
    code: "checkpoint-not-found",
    details: { folder, expected: "a folder with config.json and *.safetensors" },
  });
}

/** Throws `checkpoint-format-unsupported` if the only weights are in a format that is not read. */
async function checkFormat(root: string): Promise<void> {
  const names = (await readdir(root)).sort();
  if (names.includes(singleWeightsName) || names.includes(weightsIndexName)) return;
  const error = foreignFormatError(root, names);
  if (error !== undefined) throw error;
}

async function openWeights(root: string): Promise<Weights> {
  const names = new Set(await readdir(root));
  if (names.has(singleWeightsName)) {
    const file = await openSafetensors(join(root, singleWeightsName));
    return combineFiles([file], file.tensors);
  }
  if (names.has(weightsIndexName)) return openShards(root, names);
  throw new JetonError(`${root} holds neither ${singleWeightsName} nor ${weightsIndexName}`, {
    code: "checkpoint-weights-missing",
    details: { folder: root, found: [...names].sort().slice(0, 50) },
  });
}

/** Opens every shard that the index names and lists the tensors, each from the shard it should be in. */
async function openShards(root: string, names: ReadonlySet<string>): Promise<Weights> {
  const path = join(root, weightsIndexName);
  const shardOf = await readWeightMap(path);
  const shardNames = [...new Set(shardOf.values())].sort();
  for (const name of shardNames) {
    if (names.has(name)) continue;
    throw new JetonError(`${path} names the shard ${name}, which is not in the folder`, {
      code: "checkpoint-shard-missing",
      details: { path, found: name },
    });
  }
  const shards = new Map<string, SafetensorsFile>();
  try {
    for (const name of shardNames) shards.set(name, await openSafetensors(join(root, name)));
    return combineFiles([...shards.values()], mergeShards(shards, shardOf, path));
  } catch (error) {
    await Promise.all([...shards.values()].map((shard) => shard.close()));
    throw error;
  }
}

/**
 * Reads which shard holds which tensor: file names beside the index, checked to be nothing else.
 *
 * @throws JetonError `checkpoint-index-invalid`, `checkpoint-shard-name-invalid`, and the codes of
 * `readJsonObject`.
 */
export async function readWeightMap(path: string): Promise<Map<string, string>> {
  const { weight_map: weightMap } = await readJsonObject(path);
  if (!isJsonObject(weightMap)) {
    throw new JetonError(`${path} has no weight_map object`, {
      code: "checkpoint-index-invalid",
      details: { path, found: weightMap, expected: "{ tensor: shard }" },
    });
  }
  const shardOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(weightMap)) {
    // A plain file name beside the index: nothing that leads out of the folder.
    if (typeof shard !== "string" || !/^[^/\\:\0]+\.safetensors$/.test(shard)) {
      throw new JetonError(
        `${path} maps ${JSON.stringify(tensor)} to ${JSON.stringify(shard)?.slice(0, 200)}; ` +
          "expected the name of a .safetensors file in the same folder",
        { code: "checkpoint-shard-name-invalid", details: { path, tensor, found: shard } },
      );
    }
    shardOf.set(tensor, shard);
  }
  return shardOf;
}

function mergeShards(
  shards: ReadonlyMap<string, SafetensorsFile>,
  shardOf: ReadonlyMap<string, string>,
  path: string,
): Map<string, TensorEntry> {
  const tensors = new Map<string, TensorEntry>();
  for (const [name, shardName] of shardOf) {
    const entry = shards.get(shardName)!.tensors.get(name);
    if (!entry) {
      throw new JetonError(
        `${path} places tensor ${JSON.stringify(name)} in ${shardName}, which does not hold it`,
        { code: "checkpoint-tensor-missing", details: { path, name, found: shardName } },
      );
    }
    tensors.set(name, entry);
  }
  // Tensors that the index forgot are loaded as well, as other tools do, if there is only one.
  for (const shard of shards.values()) {
    for (const [name, entry] of shard.tensors) {
      const known = tensors.get(name);
      if (known && known.file !== entry.file && !shardOf.has(name)) {
        throw new JetonError(
          `tensor ${JSON.stringify(name)} is in ${known.file} and in ${entry.file}, and ${path} does not say which holds`,
          {
            code: "checkpoint-tensor-ambiguous",
            details: { path, name, found: [known.file, entry.file] },
          },
        );
      }
      if (!known) tensors.set(name, entry);
    }
  }
  return tensors;
}
