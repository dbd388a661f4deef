/**
 * Reads what sentence-transformers and PyLate put beside an encoder: `modules.json`, the folders that it
 * names, prompts, and the lengths of queries and documents.
 */
import { isJsonObject, type JsonObject, type JsonValue } from "../../../checkpoint/json.ts";
import {
  type ModuleEntry,
  moduleListName,
  parseModuleList,
  transformerModule,
  uncountedTokens,
} from "../../../checkpoint/module-list.ts";
import type { TensorEntry } from "../../../checkpoint/safetensors/safetensors-header.ts";
import { JetonError } from "../../../core/index.ts";
import type { Tokenizer } from "../../../tokenizer/index.ts";
import {
  type Activation,
  torchActivationNames,
  torchActivationOf,
} from "../../layers/activation.ts";
import type { EncoderConfig } from "../config.ts";
import { checkStaticModules } from "../static/static-config.ts";
import {
  type ScoreActivation,
  scoreActivationNames,
  scoreActivationOf,
} from "../tasks/score-activation.ts";
import type { SentenceSettings } from "../types.ts";
import { type FolderFiles, moduleError, objectOf, optionalJson, pathOf } from "./folder-files.ts";
import type { LateInteraction } from "./late-interaction.ts";
import {
  type LateSources,
  readLateInteraction,
  readMultiVector,
  stanfordLateInteraction,
  xtrLateInteraction,
} from "./late-settings.ts";
import { type PoolingMode, pooledModes } from "./pooling.ts";
import type { VectorModule } from "./sentence-modules.ts";
import { readSparsePooling, type SparsePooling } from "./sparse-pooling.ts";
import {
  checkTransformerSettings,
  maxLength,
  roleLengths,
  transformerSettings,
} from "./text-lengths.ts";

/** Settings of a folder, and the stored tensors of its modules by name. */
export interface SentenceFolder {
  readonly sentence: SentenceSettings;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** What a module may read and write, as sentence-transformers calls it: the default first. */
const features = ["sentence_embedding", "token_embeddings"] as const;

/** Modules that change nothing once a model is trained. */
const ignored = new Set(["Dropout"]);

/** What is known of a checkpoint beside its folder. */
export interface SentenceContext {
  readonly tokenizer: Tokenizer;
  /** Shape of a stored tensor, by the encoder's own name; undefined where there is none. */
  shape(name: string): readonly number[] | undefined;
}

/** Reads a folder with or without `modules.json`. */
export async function readSentenceFolder(
  files: FolderFiles,
  config: EncoderConfig,
  { tokenizer, shape }: SentenceContext,
): Promise<SentenceFolder> {
  const entries = (await readModules(files)) ?? (await findProjection(files, config));
  const settings = await optionalJson(files, "config_sentence_transformers.json");
  const transformer = entries && transformerModule(entries);
  const isStatic = config.static !== undefined;
  // A table of vectors has no settings of its own.
  const own = isStatic ? {} : await transformerSettings(files, transformer?.path ?? "");
  const checkpoint = pathOf(transformer?.path ?? "", "config.json");
  checkTransformerSettings(own, await optionalJson(files, checkpoint));
  const reader = new ModuleReader(files, isStatic);
  const behind = entries?.filter((entry) => entry !== transformer) ?? [];
  if (config.static) checkStaticModules(config.static, behind);
  for (const entry of behind) await reader.read(entry);
  const uncounted = transformer ? uncountedTokens(transformer) : 0;
  const longest = isStatic
    ? config.contextLength
    : maxLength(own, config, { tokenizer, uncounted });
  const projection = entries === undefined ? inlineProjection(config, shape) : undefined;
  if (projection) reader.after.push(projection);
  const kind = projection ? "stanford" : lateKind(entries, reader, settings, own);
  const isLate = kind !== undefined;
  const isXtr = !isLate && isXtrProjection(config, reader.after);
  const plain = entries === undefined && !isLate ? plainPipeline(config, shape) : undefined;
  const modules = plain?.modules ?? (isLate ? [] : reader.after);
  // sentence-transformers' own models have a module for it, where they want it.
  const ownLength = kind === "multi-vector" ? reader.after : withNormalize(reader.after);
  const tokenModules = isLate || isXtr ? ownLength : undefined;
  const prompts = readPrompts(settings);
  const sentence: SentenceSettings = {
    poolings: reader.poolings ?? plain?.poolings ?? ["mean"],
    includePrompt: reader.includePrompt,
    stateModules: reader.stateModules,
    modules,
    tokenModules,
    sparse: reader.sparse,
    maxLength: longest,
    roleLengths: roleLengths(own, config),
    doLowerCase: own["do_lower_case"] === true,
    prompts,
    dimensions: truncatedTo(settings),
    defaultPrompt: optionalString(settings, "default_prompt_name"),
    similarity: optionalString(settings, "similarity_fn_name") ?? (plain && "cosine"),
    scoreActivation: statedActivation(settings) ?? config.scoreActivation,
    lateInteraction: await readLate(
      { settings, own, mask: reader.mask, prompts, tokenizer, longest },
      { kind: isXtr ? "xtr" : kind, type: behind[0]?.type ?? "", files },
    ),
  };
  return { sentence, tensors: reader.tensors };
}

/** How a folder's vectors of texts are made, by name. */
export interface VectorModuleNames {
  /** Undefined where the folder states none. */
  readonly poolings: readonly PoolingMode[] | undefined;
  /** What else changes a vector's direction, or a text: modules by their class, and prompts. */
  readonly others: readonly string[];
}

/** Reads which modules of a folder make vectors of texts, without their weights. @throws JetonError `encoder-module-invalid` */
export async function readVectorModuleNames(files: FolderFiles): Promise<VectorModuleNames> {
  const entries = (await readModules(files)) ?? [];
  const pooling = entries.find(({ kind }) => kind === "Pooling");
  const modules = entries.filter(({ kind }) => kind === "Dense" || kind === "LayerNorm");
  const prompts = readPrompts(await optionalJson(files, "config_sentence_transformers.json"));
  const isPrompted = Object.values(prompts).some((prompt) => prompt !== "");
  return {
    poolings: pooling && pooledModes(await moduleConfig(files, pooling.path)),
    others: [
      ...modules.map(({ kind, path }) => `a ${kind} module in ${path}`),
      ...(isPrompted ? ["prompts"] : []),
    ],
  };
}

/** The layouts of late-interaction models. */
type LateKind = "pylate" | "multi-vector" | "stanford" | "xtr";

/** PyLate states how texts are prepared in one file, sentence-transformers' own models in those of their modules. */
function lateKind(
  entries: readonly ModuleEntry[] | undefined,
  { poolings, mask }: ModuleReader,
  settings: JsonObject,
  own: JsonObject,
): LateKind | undefined {
  if (entries === undefined || poolings !== undefined) return undefined;
  const states = (file: JsonObject, keys: readonly string[]): boolean =>
    keys.some((key) => file[key] !== undefined && file[key] !== null);
  const stated = ["query_length", "document_length", "query_prefix", "document_prefix"];
  if (states(settings, stated) || settings["model_type"] === "ColBERT") return "pylate";
  const isNative =
    mask !== undefined ||
    settings["model_type"] === "MultiVectorEncoder" ||
    states(own, ["query_length", "document_length", "query_expansion"]);
  return isNative ? "multi-vector" : undefined;
}

async function readLate(
  sources: LateSources,
  of: { readonly kind: LateKind | undefined; readonly type: string; readonly files: FolderFiles },
): Promise<LateInteraction | undefined> {
  switch (of.kind) {
    case "pylate":
      return readLateInteraction(sources, of.type);
    case "multi-vector":
      return readMultiVector(sources);
    case "stanford":
      return stanfordLateInteraction(sources, await optionalJson(of.files, "artifact.metadata"));
    case "xtr":
      return xtrLateInteraction(Math.min(xtrDocumentLength, sources.longest));
    case undefined:
      return undefined;
  }
}

/** The projection that checkpoints of the first ColBERT keep beside the encoder. */
function inlineProjection(
  { hiddenSize }: EncoderConfig,
  shape: SentenceContext["shape"],
): VectorModule | undefined {
  const [outputs, inputs] = shape("linear.weight") ?? [];
  if (outputs === undefined || inputs !== hiddenSize) return undefined;
  return { kind: "dense", name: "linear", inputs, outputs, bias: false, activation: "identity" };
}

/** How a folder without modules makes vectors, where its family says so: M2-BERT's by the pooler, for cosines. */
function plainPipeline(
  { mixer, hiddenSize }: EncoderConfig,
  shape: SentenceContext["shape"],
): Pick<SentenceSettings, "poolings" | "modules"> | undefined {
  if (mixer === undefined) return undefined;
  const size = { inputs: hiddenSize, outputs: hiddenSize };
  const modules: VectorModule[] = shape("pooler.dense.weight")
    ? [{ kind: "dense", name: "pooler.dense", ...size, bias: true, activation: "tanh" }]
    : [];
  return { poolings: [mixer.poolsAll ? "mean" : "cls"], modules };
}

/** Where XTR's projection lies, also in a folder without `modules.json`. */
const xtrPath = "2_Dense";
const xtrDocumentLength = 512;

async function findProjection(
  files: FolderFiles,
  { family }: EncoderConfig,
): Promise<readonly ModuleEntry[] | undefined> {
  if (family !== "t5") return undefined;
  if ((await files.json(pathOf(xtrPath, "config.json"))) === undefined) return undefined;
  const module = (path: string, kind: string): ModuleEntry => ({ path, kind, type: kind });
  return [module("", "Transformer"), module(xtrPath, "Dense")];
}

/**
 * Whether modules are XTR's: one plain matrix behind a T5 encoder that makes vectors shorter. Models of whole texts with
 * such a matrix (GTR, sentence-T5) keep the width.
 */
function isXtrProjection(
  { family, hiddenSize }: EncoderConfig,
  modules: readonly VectorModule[],
): boolean {
  const [dense, ...others] = modules;
  if (family !== "t5" || dense?.kind !== "dense") return false;
  const isPlain = !dense.bias && dense.activation === "identity" && dense.outputs < hiddenSize;
  return isPlain && others.every(({ kind }) => kind === "normalize");
}

/** PyLate, ColBERT and XTR give vectors of tokens the length 1, whether or not a module says so. */
function withNormalize(modules: readonly VectorModule[]): VectorModule[] {
  return modules.at(-1)?.kind === "normalize" ? [...modules] : [...modules, { kind: "normalize" }];
}

/** `activation_fn`, which newer cross encoders keep beside their prompts. */
function statedActivation(settings: JsonObject): ScoreActivation | undefined {
  const name = settings["activation_fn"];
  if (name === undefined || name === null) return undefined;
  const known = scoreActivationOf(name);
  if (known) return known;
  const expected = scoreActivationNames.join(", ");
  throw moduleError("config_sentence_transformers.json", "activation_fn", name, expected);
}

/** `truncate_dim`: only the first so many numbers of each vector. */
function truncatedTo(settings: JsonObject): number | undefined {
  const value = settings["truncate_dim"];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
  throw moduleError(
    "config_sentence_transformers.json",
    "truncate_dim",
    value,
    "a positive number",
  );
}

function readPrompts(settings: JsonObject): Record<string, string> {
  const prompts = settings["prompts"];
  if (!isJsonObject(prompts)) return {};
  return Object.fromEntries(
    Object.entries(prompts).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    ),
  );
}

function optionalString(settings: JsonObject, key: string): string | undefined {
  const value = settings[key];
  return typeof value === "string" ? value : undefined;
}

/** The module that reads texts; undefined where the folder has no `modules.json`, or none that does. */
export async function readingModule(files: FolderFiles): Promise<ModuleEntry | undefined> {
  return transformerModule((await readModules(files)) ?? []);
}

/** Whether a folder has a `modules.json`, as sentence encoders' have. */
export async function hasModuleList(files: FolderFiles): Promise<boolean> {
  return (await files.json(moduleListName)) !== undefined;
}

/** `modules.json`; undefined where the folder has none. */
async function readModules(files: FolderFiles): Promise<readonly ModuleEntry[] | undefined> {
  const list = await files.json(moduleListName);
  return list === undefined ? undefined : parseModuleList(list);
}

/** A module's own configuration, which it must have. */
async function moduleConfig(files: FolderFiles, folder: string): Promise<JsonObject> {
  const path = pathOf(folder, "config.json");
  return objectOf(await files.json(path), path);
}

/** Reads the modules behind the encoder, one after the other. */
class ModuleReader {
  readonly #files: FolderFiles;
  /** Whether tokens have no states. */
  readonly #isStatic: boolean;
  readonly tensors: Map<string, TensorEntry> = new Map();
  /** Modules behind the pooling, or of the states of tokens where nothing is pooled. */
  readonly after: VectorModule[] = [];
  /** Modules of the states of tokens in front of the pooling. */
  stateModules: readonly VectorModule[] | undefined;
  /** What of `after` says that it reads the states of tokens. */
  readonly #ofTokens: Set<VectorModule> = new Set();
  poolings: readonly PoolingMode[] | undefined;
  includePrompt = true;
  /** How a `SpladePooling` makes weights of the vocabulary. */
  sparse: SparsePooling | undefined;
  /** Settings of a `MultiVectorMask`, which says what tokens give vectors. */
  mask: JsonObject | undefined;

  constructor(files: FolderFiles, isStatic: boolean) {
    this.#files = files;
    this.#isStatic = isStatic;
  }

  async read({ kind, path, type }: ModuleEntry): Promise<void> {
    if (ignored.has(kind)) return;
    switch (kind) {
      case "Pooling":
        return this.#readPooling(path);
      case "Dense": {
        const config = await moduleConfig(this.#files, path);
        return this.#add(path, config, await this.#readDense(path, config));
      }
      case "LayerNorm":
        return this.#add(path, await this.#optional(path), await this.#readLayerNorm(path));
      case "Normalize":
        return this.#add(path, await this.#optional(path), { kind: "normalize" });
      case "SpladePooling":
        this.sparse = readSparsePooling(
          pathOf(path, "config.json"),
          await moduleConfig(this.#files, path),
        );
        return;
      case "MultiVectorMask":
        this.mask = await moduleConfig(this.#files, path);
        return;
      default:
        throw new JetonError(
          `modules.json: there is no module ${JSON.stringify(type)}, expected Transformer, Pooling, Dense, LayerNorm, Dropout, Normalize, SpladePooling or MultiVectorMask`,
          { code: "encoder-module-unknown", details: { type, path } },
        );
    }
  }

  async #readPooling(path: string): Promise<void> {
    const config = await moduleConfig(this.#files, path);
    this.poolings = pooledModes(config);
    this.includePrompt = config["include_prompt"] !== false;
    const before = this.after.splice(0);
    const other = before.find((module) => !this.#ofTokens.has(module));
    if (other) {
      const expected = "none before Pooling but those whose module_input_name is token_embeddings";
      throw moduleError("modules.json", "a module", other.kind, expected);
    }
    if (before.length > 0) this.stateModules = before;
  }

  /** Adds a module by what its file says that it reads: the states of tokens have no reader behind the pooling. */
  #add(path: string, config: JsonObject, module: VectorModule): void {
    const file = pathOf(path, "config.json");
    const input = config["module_input_name"] ?? features[0];
    const output = config["module_output_name"] ?? input;
    if (!features.some((name) => name === input)) {
      throw moduleError(file, "module_input_name", input, features.join(" or "));
    }
    if (output !== input) throw moduleError(file, "module_output_name", output, String(input));
    const ofTokens = input !== features[0];
    if (ofTokens && this.#isStatic && module.kind !== "normalize") {
      throw moduleError(file, "module_input_name", input, `${features[0]} behind StaticEmbedding`);
    }
    if (ofTokens && (this.poolings !== undefined || this.#isStatic)) return;
    if (ofTokens) this.#ofTokens.add(module);
    this.after.push(module);
  }

  #optional(path: string): Promise<JsonObject> {
    return optionalJson(this.#files, pathOf(path, "config.json"));
  }

  async #readDense(path: string, config: JsonObject): Promise<VectorModule> {
    const name = await this.#readTensors(path, "linear");
    const [outputs, inputs] = this.tensors.get(`${name}.weight`)?.shape ?? [];
    if (outputs !== config["out_features"] || inputs !== config["in_features"]) {
      const { out_features: rows, in_features: columns } = config;
      throw moduleError(`${path}/config.json`, "shape", [outputs, inputs], `[${rows}, ${columns}]`);
    }
    return {
      kind: "dense",
      name,
      inputs: inputs as number,
      outputs: outputs as number,
      bias: this.tensors.has(`${name}.bias`),
      activation: moduleActivation(path, config["activation_function"]),
      ...(config["use_residual"] === true && {
        residual: inputs === outputs ? ("input" as const) : { name: `${path}.residual` },
      }),
    };
  }

  async #readLayerNorm(path: string): Promise<VectorModule> {
    const name = await this.#readTensors(path, "norm");
    const width = this.tensors.get(`${name}.weight`)?.shape[0] ?? 0;
    return { kind: "layer-norm", name, width };
  }

  /** Adds the tensors of a module; the name of its one layer among them. */
  async #readTensors(path: string, layer: string): Promise<string> {
    for (const [name, entry] of await this.#files.tensors(pathOf(path, "model.safetensors"))) {
      this.tensors.set(`${path}.${name}`, { ...entry, name: `${path}.${name}` });
    }
    return `${path}.${layer}`;
  }
}

function moduleActivation(path: string, name: JsonValue | undefined): Activation {
  // The class's default.
  if (name === undefined || name === null) return "tanh";
  const known = torchActivationOf(name);
  if (known) return known;
  const expected = torchActivationNames.join(", ");
  throw moduleError(`${path}/config.json`, "activation_function", name, expected);
}
