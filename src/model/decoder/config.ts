/**
 * From a `config.json` to one plain description of a decoder.
 *
 * Families differ in many small ways (biases, norms, windows, rotations); all of them are resolved
 * here, so that the decoder itself only reads this description. Keys that a file leaves out take the
 * value that Hugging Face transformers gives them; an explicit `null` means "none".
 */
import { type ModelConfig, textConfig } from "../../checkpoint/text-config.ts";
import { JetonError } from "../../core/index.ts";
import { type LandmarkConfig, landmarkConfig } from "../landmark/landmark-config.ts";
import type { Activation } from "../layers/activation.ts";
import { describeBlocks, graniteFactor } from "./block-config.ts";
import { checkLayers, type Fields, flag, given, invalid, positive } from "./config-fields.ts";
import {
  describeExperts,
  type ExpertsConfig,
  isSparseLayer,
  type UnreadField,
  unreadExpertFields,
  withExpertCount,
} from "./experts-config.ts";
import { familyDefaults, sharedDefaults, textFamilies } from "./family-defaults.ts";
import { withSharedNames } from "./field-names.ts";
import { hasLearnedPositions, layerKinds, rotatesLayer } from "./layer-kinds.ts";
import { contextLength, ropeConfig } from "./rope-config.ts";

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

/** Attention of one layer. */
export interface LayerConfig {
  /** A query sees keys less than this many positions back (of a bidirectional decoder: away); undefined: all. */
  readonly slidingWindow: number | undefined;
  /** Index into `DecoderConfig.ropes`; undefined: the layer rotates nothing. */
  readonly rope: number | undefined;
  /** Divides the scores besides `attentionScale` (GPT-2's `scale_attn_by_inverse_layer_idx`). Default 1. */
  readonly scoreDivisor?: number;
  /** Whether the feed-forward is made of experts. */
  readonly sparse: boolean;
}

/** Everything about a decoder that is not a weight. */
export interface DecoderConfig {
  /** Family that the configuration was read as. */
  readonly family: string;
  /** Rows of the embedding table. */
  readonly vocabSize: number;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Width of the feed-forward. */
  readonly intermediateSize: number;
  /** Query heads. */
  readonly numAttentionHeads: number;
  /** Key and value heads; a divisor of `numAttentionHeads`. */
  readonly numKeyValueHeads: number;
  /** Dimensions of a head. */
  readonly headDim: number;
  /** Attention of each layer, first layer first. */
  readonly layers: readonly LayerConfig[];
  /** True: tokens see those behind them too, so that it makes vectors and writes nothing. Default false. */
  readonly bidirectional?: boolean;
  /** The experts of sparse layers; undefined where no layer is sparse. */
  readonly experts: ExpertsConfig | undefined;
  /** The distinct rotations of the layers. */
  readonly ropes: readonly RopeConfig[];
  /** Longest sequence in tokens. */
  readonly contextLength: number;
  /** Rows of a table of which each position adds one to its embedding (GPT-2); undefined: there is none. */
  readonly learnedPositions: number | undefined;
  /** Added to the mean square, or to the variance, in each norm. */
  readonly rmsNormEps: number;
  /** Added to every norm weight: 1 in the Gemma families. */
  readonly normOffset: number;
  /** Norms before a sub-layer, after it (OLMo 2), or both (Gemma 2 and 3). */
  readonly normPlacement: "pre" | "post" | "sandwich";
  /** Whether the feed-forward reads what attention reads, behind a norm of its own, and not what attention adds (GPT-NeoX). */
  readonly parallelResidual: boolean;
  /** Norm of queries and keys before the rotation: of each head, or of the whole projection. */
  readonly qkNorm: "none" | "head" | "projection";
  /**
   * Whether norms divide by the root mean square, or are layer norms, with weights and biases (GPT-2, PhiMoE) or without
   * any (OLMo).
   */
  readonly norm: "rms" | "layer" | "layer-unweighted";
  /** Queries, keys and values are cut to this magnitude, after their norm (OLMo, OLMoE); undefined: not. */
  readonly qkvClip: number | undefined;
  /** Factor of the embeddings. */
  readonly embeddingScale: number;
  /** Factor of what attention and feed-forward add to the residual stream (Granite). */
  readonly residualScale: number;
  /** Factor of the logits (Granite). */
  readonly logitScale: number;
  readonly activation: Activation;
  /** Factor of the scores. */
  readonly attentionScale: number;
  /** One more score for each head, a stored number, that takes its share of the softmax (gpt-oss). */
  readonly attentionSinks: boolean;
  /** cap · tanh(score / cap) before masking. */
  readonly attnLogitSoftcap: number | undefined;
  /** Limit of the logits: limit * tanh(x / limit); undefined: none. */
  readonly finalLogitSoftcap: number | undefined;
  /** Whether the projections of queries, keys and values have biases. */
  readonly qkvBias: boolean;
  /** Whether the output projection of attention has a bias. */
  readonly attentionOutputBias: boolean;
  /** Whether the feed-forward has biases. */
  readonly mlpBias: boolean;
  /** Whether the head has a bias (PhiMoE). */
  readonly headBias: boolean;
  /**
   * Queries, keys and values are stored as three matrices, or one below the other as `qkv_proj` (Phi-3, GPT-2), or so for
   * each head (GPT-NeoX).
   */
  readonly qkvLayout: "separate" | "joined" | "joined-by-head";
  /** `down(activation(gate) · up)`, with gate and up stored as one matrix in Phi-3; `plain`: `down(activation(up))`. */
  readonly feedForward: "gated" | "gated-joined" | "plain";
  /** Matrices of the layers are stored as `[in, out]` (GPT-2). */
  readonly storesTransposed: boolean;
  /** Landmark attention: a token closes every block and opens it again for later ones; absent: none. */
  readonly landmark?: LandmarkConfig;
  /** The head is the embedding table. */
  readonly tieWordEmbeddings: boolean;
  /** Id that begins a text. */
  readonly bosTokenId: number | undefined;
  /** Ids that end a text. */
  readonly eosTokenIds: readonly number[];
}

/** Families whose heads are as wide as the hidden size allows. */
const dividesWidth: readonly string[] = ["gpt2", "gpt_neo", "gpt_neox"];

/** Values of `model_type` that `decoderConfig` understands. */
export const decoderFamilies: readonly string[] = Object.keys(familyDefaults);

/** Options of `decoderConfig`. */
export interface DecoderConfigOptions {
  /** True: a decoder whose tokens see those behind them is described too. Default false: it is refused. */
  readonly allowsBidirectional?: boolean;
}

/**
 * Describes the decoder of a `config.json`. Keys that the file leaves out have the values of the
 * family's config class, as in transformers; a nested `text_config` may be as short as these allow.
 *
 * @throws JetonError `model-family-unknown`, `model-config-invalid`
 */
export function decoderConfig(
  file: ModelConfig,
  { allowsBidirectional = false }: DecoderConfigOptions = {},
): DecoderConfig {
  const { family, fields } = readFamily(file);
  const seesBehind = seesBehindItself(family, fields);
  if (seesBehind && !allowsBidirectional) {
    const key = fields["is_causal"] === false ? "is_causal" : bidirectionalKey;
    const expected = `${key === "is_causal"}: tokens see those behind them, so that loadEncoder opens this model`;
    throw invalid(key, fields[key], expected);
  }
  const count = (name: string): number => positive(fields, name, Number.isSafeInteger);
  const hiddenSize = count("hidden_size");
  const heads = count("num_attention_heads");
  const kvHeads = given(fields["num_key_value_heads"]) ? count("num_key_value_heads") : heads;
  const headDim = given(fields["head_dim"]) ? count("head_dim") : Math.floor(hiddenSize / heads);
  if (dividesWidth.includes(family) && hiddenSize % heads !== 0) {
    throw invalid("num_attention_heads", heads, `a divisor of the hidden size ${hiddenSize}`);
  }
  if (heads % kvHeads !== 0) {
    throw invalid("num_key_value_heads", kvHeads, `a divisor of the ${heads} attention heads`);
  }
  const { layers, ropes } = describeLayers(family, fields, headDim);
  const experts = describeExperts(family, fields);
  const vocabSize = count("vocab_size");
  const landmark = landmarkConfig(fields, vocabSize);
  if (landmark) checkLandmarks(family, { layers, ropes });
  return {
    family,
    vocabSize,
    hiddenSize,
    intermediateSize: count("intermediate_size"),
    numAttentionHeads: heads,
    numKeyValueHeads: kvHeads,
    headDim,
    layers,
    ...(seesBehind && { bidirectional: true }),
    experts: layers.some(({ sparse }) => sparse) ? experts : undefined,
    ropes,
    contextLength: contextLength(fields, ropes),
    learnedPositions: hasLearnedPositions(family) ? count("max_position_embeddings") : undefined,
    rmsNormEps: positive(fields, "rms_norm_eps", Number.isFinite),
    ...describeBlocks(family, fields, headDim),
    embeddingScale: family.startsWith("gemma")
      ? Math.sqrt(hiddenSize)
      : graniteFactor(family, fields, "embedding_multiplier"),
    residualScale: graniteFactor(family, fields, "residual_multiplier"),
    logitScale: 1 / graniteFactor(family, fields, "logits_scaling"),
    ...(landmark && { landmark }),
    tieWordEmbeddings: flag(fields, "tie_word_embeddings"),
    bosTokenId: tokenIds(fields["bos_token_id"])[0],
    eosTokenIds: tokenIds(fields["eos_token_id"]),
  };
}

/**
 * A warning `model-config-unobeyed` that names keys of a `config.json` whose values the family does not read and
 * which say something else than what is computed; undefined where there are none.
 */
export function unobeyedFields(file: ModelConfig): JetonError | undefined {
  const { family, fields } = readFamily(file);
  const found = [
    ...unreadExpertFields(family, fields),
    ...unreadNormFields(family, textConfig(file)),
  ];
  if (found.length === 0) return undefined;
  const named = found.map(
    ({ name, value, used }) => `${name} ${JSON.stringify(value)} (${JSON.stringify(used)} is used)`,
  );
  return new JetonError(
    `config.json: ${family} does not read ${named.join(", ")}, as transformers 5.18 does not`,
    { code: "model-config-unobeyed", details: { family, keys: found.map(({ name }) => name) } },
  );
}

/** OLMo's norms have an epsilon of their own. */
function unreadNormFields(family: string, config: Fields): UnreadField[] {
  const { rms_norm_eps: value } = config;
  const used = familyDefaults["olmo"]!["rms_norm_eps"];
  return family === "olmo" && given(value) && value !== used
    ? [{ name: "rms_norm_eps", value, used }]
    : [];
}

/** Blocks are at renumbered positions, and every layer may open any of them. */
function checkLandmarks(
  family: string,
  { layers, ropes }: Pick<DecoderConfig, "layers" | "ropes">,
): void {
  const expected = "no landmarks beside";
  if (hasLearnedPositions(family))
    throw invalid("mem_freq", family, `${expected} learned positions`);
  if (family === "gpt_oss") throw invalid("mem_freq", family, `${expected} attention sinks`);
  const layer = layers.findIndex(({ slidingWindow }) => slidingWindow !== undefined);
  if (layer >= 0) throw invalid("mem_freq", `layer ${layer}`, `${expected} sliding windows`);
  const scaled = ropes.find(({ kind }) => kind === "dynamic" || kind === "longrope");
  if (scaled) throw invalid("mem_freq", scaled.kind, `${expected} rotations scaled by the length`);
}

/** The family, and the fields of the file over the family's defaults. */
function readFamily(file: ModelConfig): { family: string; fields: Fields } {
  const config: Fields = textConfig(file);
  const named = typeof config["model_type"] === "string" ? config["model_type"] : "";
  const family = textFamilies[named] ?? named;
  const defaults = familyDefaults[family];
  if (!defaults) {
    throw new JetonError(
      `model_type ${JSON.stringify(config["model_type"])} is not one of ${decoderFamilies.join(", ")}`,
      { code: "model-family-unknown", details: { family: config["model_type"], decoderFamilies } },
    );
  }
  const fields: Fields = {
    ...sharedDefaults,
    ...defaults,
    ...withSharedNames(family, withExpertCount(family, config)),
    ...defaultScaling(family, config),
  };
  if (family === "gpt2" && flag(fields, "add_cross_attention")) {
    throw invalid("add_cross_attention", true, "false: there is no encoder to attend to");
  }
  return { family, fields };
}

/** Gemma's key. */
const bidirectionalKey = "use_bidirectional_attention";

/** Whether a `config.json` of a decoder's family says that tokens see those behind them. */
export function isBidirectional(file: ModelConfig): boolean {
  const { family, fields } = readFamily(file);
  return seesBehindItself(family, fields);
}

/**
 * Whether tokens see those behind them: `is_causal` of any family, and Gemma 3's own key.
 *
 * Source: transformers 5.18, `create_causal_mask` and `Gemma3TextModel.forward`.
 *
 * @throws JetonError `model-config-invalid` for the key in Gemma 1 and 2, which is read there only where no text is
 *   filled up: a text alone would be seen as a whole, and one in a batch from the left
 */
function seesBehindItself(family: string, fields: Fields): boolean {
  const own = family.startsWith("gemma") && flag(fields, bidirectionalKey);
  if (own && family !== "gemma3_text") throw invalid(bidirectionalKey, true, `false in ${family}`);
  return own || !flag(fields, "is_causal", true);
}

/**
 * The window of layers that have one, as `LayerConfig.slidingWindow`. Gemma 3 halves it where tokens see those behind them;
 * `is_causal` counts the last position in.
 *
 * Source: transformers 5.18, `Gemma3TextConfig.__post_init__`, `sliding_window_bidirectional_overlay`.
 */
function windowOf(family: string, fields: Fields): number {
  const window = positive(fields, "sliding_window", Number.isSafeInteger);
  const isHalved = family === "gemma3_text" && flag(fields, bidirectionalKey);
  const own = isHalved ? Math.floor(window / 2) + 1 : window;
  return flag(fields, "is_causal", true) ? own : own + 1;
}

/** gpt-oss extends its context by YaRN unless the file names a rotation; null names none. */
function defaultScaling(family: string, config: Fields): Fields {
  const isGiven = given(config["rope_scaling"]) || given(config["rope_parameters"]);
  if (family !== "gpt_oss" || isGiven) return {};
  return {
    rope_scaling: {
      rope_type: "yarn",
      factor: 32,
      beta_fast: 32,
      beta_slow: 1,
      truncate: false,
      original_max_position_embeddings: 4096,
    },
  };
}

function describeLayers(
  family: string,
  fields: Fields,
  headDim: number,
): Pick<DecoderConfig, "layers" | "ropes"> {
  const count = positive(fields, "num_hidden_layers", Number.isSafeInteger);
  checkLayers(count);
  const ropes: RopeConfig[] = [];
  const layers = layerKinds(family, fields, count).map((kind, index): LayerConfig => {
    const slidingWindow = kind === "sliding" ? windowOf(family, fields) : undefined;
    if (!rotatesLayer(family, fields, index)) {
      const divides = family === "gpt2" && flag(fields, "scale_attn_by_inverse_layer_idx");
      const divisor = divides ? { scoreDivisor: index + 1 } : {};
      return { slidingWindow, rope: undefined, sparse: false, ...divisor };
    }
    const rope = ropeConfig(family, fields, kind, headDim);
    const same = ropes.findIndex((other) => JSON.stringify(other) === JSON.stringify(rope));
    return {
      slidingWindow,
      rope: same >= 0 ? same : ropes.push(rope) - 1,
      sparse: isSparseLayer(family, fields, index),
    };
  });
  return { layers, ropes };
}

/** An id, a list of ids, or nothing, as configs write special tokens. */
export function tokenIds(value: unknown): number[] {
  const list = Array.isArray(value) ? value : [value];
  return list.filter((id): id is number => Number.isSafeInteger(id) && id >= 0);
}
