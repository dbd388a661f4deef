/** Describes a checkpoint or a tokenizer from its configuration and its headers. */
import { readdir, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import {
  checkpointFolder,
  type JsonObject,
  type JsonValue,
  type ModelConfig,
  openCheckpoint,
  readConfig,
  singleWeightsName,
  textConfig,
  weightsIndexName,
} from "../../checkpoint/index.ts";
import { JetonError } from "../../core/error.ts";
import { type DecoderConfig, decoderConfig, defaultFormat } from "../../model/index.ts";
import { hasChatTemplate, loadTokenizer } from "../../tokenizer/index.ts";

/** Weights as stored. */
export interface WeightsDescription {
  readonly parameters: number;
  readonly tensors: number;
  /** Parameters by stored type. */
  readonly dtypes: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly files: number;
  /** Default format of the weights in memory. */
  readonly defaultFormat: string;
}

/** The decoder as jeton runs it; for an unsupported model the fields of `config.json`. */
export interface ArchitectureDescription {
  readonly runs: boolean;
  /** Why the model does not run; null if it does. */
  readonly reason: string | null;
  readonly architecture: string | null;
  readonly family: string | null;
  readonly contextLength: number | null;
  readonly layers: number | null;
  readonly hiddenSize: number | null;
  readonly heads: number | null;
  readonly keyValueHeads: number | null;
  readonly headDim: number | null;
  readonly intermediateSize: number | null;
  readonly vocabSize: number | null;
  readonly tieWordEmbeddings: boolean | null;
  readonly ropeTheta: number | null;
  /** Kind of RoPE scaling; null without scaling. */
  readonly ropeScaling: string | null;
  readonly slidingWindow: number | null;
  /** Number of layers with that window; null if unknown. */
  readonly slidingLayers: number | null;
}

export interface TokenizerDescription {
  readonly kind: string;
  readonly vocabSize: number;
  readonly specialTokens: number;
  readonly bosToken: string | null;
  readonly eosToken: string | null;
  readonly padToken: string | null;
  readonly unkToken: string | null;
  readonly chatTemplate: boolean;
}

/** The contents of a folder or file; null for a part that it does not contain. */
export interface ModelDescription {
  readonly name: string;
  readonly path: string;
  readonly model: ArchitectureDescription | null;
  readonly weights: WeightsDescription | null;
  readonly tokenizer: TokenizerDescription | null;
}

/**
 * Describes a checkpoint folder, a folder with a part of one, or a tokenizer file. Reads headers and
 * configuration, no weights.
 *
 * @throws JetonError `nothing-to-inspect` if the folder contains neither a configuration nor a
 * tokenizer, and the errors of the readers
 */
export async function describeModel(name: string, path: string): Promise<ModelDescription> {
  const absolute = resolve(path);
  if ((await stat(path)).isFile()) {
    const tokenizer = await describeTokenizer(path);
    return { name: basename(path), path: absolute, model: null, weights: null, tokenizer };
  }
  const folder = await checkpointFolder(path);
  const files = new Set(await readdir(folder));
  const hasConfig = files.has("config.json");
  const hasWeights = files.has(singleWeightsName) || files.has(weightsIndexName);
  const config = hasConfig ? await readConfig(folder) : undefined;
  const weights = hasConfig && hasWeights ? await describeWeights(folder) : null;
  const tokenizer = await describeTokenizer(folder).catch((error: unknown) => {
    if (JetonError.isInstance(error) && error.code === "tokenizer-not-found") return null;
    throw error;
  });
  if (config === undefined && tokenizer === null) {
    throw new JetonError(`${path} holds neither a checkpoint nor a tokenizer`, {
      code: "nothing-to-inspect",
      details: { path, expected: "config.json, *.safetensors, tokenizer.json", found: [...files] },
    });
  }
  const model = config === undefined ? null : describeArchitecture(config);
  return { name: displayName(name, absolute), path: absolute, model, weights, tokenizer };
}

/** A hub name unchanged; of a path its last part. */
function displayName(name: string, path: string): string {
  return /^[\w.-]+\/[\w.-]+(@.+)?$/.test(name) && resolve(name) !== path ? name : basename(path);
}

async function describeWeights(folder: string): Promise<WeightsDescription> {
  const checkpoint = await openCheckpoint(folder);
  try {
    const dtypes: Record<string, number> = {};
    let parameters = 0;
    for (const { dtype, shape } of checkpoint.tensors.values()) {
      const count = shape.reduce((product, size) => product * size, 1);
      dtypes[dtype] = (dtypes[dtype] ?? 0) + count;
      parameters += count;
    }
    const sizes = await Promise.all(checkpoint.files.map(async (file) => (await stat(file)).size));
    return {
      parameters,
      tensors: checkpoint.tensors.size,
      dtypes,
      bytes: sizes.reduce((sum, size) => sum + size, 0),
      files: checkpoint.files.length,
      defaultFormat: defaultFormat(checkpoint),
    };
  } finally {
    await checkpoint.close();
  }
}

/** The decoder with the defaults of its family; for an unsupported model the fields as written. */
function describeArchitecture(config: ModelConfig): ArchitectureDescription {
  const file = describeFields(textConfig(config));
  let decoder: DecoderConfig;
  try {
    decoder = decoderConfig(config);
  } catch (error) {
    if (!JetonError.isInstance(error)) throw error;
    return { ...file, runs: false, reason: error.message };
  }
  const [rope] = decoder.ropes;
  const windows = decoder.layers.flatMap(({ slidingWindow }) => slidingWindow ?? []);
  return {
    ...file,
    runs: true,
    reason: null,
    contextLength: decoder.contextLength,
    layers: decoder.layers.length,
    hiddenSize: decoder.hiddenSize,
    heads: decoder.numAttentionHeads,
    keyValueHeads: decoder.numKeyValueHeads,
    headDim: decoder.headDim,
    intermediateSize: decoder.intermediateSize,
    vocabSize: decoder.vocabSize,
    tieWordEmbeddings: decoder.tieWordEmbeddings,
    ropeTheta: rope?.theta ?? null,
    ropeScaling: rope === undefined || rope.kind === "default" ? null : rope.kind,
    slidingWindow: windows.length === 0 ? null : Math.min(...windows),
    slidingLayers: windows.length,
  };
}

/** The common fields of `config.json`, as written. */
function describeFields(config: JsonObject): Omit<ArchitectureDescription, "runs" | "reason"> {
  const number = (...keys: string[]): number | null => {
    for (const key of keys) {
      const value = config[key];
      if (typeof value === "number") return value;
    }
    return null;
  };
  const text = (value: JsonValue | undefined): string | null =>
    typeof value === "string" ? value : null;
  const { architectures, tie_word_embeddings: tied } = config;
  const hiddenSize = number("hidden_size", "n_embd", "d_model");
  const heads = number("num_attention_heads", "n_head");
  return {
    architecture: Array.isArray(architectures) ? text(architectures[0]) : null,
    family: text(config["model_type"]),
    contextLength: number("max_position_embeddings", "n_positions"),
    layers: number("num_hidden_layers", "n_layer"),
    hiddenSize,
    heads,
    keyValueHeads: number("num_key_value_heads") ?? heads,
    headDim:
      number("head_dim") ?? (hiddenSize !== null && heads !== null ? hiddenSize / heads : null),
    intermediateSize: number("intermediate_size", "n_inner"),
    vocabSize: number("vocab_size"),
    tieWordEmbeddings: typeof tied === "boolean" ? tied : null,
    ropeTheta: number("rope_theta"),
    ropeScaling: null,
    slidingWindow: number("sliding_window"),
    slidingLayers: null,
  };
}

async function describeTokenizer(path: string): Promise<TokenizerDescription> {
  const tokenizer = await loadTokenizer(path);
  const name = (id: number | undefined): string | null =>
    id === undefined ? null : (tokenizer.idToToken(id) ?? null);
  return {
    kind: tokenizer.kind,
    vocabSize: tokenizer.vocabSize,
    specialTokens: tokenizer.specialTokens.size,
    bosToken: name(tokenizer.bosTokenId),
    eosToken: name(tokenizer.eosTokenId),
    padToken: name(tokenizer.padTokenId),
    unkToken: name(tokenizer.unkTokenId),
    chatTemplate: hasChatTemplate(tokenizer),
  };
}
