/** What a checkpoint or a tokenizer is, read from its configuration and its headers. */
import { readdir, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import {
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
import { formatBytes, formatCount } from "../../core/progress.ts";
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
  /** How weights are held in memory unless told otherwise. */
  readonly defaultFormat: string;
}

/** The decoder: as jeton runs it, or where it does not, as far as `config.json` says. */
export interface ArchitectureDescription {
  readonly runs: boolean;
  /** Why it does not run. */
  readonly reason: string | null;
  readonly architecture: string | null;
  readonly family: string | null;
  readonly contextLength: number | null;
  readonly layers: number | null;
  readonly hiddenSize: number | null;
  readonly heads: number | null;
  readonly keyValueHeads: number | null;
  readonly headSize: number | null;
  readonly intermediateSize: number | null;
  readonly vocabSize: number | null;
  readonly tieWordEmbeddings: boolean | null;
  readonly ropeTheta: number | null;
  /** Kind of rope scaling; null where there is none. */
  readonly ropeScaling: string | null;
  readonly slidingWindow: number | null;
  /** Layers with that window; null where it is not known. */
  readonly slidingLayers: number | null;
}

export interface TokenizerDescription {
  readonly kind: string;
  readonly vocabSize: number;
  readonly specialTokens: number;
  readonly beginning: string | null;
  readonly end: string | null;
  readonly padding: string | null;
  readonly unknown: string | null;
  readonly chatTemplate: boolean;
}

/** Whatever a folder or file holds; null stands for what it does not hold. */
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
 * Throws `nothing-to-inspect` when the folder holds none of them, and the codes of the readers.
 */
export async function describeModel(name: string, path: string): Promise<ModelDescription> {
  const absolute = resolve(path);
  if ((await stat(path)).isFile()) {
    const tokenizer = await describeTokenizer(path);
    return { name: basename(path), path: absolute, model: null, weights: null, tokenizer };
  }
  const files = new Set(await readdir(path));
  const hasConfig = files.has("config.json");
  const hasWeights = files.has(singleWeightsName) || files.has(weightsIndexName);
  const config = hasConfig ? await readConfig(path) : undefined;
  const weights = hasConfig && hasWeights ? await describeWeights(path) : null;
  const tokenizer = await describeTokenizer(path).catch((error: unknown) => {
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

/** A hub name as it is, the last part of a path. */
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

/** The decoder as it will run, with what its family adds to the file; of other models the bare file. */
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
    headSize: decoder.headDim,
    intermediateSize: decoder.intermediateSize,
    vocabSize: decoder.vocabSize,
    tieWordEmbeddings: decoder.tieWordEmbeddings,
    ropeTheta: rope?.theta ?? null,
    ropeScaling: rope === undefined || rope.kind === "default" ? null : rope.kind,
    slidingWindow: windows.length === 0 ? null : Math.min(...windows),
    slidingLayers: windows.length,
  };
}

/** The common fields of a configuration, as written. */
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
  const width = number("hidden_size", "n_embd", "d_model");
  const heads = number("num_attention_heads", "n_head");
  return {
    architecture: Array.isArray(architectures) ? text(architectures[0]) : null,
    family: text(config["model_type"]),
    contextLength: number("max_position_embeddings", "n_positions"),
    layers: number("num_hidden_layers", "n_layer"),
    hiddenSize: width,
    heads,
    keyValueHeads: number("num_key_value_heads") ?? heads,
    headSize: number("head_dim") ?? (width !== null && heads !== null ? width / heads : null),
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
    beginning: name(tokenizer.bosTokenId),
    end: name(tokenizer.eosTokenId),
    padding: name(tokenizer.padTokenId),
    unknown: name(tokenizer.unkTokenId),
    chatTemplate: hasChatTemplate(tokenizer),
  };
}

/** A row of labels and one cell for each description; rows that none of them has are left out. */
export function describeRows(descriptions: readonly ModelDescription[]): string[][] {
  const rows: string[][] = [["", ...descriptions.map((description) => description.name)]];
  const add = (label: string, cell: (description: ModelDescription) => string | null): void => {
    const cells = descriptions.map(cell);
    if (cells.every((text) => text === null)) return;
    rows.push([label, ...cells.map((text) => text ?? "-")]);
  };
  const model =
    (pick: (model: ArchitectureDescription) => number | string | null) =>
    (description: ModelDescription): string | null => {
      const value = description.model === null ? null : pick(description.model);
      return value === null ? null : String(value);
    };
  const weights =
    (pick: (weights: WeightsDescription) => string) =>
    (description: ModelDescription): string | null =>
      description.weights === null ? null : pick(description.weights);
  const tokenizer =
    (pick: (tokenizer: TokenizerDescription) => string | null) =>
    (description: ModelDescription): string | null =>
      description.tokenizer === null ? null : pick(description.tokenizer);

  add(
    "architecture",
    model((m) => m.architecture ?? m.family),
  );
  add(
    "does not run",
    model((m) => m.reason),
  );
  add(
    "parameters",
    weights((w) => `${formatCount(w.parameters)} (${w.parameters})`),
  );
  add("stored as", weights(describeDtypes));
  add(
    "size",
    weights((w) => `${formatBytes(w.bytes)} in ${w.files} file${w.files === 1 ? "" : "s"}`),
  );
  add(
    "default format",
    weights((w) => w.defaultFormat),
  );
  add(
    "context length",
    model((m) => m.contextLength),
  );
  add(
    "layers",
    model((m) => m.layers),
  );
  add(
    "width",
    model((m) => m.hiddenSize),
  );
  add("heads", model(describeHeads));
  add(
    "feed-forward",
    model((m) => m.intermediateSize),
  );
  add(
    "vocabulary",
    model((m) => m.vocabSize),
  );
  add(
    "tied embeddings",
    model((m) => yesNo(m.tieWordEmbeddings)),
  );
  add(
    "rope base",
    model((m) => m.ropeTheta),
  );
  add(
    "rope scaling",
    model((m) => m.ropeScaling),
  );
  add("sliding window", model(describeWindow));
  add(
    "tokenizer",
    tokenizer((t) => `${t.kind}, ${t.vocabSize} tokens`),
  );
  add(
    "special tokens",
    tokenizer((t) => String(t.specialTokens)),
  );
  add(
    "beginning",
    tokenizer((t) => t.beginning),
  );
  add(
    "end",
    tokenizer((t) => t.end),
  );
  add(
    "chat template",
    tokenizer((t) => yesNo(t.chatTemplate)),
  );
  add("folder", (description) => description.path);
  return rows;
}

function describeDtypes({ dtypes, parameters }: WeightsDescription): string {
  const names = Object.keys(dtypes);
  if (names.length === 1) return names[0]!;
  const percent = (count: number): string => `${((count / parameters) * 100).toFixed(1)} %`;
  return names.map((name) => `${name} ${percent(dtypes[name]!)}`).join(", ");
}

function describeHeads({ heads, keyValueHeads, headSize }: ArchitectureDescription): string | null {
  if (heads === null) return null;
  const keyValue = keyValueHeads === heads ? "" : `, ${keyValueHeads} for keys and values`;
  return `${heads}${keyValue}${headSize === null ? "" : `, of ${headSize}`}`;
}

function describeWindow({
  slidingWindow,
  slidingLayers,
  layers,
}: ArchitectureDescription): string | null {
  if (slidingWindow === null) return null;
  const some = slidingLayers !== null && slidingLayers !== layers;
  return `${slidingWindow}${some ? ` in ${slidingLayers} of ${layers} layers` : ""}`;
}

function yesNo(value: boolean | null): string | null {
  return value === null ? null : value ? "yes" : "no";
}
