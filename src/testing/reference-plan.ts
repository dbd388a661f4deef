/**
 * From a `config.json` to a plain description of the decoder, field by field as Hugging Face
 * transformers reads it.
 *
 * This is where the families differ; `reference-decoder.ts` only carries the plan out. A plan is data,
 * so a test can change one field of it ("no embedding scale", "window one shorter") and see that the
 * logits notice.
 */
import { JetonError } from "../core/index.ts";
import type { ReferenceConfig } from "./reference-checkpoint.ts";

/** Activation of the gated feed-forward. `gelu` is exact (erf), `gelu-tanh` its approximation. */
export type ReferenceActivation = "silu" | "gelu" | "gelu-tanh" | "relu";

/** How one layer rotates its queries and keys. */
export interface ReferenceRopePlan {
  /** default, linear, dynamic, llama3, yarn or longrope. */
  readonly type: string;
  readonly theta: number;
  /** Leading dimensions of a head that rotate; the rest pass unchanged. Even. */
  readonly rotaryDim: number;
  /** `max_position_embeddings` of the config. */
  readonly maxPositionEmbeddings: number;
  /** `original_max_position_embeddings`, wherever it stands, else `maxPositions`. */
  readonly originalMaxPositionEmbeddings: number;
  /** The scaling dictionary as it stands in the config. */
  readonly scaling: Readonly<Record<string, unknown>>;
}

/** What differs from layer to layer. */
export interface ReferenceLayerPlan {
  /** Query i sees keys j with i - j < window; null sees all earlier keys. */
  readonly slidingWindow: number | null;
  /** Null for a layer without positions. */
  readonly rope: ReferenceRopePlan | null;
}

/** Everything about a decoder that is not a weight. */
export interface ReferencePlan {
  readonly family: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly layers: readonly ReferenceLayerPlan[];
  readonly rmsNormEps: number;
  /** Added to every norm weight: 1 in the Gemma families, else 0. */
  readonly normOffset: number;
  /**
   * `pre`: norms before attention and feed-forward; `post`: on their outputs before the residual sum
   * (OLMo 2); `sandwich`: both (Gemma 2 and 3).
   */
  readonly norms: "pre" | "post" | "sandwich";
  /** Norm of queries and keys before rotation: none, of each head, or of the whole projection. */
  readonly qkNorm: "none" | "head" | "projection";
  readonly embeddingScale: number;
  readonly activation: ReferenceActivation;
  /** Factor of query-key products. */
  readonly attentionScale: number;
  /** cap * tanh(x / cap) on scores before masking; null for none. */
  readonly attnLogitSoftcap: number | null;
  /** The same on logits. */
  readonly finalLogitSoftcap: number | null;
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** `qkv_proj` and `gate_up_proj` instead of separate matrices (Phi-3). */
  readonly fusedProjections: boolean;
  /** The head is the embedding table; a stored `lm_head.weight` is ignored. */
  readonly tiedHead: boolean;
}

const shared: ReferenceConfig = {
  hidden_act: "silu",
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  attention_bias: false,
  mlp_bias: false,
  tie_word_embeddings: false,
  partial_rotary_factor: 1,
};

/** What transformers assumes for a key that the file leaves out. Explicit nulls stay null. */
const familyDefaults: Readonly<Record<string, ReferenceConfig>> = {
  llama: { max_position_embeddings: 2048 },
  mistral: { max_position_embeddings: 131072, sliding_window: 4096, num_key_value_heads: 8 },
  qwen2: {
    max_position_embeddings: 32768,
    use_sliding_window: false,
    sliding_window: 4096,
    max_window_layers: 28,
    num_key_value_heads: 32,
  },
  qwen3: {
    max_position_embeddings: 32768,
    use_sliding_window: false,
    sliding_window: 4096,
    max_window_layers: 28,
    num_key_value_heads: 32,
    head_dim: 128,
  },
  smollm3: {
    max_position_embeddings: 32768,
    num_key_value_heads: 4,
    use_sliding_window: false,
    no_rope_layer_interval: 4,
    rope_theta: 2_000_000,
    tie_word_embeddings: true,
  },
  phi3: { max_position_embeddings: 4096, rms_norm_eps: 1e-5 },
  olmo2: { max_position_embeddings: 2048, rms_norm_eps: 1e-5 },
  gemma: {
    max_position_embeddings: 8192,
    num_key_value_heads: 16,
    head_dim: 256,
    tie_word_embeddings: true,
  },
  gemma2: {
    max_position_embeddings: 8192,
    num_key_value_heads: 4,
    head_dim: 256,
    tie_word_embeddings: true,
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
  },
  gemma3_text: {
    max_position_embeddings: 131072,
    num_key_value_heads: 4,
    head_dim: 256,
    tie_word_embeddings: true,
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10000,
    sliding_window_pattern: 6,
  },
};

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a config. Errors: `reference-family`, `reference-config` (a field is missing or mistyped). */
export function describeReference(config: ReferenceConfig): ReferencePlan {
  const family = String(config["model_type"]);
  const defaults = familyDefaults[family];
  if (defaults === undefined) {
    throw new JetonError(
      `model_type ${family} is none of ${Object.keys(familyDefaults).join(", ")}`,
      { code: "reference-family", details: { family } },
    );
  }
  const fields: Fields = { ...shared, ...defaults, ...config };
  const number = (name: string): number => {
    const value = fields[name];
    if (typeof value === "number") return value;
    throw new JetonError(`${name} is ${JSON.stringify(value)}, expected a number`, {
      code: "reference-config",
      details: { name, value },
    });
  };
  const optional = (name: string): number | null =>
    fields[name] === undefined || fields[name] === null ? null : number(name);

  const gemma = family.startsWith("gemma");
  const width = number("hidden_size");
  const heads = number("num_attention_heads");
  const headDim = optional("head_dim") ?? Math.floor(width / heads);
  const bias = fields["attention_bias"] === true;
  return {
    family,
    vocabSize: number("vocab_size"),
    hiddenSize: width,
    intermediateSize: number("intermediate_size"),
    numAttentionHeads: heads,
    numKeyValueHeads: optional("num_key_value_heads") ?? heads,
    headDim,
    layers: describeLayers(family, fields, headDim),
    rmsNormEps: number("rms_norm_eps"),
    normOffset: gemma ? 1 : 0,
    norms:
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
    embeddingScale: gemma ? Math.sqrt(width) : 1,
    activation: activationOf(
      // Gemma models were trained with the tanh form; the `hidden_act: "gelu"` of their first
      // published configs is ignored.
      gemma ? (fields["hidden_activation"] ?? "gelu_pytorch_tanh") : fields["hidden_act"],
    ),
    attentionScale: (optional("query_pre_attn_scalar") ?? headDim) ** -0.5,
    // `Gemma3Attention` keeps the value and does not hand it to its attention function.
    attnLogitSoftcap: family === "gemma2" ? optional("attn_logit_softcapping") : null,
    finalLogitSoftcap: optional("final_logit_softcapping"),
    qkvBias: family === "qwen2" || (bias && family !== "phi3" && family !== "mistral"),
    outputBias: bias && !["qwen2", "phi3", "mistral"].includes(family),
    mlpBias: fields["mlp_bias"] === true && (family === "llama" || family === "smollm3"),
    fusedProjections: family === "phi3",
    tiedHead: fields["tie_word_embeddings"] === true,
  };
}

function activationOf(name: unknown): ReferenceActivation {
  if (name === "silu" || name === "swish") return "silu";
  if (name === "gelu") return "gelu";
  if (name === "gelu_pytorch_tanh" || name === "gelu_new") return "gelu-tanh";
  if (name === "relu") return "relu";
  throw new JetonError(`activation ${JSON.stringify(name)} is not known`, {
    code: "reference-config",
    details: { name: "hidden_act", value: name },
  });
}

/** `layer_types` where the family reads it and it is given, else the family's own rule. */
function layerTypes(family: string, fields: Fields, count: number): string[] {
  const given = fields["layer_types"];
  const readsTypes = ["qwen2", "qwen3", "smollm3", "gemma2", "gemma3_text"].includes(family);
  if (readsTypes && Array.isArray(given)) {
    if (given.length < count) {
      throw new JetonError(`layer_types lists ${given.length} of ${count} layers`, {
        code: "reference-config",
        details: { name: "layer_types", value: given },
      });
    }
    return given.slice(0, count).map(String);
  }
  const hasWindow = typeof fields["sliding_window"] === "number";
  const isSliding = (layer: number): boolean => {
    switch (family) {
      case "mistral":
      case "phi3":
        return hasWindow;
      case "qwen2":
      case "qwen3":
        return (
          hasWindow &&
          fields["use_sliding_window"] === true &&
          layer >= Number(fields["max_window_layers"])
        );
      case "smollm3":
        return hasWindow && fields["use_sliding_window"] === true && !usesRope(fields, layer);
      case "gemma2":
        return layer % 2 === 0;
      case "gemma3_text": {
        const pattern = fields["_sliding_window_pattern"] ?? fields["sliding_window_pattern"];
        return (layer + 1) % Number(pattern) !== 0;
      }
      default:
        return false;
    }
  };
  return Array.from({ length: count }, (_, layer) =>
    isSliding(layer) ? "sliding_attention" : "full_attention",
  );
}

/** SmolLM3 lists 1 for a layer *with* rotation under the name `no_rope_layers`. */
function usesRope(fields: Fields, layer: number): boolean {
  const listed = fields["no_rope_layers"];
  if (Array.isArray(listed)) return Boolean(listed[layer]);
  return (layer + 1) % Number(fields["no_rope_layer_interval"]) !== 0;
}

function describeLayers(family: string, fields: Fields, headDim: number): ReferenceLayerPlan[] {
  const count = Number(fields["num_hidden_layers"]);
  const windowsAllowed =
    family === "qwen2" || family === "qwen3" || family === "smollm3"
      ? fields["use_sliding_window"] === true
      : family !== "llama" && family !== "olmo2" && family !== "gemma";
  return layerTypes(family, fields, count).map((type, layer) => {
    const window = fields["sliding_window"];
    const slides = type === "sliding_attention" && windowsAllowed && typeof window === "number";
    return {
      slidingWindow: slides ? window : null,
      rope:
        family === "smollm3" && !usesRope(fields, layer)
          ? null
          : describeRope(family, fields, type, headDim),
    };
  });
}

/**
 * The rotation of a layer type. The dictionary is `rope_scaling` or, since transformers 5,
 * `rope_parameters`; the latter may hold one dictionary per layer type.
 */
function describeRope(
  family: string,
  fields: Fields,
  layerType: string,
  headDim: number,
): ReferenceRopePlan {
  const given = [fields["rope_scaling"], fields["rope_parameters"]].find(isFields) ?? {};
  const perType = isFields(given["full_attention"]) || isFields(given["sliding_attention"]);
  let scaling: Fields = given;
  if (perType) scaling = isFields(given[layerType]) ? given[layerType] : {};
  let theta = Number(scaling["rope_theta"] ?? fields["rope_theta"]);
  if (family === "gemma3_text" && layerType === "sliding_attention") {
    // Local layers have a base of their own and are never scaled by the global dictionary.
    theta = Number((perType ? scaling["rope_theta"] : undefined) ?? fields["rope_local_base_freq"]);
    if (!perType) scaling = {};
  }
  const maxPositionEmbeddings = Number(fields["max_position_embeddings"]);
  const partial = scaling["partial_rotary_factor"] ?? fields["partial_rotary_factor"] ?? 1;
  let type = String(scaling["rope_type"] ?? scaling["type"] ?? "default");
  if (type === "su" || (type === "yarn" && family === "phi3")) type = "longrope";
  return {
    type,
    theta,
    rotaryDim: Math.floor(headDim * Number(partial)),
    maxPositionEmbeddings,
    originalMaxPositionEmbeddings: Number(
      fields["original_max_position_embeddings"] ??
        scaling["original_max_position_embeddings"] ??
        (family === "phi3" ? 4096 : maxPositionEmbeddings),
    ),
    scaling,
  };
}

/** Angles per position, and the factor of cosine and sine. */
export interface ReferenceRope {
  /** `[rotaryDim / 2]`: radians per position. */
  readonly frequencies: Float64Array;
  readonly attentionFactor: number;
}

/**
 * Frequencies of a rotation for a sequence of the given total length, which `dynamic` and `longrope`
 * depend on: the base, or the choice between short and long factors, is fixed for the whole sequence.
 */
export function referenceRope(plan: ReferenceRopePlan, sequenceLength: number): ReferenceRope {
  const {
    type,
    theta,
    rotaryDim: dim,
    maxPositionEmbeddings,
    originalMaxPositionEmbeddings,
    scaling,
  } = plan;
  const half = dim / 2;
  const option = (name: string): number | null => {
    const value = scaling[name];
    return typeof value === "number" ? value : null;
  };
  const required = (name: string): number => {
    const value = option(name);
    if (value !== null) return value;
    throw new JetonError(`rope type ${type} needs ${name}`, {
      code: "reference-config",
      details: { name, type },
    });
  };
  const powers = (base: number): Float64Array =>
    Float64Array.from({ length: half }, (_, i) => base ** (-(2 * i) / dim));
  const plain = powers(theta);

  switch (type) {
    case "default":
    case "mrope":
      return { frequencies: plain, attentionFactor: 1 };

    case "linear": {
      const factor = required("factor");
      return { frequencies: plain.map((f) => f / factor), attentionFactor: 1 };
    }

    case "dynamic": {
      const factor = required("factor");
      const length = Math.max(sequenceLength, maxPositionEmbeddings);
      const stretch = (factor * length) / maxPositionEmbeddings - (factor - 1);
      return {
        frequencies: powers(theta * stretch ** (dim / (dim - 2))),
        attentionFactor: 1,
      };
    }

    case "llama3": {
      const factor = required("factor");
      const low = required("low_freq_factor");
      const high = required("high_freq_factor");
      const frequencies = plain.map((f) => {
        // Turns that this dimension makes over the original context.
        const turns = (originalMaxPositionEmbeddings * f) / (2 * Math.PI);
        if (turns > high) return f;
        if (turns < low) return f / factor;
        const smooth = (turns - low) / (high - low);
        return (1 - smooth) * (f / factor) + smooth * f;
      });
      return { frequencies, attentionFactor: 1 };
    }

    case "yarn": {
      const factor = option("factor") ?? maxPositionEmbeddings / originalMaxPositionEmbeddings;
      const magnitude = (weight: number): number =>
        factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1;
      const scale = option("mscale");
      const scaleAll = option("mscale_all_dim");
      const attentionFactor =
        option("attention_factor") ??
        (scale && scaleAll ? magnitude(scale) / magnitude(scaleAll) : magnitude(1));
      // The (fractional) dimension that makes so many turns over the original context.
      const dimensionOf = (turns: number): number =>
        (dim * Math.log(originalMaxPositionEmbeddings / (turns * 2 * Math.PI))) /
        (2 * Math.log(theta));
      let first = dimensionOf(option("beta_fast") || 32);
      let last = dimensionOf(option("beta_slow") || 1);
      if (scaling["truncate"] !== false) {
        first = Math.floor(first);
        last = Math.ceil(last);
      }
      first = Math.max(first, 0);
      last = Math.min(last, dim - 1);
      if (first === last) last += 0.001;
      const frequencies = plain.map((f, i) => {
        const ramp = Math.min(1, Math.max(0, (i - first) / (last - first)));
        return (f / factor) * ramp + f * (1 - ramp);
      });
      return { frequencies, attentionFactor };
    }

    case "longrope": {
      const factor = option("factor") ?? maxPositionEmbeddings / originalMaxPositionEmbeddings;
      const attentionFactor =
        option("attention_factor") ??
        (factor <= 1
          ? 1
          : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositionEmbeddings)));
      const name = sequenceLength > originalMaxPositionEmbeddings ? "long_factor" : "short_factor";
      const factors = scaling[name];
      if (!Array.isArray(factors) || factors.length !== half) {
        throw new JetonError(`${name} must list ${half} numbers`, {
          code: "reference-config",
          details: { name, value: factors },
        });
      }
      return { frequencies: plain.map((f, i) => f / Number(factors[i])), attentionFactor };
    }

    default:
      throw new JetonError(`rope type ${type} is not known`, {
        code: "reference-config",
        details: { type },
      });
  }
}
