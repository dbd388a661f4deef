/**
 * From a `config.json` to one plain description of a decoder.
 *
 * Families differ in many small ways (biases, norms, windows, rotations); all of them are resolved
 * here, so that the decoder itself only reads this description. Keys that a file leaves out take the
 * value that Hugging Face transformers gives them; an explicit `null` means "none".
 */
import { type ModelConfig, textConfig } from "../../checkpoint/text-config.ts";
import { JetonError } from "../../core/index.ts";

/** Rotation of queries and keys. */
export interface RopeConfig {
  readonly kind: "default" | "linear" | "dynamic" | "llama3" | "yarn" | "longrope";
  readonly theta: number;
  /** Leading dimensions of a head that are rotated; even. */
  readonly rotaryDim: number;
  /** `max_position_embeddings`. */
  readonly maxPositionEmbeddings: number;
  /** Positions of the original training, where a scaling extends them. */
  readonly originalMaxPositionEmbeddings: number;
  /** The scaling's own numbers, by the names of the file. */
  readonly scaling: Readonly<Record<string, unknown>>;
}

export interface LayerConfig {
  /** A query sees keys less than this many positions back; undefined: all. */
  readonly slidingWindow: number | undefined;
  /** Index into `DecoderConfig.ropes`; undefined: a layer without positions. */
  readonly rope: number | undefined;
}

/** Everything about a decoder that is not a weight. */
export interface DecoderConfig {
  readonly family: string;
  readonly vocabSize: number;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly layers: readonly LayerConfig[];
  /** The distinct rotations of the layers. */
  readonly ropes: readonly RopeConfig[];
  readonly contextLength: number;
  readonly rmsNormEps: number;
  /** Added to every norm weight: 1 in the Gemma families. */
  readonly normOffset: number;
  /** Norms before a sub-layer, after it (OLMo 2), or both (Gemma 2 and 3). */
  readonly normPlacement: "pre" | "post" | "sandwich";
  /** Norm of queries and keys before the rotation: of each head, or of the whole projection. */
  readonly qkNorm: "none" | "head" | "projection";
  readonly embeddingScale: number;
  readonly activation: "silu" | "gelu" | "gelu-tanh" | "relu";
  readonly attentionScale: number;
  /** cap · tanh(score / cap) before masking. */
  readonly attnLogitSoftcap: number | undefined;
  readonly finalLogitSoftcap: number | undefined;
  readonly qkvBias: boolean;
  readonly attentionOutputBias: boolean;
  readonly mlpBias: boolean;
  /** Stored as `qkv_proj` and `gate_up_proj` (Phi-3). */
  readonly fusedProjections: boolean;
  /** The head is the embedding table. */
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
}

type Fields = Readonly<Record<string, unknown>>;

/** No model has more layers; describing those of a hostile file would only exhaust memory. */
const maxLayers = 10_000;

const familyDefaults: Readonly<Record<string, Fields>> = {
  llama: { max_position_embeddings: 2048 },
  mistral: { max_position_embeddings: 131072, sliding_window: 4096, num_key_value_heads: 8 },
  qwen2: { max_position_embeddings: 32768, sliding_window: 4096, max_window_layers: 28 },
  qwen3: {
    max_position_embeddings: 32768,
    sliding_window: 4096,
    max_window_layers: 28,
    head_dim: 128,
  },
  smollm3: {
    max_position_embeddings: 32768,
    no_rope_layer_interval: 4,
    rope_theta: 2_000_000,
    tie_word_embeddings: true,
    num_key_value_heads: 4,
  },
  phi3: { max_position_embeddings: 4096, rms_norm_eps: 1e-5 },
  olmo2: { max_position_embeddings: 2048, rms_norm_eps: 1e-5 },
  gemma: { max_position_embeddings: 8192, head_dim: 256, tie_word_embeddings: true },
  gemma2: {
    max_position_embeddings: 8192,
    head_dim: 256,
    tie_word_embeddings: true,
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    num_key_value_heads: 4,
  },
  gemma3_text: {
    max_position_embeddings: 131072,
    head_dim: 256,
    tie_word_embeddings: true,
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10000,
    sliding_window_pattern: 6,
    num_key_value_heads: 4,
  },
};

/** Values of `model_type` that `decoderConfig` understands. */
export const decoderFamilies: readonly string[] = Object.keys(familyDefaults);

/**
 * Describes the decoder of a `config.json`.
 *
 * @throws JetonError `model-family-unknown`, `model-config-invalid`
 */
export function decoderConfig(file: ModelConfig): DecoderConfig {
  const config: Fields = textConfig(file);
  const family = typeof config["model_type"] === "string" ? config["model_type"] : "";
  const defaults = familyDefaults[family];
  if (!defaults) {
    throw new JetonError(
      `model_type ${JSON.stringify(config["model_type"])} is not one of ${decoderFamilies.join(", ")}`,
      { code: "model-family-unknown", details: { family: config["model_type"], decoderFamilies } },
    );
  }
  const fields: Fields = {
    hidden_act: "silu",
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    ...defaults,
    ...config,
  };
  const count = (name: string): number => positive(fields, name, Number.isSafeInteger);
  const width = count("hidden_size");
  const heads = count("num_attention_heads");
  const kvHeads = given(fields["num_key_value_heads"]) ? count("num_key_value_heads") : heads;
  const headDim = given(fields["head_dim"]) ? count("head_dim") : Math.floor(width / heads);
  if (heads % kvHeads !== 0) {
    throw invalid("num_key_value_heads", kvHeads, `a divisor of the ${heads} attention heads`);
  }
  const isGemma = family.startsWith("gemma");
  const biased = fields["attention_bias"] === true && family !== "phi3" && family !== "mistral";
  const number = (name: string): number | undefined =>
    given(fields[name]) ? positive(fields, name, Number.isFinite) : undefined;

  const layerCount = count("num_hidden_layers");
  if (layerCount > maxLayers) {
    throw invalid("num_hidden_layers", layerCount, `at most ${maxLayers}`);
  }
  const ropes: RopeConfig[] = [];
  const layers = layerKinds(family, fields, layerCount).map((kind, index): LayerConfig => {
    const window = kind === "sliding" ? count("sliding_window") : undefined;
    if (family === "smollm3" && !rotatesLayer(fields, index))
      return { slidingWindow: window, rope: undefined };
    const rope = ropeConfig(family, fields, kind, headDim);
    const same = ropes.findIndex((other) => JSON.stringify(other) === JSON.stringify(rope));
    return { slidingWindow: window, rope: same >= 0 ? same : ropes.push(rope) - 1 };
  });

  return {
    family,
    vocabSize: count("vocab_size"),
    hiddenSize: width,
    intermediateSize: count("intermediate_size"),
    numAttentionHeads: heads,
    numKeyValueHeads: kvHeads,
    headDim,
    layers,
    ropes,
    contextLength: contextLength(fields, ropes),
    rmsNormEps: positive(fields, "rms_norm_eps", Number.isFinite),
    normOffset: isGemma ? 1 : 0,
    normPlacement:
      family === "olmo2"
        ? "post"
        : family === "gemma2" || family === "gemma3_text"
          ? "sandwich"
          : "pre",
    qkNorm:
      family === "olmo2"
        ? "projection"
        : family === "qwen3" || family === "gemma3_text"
          ? "head"
          : "none",
    embeddingScale: isGemma ? Math.sqrt(width) : 1,
    // Gemma's first files say "gelu" although the models were trained with the tanh form.
    activation: activation(
      isGemma ? (fields["hidden_activation"] ?? "gelu_pytorch_tanh") : fields["hidden_act"],
    ),
    attentionScale: (number("query_pre_attn_scalar") ?? headDim) ** -0.5,
    // Gemma 3's files may state it too; its attention does not read it.
    attnLogitSoftcap: family === "gemma2" ? number("attn_logit_softcapping") : undefined,
    finalLogitSoftcap: number("final_logit_softcapping"),
    qkvBias: family === "qwen2" || biased,
    attentionOutputBias: family !== "qwen2" && biased,
    mlpBias: fields["mlp_bias"] === true && (family === "llama" || family === "smollm3"),
    fusedProjections: family === "phi3",
    tieWordEmbeddings: fields["tie_word_embeddings"] === true,
    bosTokenId: tokenIds(fields["bos_token_id"])[0],
    eosTokenIds: tokenIds(fields["eos_token_id"]),
  };
}

/** An id, a list of ids, or nothing, as configs write special tokens. */
export function tokenIds(value: unknown): number[] {
  const list = Array.isArray(value) ? value : [value];
  return list.filter((id): id is number => Number.isSafeInteger(id) && id >= 0);
}

function given(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function invalid(name: string, value: unknown, expected: string): JetonError {
  return new JetonError(`config.json: ${name} is ${JSON.stringify(value)}, expected ${expected}`, {
    code: "model-config-invalid",
    details: { name, value, expected },
  });
}

function positive(fields: Fields, name: string, check: (value: unknown) => boolean): number {
  const value = fields[name];
  if (typeof value !== "number" || !check(value) || value <= 0) {
    throw invalid(name, value, "a positive number");
  }
  // Sizes beyond this cannot belong to a real checkpoint and would only exhaust memory.
  if (value > 2 ** 31) throw invalid(name, value, "a number below 2^31");
  return value;
}

function activation(name: unknown): DecoderConfig["activation"] {
  switch (name) {
    case "silu":
    case "swish":
      return "silu";
    case "gelu":
      return "gelu";
    case "gelu_pytorch_tanh":
    case "gelu_new":
      return "gelu-tanh";
    case "relu":
      return "relu";
    default:
      throw invalid("hidden_act", name, "silu, gelu, gelu_pytorch_tanh or relu");
  }
}

/** SmolLM3 lists a 1 under `no_rope_layers` for a layer that does rotate. */
function rotatesLayer(fields: Fields, index: number): boolean {
  const listed = fields["no_rope_layers"];
  if (Array.isArray(listed)) return Boolean(listed[index]);
  return (index + 1) % Number(fields["no_rope_layer_interval"]) !== 0;
}

function layerKinds(family: string, fields: Fields, layers: number): ("full" | "sliding")[] {
  const window = fields["sliding_window"];
  const optsIn = ["qwen2", "qwen3", "smollm3"].includes(family);
  const allowed =
    typeof window === "number" &&
    !["llama", "olmo2", "gemma"].includes(family) &&
    (!optsIn || fields["use_sliding_window"] === true);
  const types = fields["layer_types"];
  const readsTypes = optsIn || family === "gemma2" || family === "gemma3_text";
  if (readsTypes && Array.isArray(types) && types.length < layers) {
    throw invalid("layer_types", types, `one entry for each of the ${layers} layers`);
  }
  const slides = (index: number): boolean => {
    if (readsTypes && Array.isArray(types)) return types[index] === "sliding_attention";
    switch (family) {
      case "mistral":
      case "phi3":
        return true;
      case "qwen2":
      case "qwen3":
        return index >= Number(fields["max_window_layers"]);
      case "smollm3":
        return !rotatesLayer(fields, index);
      case "gemma2":
        return index % 2 === 0;
      default: {
        const pattern = fields["_sliding_window_pattern"] ?? fields["sliding_window_pattern"];
        return (index + 1) % Number(pattern) !== 0;
      }
    }
  };
  // Gemma 3's kinds also choose the rotation, so they hold even where no window is set.
  const matters = allowed || family === "gemma3_text";
  return Array.from({ length: layers }, (_, index) =>
    matters && slides(index) ? "sliding" : "full",
  );
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function ropeConfig(
  family: string,
  fields: Fields,
  layer: "full" | "sliding",
  headDim: number,
): RopeConfig {
  const dictionary = [fields["rope_scaling"], fields["rope_parameters"]].find(isFields) ?? {};
  const byLayer =
    isFields(dictionary["full_attention"]) || isFields(dictionary["sliding_attention"]);
  const own = byLayer ? dictionary[`${layer}_attention`] : dictionary;
  let parameters: Fields = isFields(own) ? own : {};
  let base = parameters["rope_theta"] ?? fields["rope_theta"];
  if (family === "gemma3_text" && layer === "sliding") {
    // Local layers have a base of their own and are never stretched.
    base = (byLayer ? parameters["rope_theta"] : undefined) ?? fields["rope_local_base_freq"];
    if (!byLayer) parameters = {};
  }
  if (typeof base !== "number" || !(base > 0))
    throw invalid("rope_theta", base, "a positive number");
  const partial = Number(
    parameters["partial_rotary_factor"] ?? fields["partial_rotary_factor"] ?? 1,
  );
  const rotaryDim = Math.floor(headDim * partial);
  if (!(rotaryDim >= 2 && rotaryDim <= headDim && rotaryDim % 2 === 0)) {
    const expected = "an even number of rotated dimensions";
    if (partial === 1) throw invalid("head_dim", headDim, expected);
    throw invalid("partial_rotary_factor", partial, `${expected} of ${headDim}`);
  }
  const maxPositionEmbeddings = positive(fields, "max_position_embeddings", Number.isSafeInteger);
  const original =
    fields["original_max_position_embeddings"] ?? parameters["original_max_position_embeddings"];
  return {
    kind: ropeKind(family, parameters),
    theta: base,
    rotaryDim,
    maxPositionEmbeddings,
    originalMaxPositionEmbeddings:
      typeof original === "number" ? original : family === "phi3" ? 4096 : maxPositionEmbeddings,
    scaling: parameters,
  };
}

function ropeKind(family: string, parameters: Fields): RopeConfig["kind"] {
  const kind: unknown = parameters["rope_type"] ?? parameters["type"] ?? "default";
  switch (kind) {
    case "default":
    case "mrope": // Multi-axis rotation equals the plain one on text.
      return "default";
    case "su":
      return "longrope";
    case "yarn":
      return family === "phi3" ? "longrope" : "yarn";
    case "linear":
    case "dynamic":
    case "llama3":
    case "longrope":
      return kind satisfies RopeConfig["kind"];
    default:
      throw invalid("rope_scaling", kind, "linear, dynamic, llama3, yarn or longrope");
  }
}

/**
 * Dynamic scaling stretches the context at run time, so its limit is the stretched one. Files with YaRN
 * state either limit: who turns it on adds the factor alone to a published file, as Qwen's cards say.
 */
function contextLength(fields: Fields, ropes: readonly RopeConfig[]): number {
  const positions = positive(fields, "max_position_embeddings", Number.isSafeInteger);
  const stretched = ropes.map(({ kind, originalMaxPositionEmbeddings, scaling }) => {
    const factor = Number(scaling["factor"] ?? 1);
    if (kind === "dynamic") return positions * factor;
    return kind === "yarn" ? originalMaxPositionEmbeddings * factor : positions;
  });
  return Math.floor(Math.max(positions, ...stretched));
}
