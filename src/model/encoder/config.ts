/**
 * From a `config.json` to one plain description of an encoder.
 *
 * Families differ in names, norms, positions and heads; all of it is resolved here, so that the encoder
 * itself only reads this description. Keys that a file leaves out take the value that Hugging Face
 * transformers gives them.
 */
import { type ModelConfig, textConfig } from "../../checkpoint/text-config.ts";
import { JetonError } from "../../core/index.ts";
import { type DecoderConfig, decoderFamilies, type RopeConfig } from "../decoder/config.ts";
import {
  type Fields,
  given,
  invalid,
  isFields,
  positive,
  readActivation,
} from "../decoder/config-fields.ts";
import type { Activation } from "../layers/activation.ts";
import {
  backboneEncoderConfig,
  eurobertFamily,
  isBackboneConfig,
} from "./backbone/backbone-config.ts";
import { type ConvolutionConfig, describeConvolution } from "./deberta/deberta-convolution.ts";
import { type DisentangledConfig, describeDisentangled } from "./deberta/disentangled-config.ts";
import { encoderAliases, encoderDefaults, encoderKeys } from "./family-defaults.ts";
import { headDimOf } from "./head-dim.ts";
import { type HeadOptions, headOptions } from "./heads/head-options.ts";
import { describeLayers } from "./layer-config.ts";
import {
  isMixerConfig,
  type MixerConfig,
  mixerEncoderConfig,
  mixerFamily,
} from "./mixer/mixer-config.ts";
import { nomicFields } from "./nomic-config.ts";
import { isStaticConfig, type StaticConfig } from "./static/static-config.ts";
import { t5EncoderConfig, t5Families } from "./t5-config.ts";
import { type EncoderTask, encoderTask, type Labels, readLabels } from "./tasks/encoder-task.ts";

/** Attention of one layer. */
export interface EncoderLayerConfig {
  /** A query sees keys at most this many positions away on either side; undefined: all. */
  readonly window: number | undefined;
  /** Index into `EncoderConfig.ropes`; undefined: no rotation. */
  readonly rope: number | undefined;
  /** False: the attention reads its input without a norm before it (ModernBERT's first layer). */
  readonly attentionNorm: boolean;
}

/** A learned bias of the scores for each head and bucket of distances (Raffel et al., 2020). */
export interface RelativeBiasConfig {
  readonly buckets: number;
  readonly maxDistance: number;
  /** Each layer has a table of its own (umT5). False: all read that of the first. */
  readonly everyLayer: boolean;
}

/** Everything about an encoder that is not a weight. */
export interface EncoderConfig extends Labels {
  /** Family that the configuration was read as. */
  readonly family: string;
  /** Rows of the embedding table. */
  readonly vocabSize: number;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Width of the embeddings; projected where it is not `hiddenSize`. */
  readonly embeddingSize: number;
  readonly intermediateSize: number;
  readonly numAttentionHeads: number;
  readonly headDim: number;
  /** First layer first. */
  readonly layers: readonly EncoderLayerConfig[];
  /** Distinct groups of layers' weights (ALBERT shares them); undefined: each layer has its own. */
  readonly sharing: { readonly groups: number; readonly inner: number } | undefined;
  readonly ropes: readonly RopeConfig[];
  /** Rows of the table of learned positions; 0: none. */
  readonly positionRows: number;
  /** Ids of positions: the index, or counted behind the padding id as RoBERTa does. */
  readonly positionIds: "index" | "behind-padding";
  /** Rows of the table of token types; 0: none. */
  readonly typeVocabSize: number;
  readonly relativeBias: RelativeBiasConfig | undefined;
  /** DeBERTa's scores of positions. */
  readonly disentangled?: DisentangledConfig | undefined;
  /** DeBERTa's convolution beside the first layer. */
  readonly convolution?: ConvolutionConfig;
  /** A table of vectors and no layers. */
  readonly static?: StaticConfig | undefined;
  /** Long convolutions in the place of attention. */
  readonly mixer?: MixerConfig | undefined;
  /** A decoder whose layers stand in the place of the encoder's own. */
  readonly backbone?: DecoderConfig | undefined;
  /** Longest sequence in tokens. */
  readonly contextLength: number;
  readonly norm: "layer" | "rms";
  readonly normEps: number;
  /** Whether norms have biases. */
  readonly normBias: boolean;
  /** Norms after a sub-layer and its residual sum (BERT), or before a sub-layer (ModernBERT, T5). */
  readonly normPlacement: "pre" | "post";
  /** A norm of the embeddings. */
  readonly embeddingNorm: boolean;
  /** A norm behind the last layer. */
  readonly finalNorm: boolean;
  readonly activation: Activation;
  /** act(gate) · up in place of act(up). */
  readonly gated: boolean;
  readonly attentionScale: number;
  /** Queries, keys and values are stored apart, where the family's own layout has one matrix (nomic-bert). */
  readonly separateProjections?: boolean;
  readonly qkvBias: boolean;
  readonly attentionOutputBias: boolean;
  readonly upBias: boolean;
  readonly downBias: boolean;
  /** Id that fills up texts; positions "behind-padding" skip it. */
  readonly padTokenId: number;
  /** The masked-language-model head reads the embedding table. */
  readonly tieWordEmbeddings: boolean;
  /** What the checkpoint's class was trained to do. */
  readonly task: EncoderTask;
  /** Keys that only heads read. */
  readonly headOptions: HeadOptions;
}

/** Values of `model_type` that `encoderConfig` understands. */
export const encoderFamilies: readonly string[] = [
  ...Object.keys(encoderDefaults),
  ...t5Families,
  mixerFamily,
  eurobertFamily,
];

/** Options of `encoderConfig`. */
export interface EncoderConfigOptions {
  /** Whether `modules.json` lies beside the file: a decoder is the backbone of a sentence encoder then. Default false. */
  readonly hasModules?: boolean;
}

/**
 * Whether a `config.json` describes an encoder that `encoderConfig` reads.
 *
 * @throws JetonError `model-config-invalid`
 */
export function isEncoderConfig(
  file: ModelConfig,
  { hasModules = false }: EncoderConfigOptions = {},
): boolean {
  const isOwn = encoderFamilies.includes(familyName(textConfig(file)));
  return isOwn || isStaticConfig(file) || isBackboneConfig(file, hasModules);
}

function familyName(config: Fields): string {
  // Files call it "bert", or by a name of their own.
  if (isMixerConfig(config)) return mixerFamily;
  const named = typeof config["model_type"] === "string" ? config["model_type"] : "";
  return encoderAliases[named] ?? named;
}

/**
 * Describes the encoder of a `config.json`.
 *
 * @throws JetonError `model-family-unknown`, `model-config-invalid`
 */
export function encoderConfig(
  file: ModelConfig,
  { hasModules = false }: EncoderConfigOptions = {},
): EncoderConfig {
  const own: Fields = textConfig(file);
  const family = familyName(own);
  if (isBackboneConfig(file, hasModules)) {
    const task = encoderTask(file);
    const described = backboneEncoderConfig(textConfig(file));
    return { ...described, ...readLabels(own), task, headOptions: headOptions(own) };
  }
  if (t5Families.includes(family)) {
    const task = encoderTask(file);
    return { ...t5EncoderConfig(own), ...readLabels(own), task, headOptions: headOptions(own) };
  }
  if (family === mixerFamily) {
    if (!isMixerConfig(own)) {
      const key = "monarch_mixer_sequence_mixing";
      throw invalid(key, own[key], "true: layers of attention have no weights here");
    }
    const task = encoderTask(file);
    return { ...mixerEncoderConfig(own), ...readLabels(own), task, headOptions: headOptions(own) };
  }
  const defaults = encoderDefaults[family];
  if (!defaults) {
    throw new JetonError(
      `model_type ${JSON.stringify(own["model_type"])} is no encoder that jeton knows, expected one of ${encoderFamilies.join(", ")}${openerOf(file, family)}`,
      { code: "model-family-unknown", details: { family: own["model_type"], encoderFamilies } },
    );
  }
  const stated = family === "nomic_bert" ? nomicFields(own) : own;
  const fields = renameKeys(family, { ...defaults, ...stated });
  const count = (name: string): number => positive(fields, name, Number.isSafeInteger);
  const hiddenSize = count("hidden_size");
  const heads = count("num_attention_heads");
  const headDim = headDimOf(family, fields, hiddenSize / heads);
  const { layers, ropes } = describeLayers(family, fields, headDim);
  return {
    family,
    vocabSize: count("vocab_size"),
    hiddenSize,
    embeddingSize: given(fields["embedding_size"]) ? count("embedding_size") : hiddenSize,
    intermediateSize: intermediateSize(family, fields, hiddenSize),
    numAttentionHeads: heads,
    headDim,
    layers,
    ropes,
    ...describePositions(family, fields),
    ...describeBlocks(family, fields, headDim),
    ...(family === "deberta-v2" && describeDisentangled(fields, headDim)),
    ...(family === "deberta-v2" && describeConvolution(fields, hiddenSize)),
    padTokenId: paddingId(family, fields),
    tieWordEmbeddings: fields["tie_word_embeddings"] !== false,
    ...readLabels(fields),
    task: encoderTask(file),
    headOptions: headOptions(fields),
  };
}

/** What opens a family that is no encoder of layers, for an error. */
function openerOf(file: ModelConfig, family: string): string {
  if (family === "byte2word") return "; loadByte2Word opens encoders of words";
  if (isStaticConfig(file)) return "; a table of vectors has no layers: loadEncoder opens it";
  return decoderFamilies.includes(family)
    ? "; it is a decoder: loadModel opens it, jeton run runs it; one that makes vectors has a modules.json beside its config.json"
    : "";
}

/** Fields under the names that BERT uses. */
function renameKeys(family: string, fields: Fields): Fields {
  const renamed: Record<string, unknown> = { ...fields };
  for (const [name, own] of Object.entries(encoderKeys[family] ?? {})) renamed[name] = fields[own];
  return renamed;
}

function intermediateSize(family: string, fields: Fields, hiddenSize: number): number {
  // nomic-bert leaves it out where it is four times the width.
  if (family === "nomic_bert" && !given(fields["intermediate_size"])) return 4 * hiddenSize;
  return positive(fields, "intermediate_size", Number.isSafeInteger);
}

function wholeNumber(fields: Fields, name: string, otherwise: number): number {
  const value = fields[name];
  if (!given(value)) return otherwise;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > 2 ** 31) {
    throw invalid(name, value, "a whole number from 0");
  }
  return value;
}

/** MPNet's class counts 32 buckets, also in a larger table. */
function mpnetBias(fields: Fields): RelativeBiasConfig {
  const name = "relative_attention_num_buckets";
  if (fields[name] !== 32) throw invalid(name, fields[name], "32");
  return { buckets: 32, maxDistance: 128, everyLayer: false };
}

/** MPNet counts positions behind the id 1, also where its file says otherwise. */
function paddingId(family: string, fields: Fields): number {
  return family === "mpnet" ? 1 : wholeNumber(fields, "pad_token_id", 0);
}

function describePositions(
  family: string,
  fields: Fields,
): Pick<
  EncoderConfig,
  "positionRows" | "positionIds" | "typeVocabSize" | "relativeBias" | "contextLength"
> {
  const rotated = family === "modernbert" || family === "nomic_bert";
  const behindPadding = ["roberta", "xlm-roberta", "camembert", "mpnet"].includes(family);
  const max = positive(fields, "max_position_embeddings", Number.isSafeInteger);
  const kind = fields["position_embedding_type"];
  if (!rotated && given(kind) && kind !== "absolute") {
    throw invalid("position_embedding_type", kind, "absolute");
  }
  const skipped = behindPadding ? paddingId(family, fields) + 1 : 0;
  return {
    // DeBERTa may learn no positions beside distances.
    positionRows: rotated || fields["position_biased_input"] === false ? 0 : max,
    positionIds: behindPadding ? "behind-padding" : "index",
    // Their classes have no types, also where a file names some.
    typeVocabSize: ["mpnet", "distilbert", "modernbert"].includes(family)
      ? 0
      : wholeNumber(fields, "type_vocab_size", 0),
    relativeBias: family === "mpnet" ? mpnetBias(fields) : undefined,
    contextLength: max - skipped,
  };
}

type BlockFields =
  | "sharing"
  | "norm"
  | "normEps"
  | "normBias"
  | "normPlacement"
  | "embeddingNorm"
  | "finalNorm"
  | "activation"
  | "gated"
  | "attentionScale"
  | "qkvBias"
  | "attentionOutputBias"
  | "upBias"
  | "downBias";

/** Differences of a family in attention, norms and feed-forward. */
function describeBlocks(
  family: string,
  fields: Fields,
  headDim: number,
): Pick<EncoderConfig, BlockFields> {
  const isModern = family === "modernbert";
  const isNomic = family === "nomic_bert";
  const { activation, gated } = describeActivation(family, fields);
  const flag = (name: string): boolean => fields[name] === true;
  const attentionBias = isModern ? flag("attention_bias") : isNomic ? flag("qkv_proj_bias") : true;
  if (isNomic && flag("use_rms_norm")) throw invalid("use_rms_norm", true, "false");
  return {
    sharing:
      family === "albert"
        ? {
            groups: positive(fields, "num_hidden_groups", Number.isSafeInteger),
            inner: positive(fields, "inner_group_num", Number.isSafeInteger),
          }
        : undefined,
    norm: "layer",
    // DistilBERT's layers say 1e-12, and the file is not read for it.
    normEps: family === "distilbert" ? 1e-12 : positive(fields, "layer_norm_eps", Number.isFinite),
    normBias: isModern ? flag("norm_bias") : true,
    normPlacement: isModern || (isNomic && flag("prenorm")) ? "pre" : "post",
    embeddingNorm: true,
    finalNorm: isModern,
    activation,
    gated,
    attentionScale: headDim ** -0.5,
    qkvBias: attentionBias,
    attentionOutputBias: attentionBias,
    upBias: isModern ? flag("mlp_bias") : isNomic ? flag("mlp_fc1_bias") : true,
    downBias: isModern ? flag("mlp_bias") : isNomic ? flag("mlp_fc2_bias") : true,
  };
}

function describeActivation(
  family: string,
  fields: Fields,
): { activation: Activation; gated: boolean } {
  if (family === "nomic_bert") {
    const name = fields["activation_function"];
    // Always gated in the spelling of transformers.
    if (isFields(name)) {
      return { activation: readActivation("hidden_act", name["gated"]), gated: true };
    }
    const gate: Readonly<Record<string, Activation>> = { swiglu: "silu", geglu: "gelu" };
    const gated = typeof name === "string" ? gate[name] : undefined;
    if (gated) return { activation: gated, gated: true };
    return { activation: readActivation("activation_function", name), gated: false };
  }
  return {
    activation: readActivation("hidden_act", fields["hidden_act"]),
    gated: family === "modernbert",
  };
}
