/** From a `config.json` of T5, mT5, umT5 or ByT5 to one plain description of encoder and decoder. */
import { type ModelConfig, textConfig } from "../../checkpoint/text-config.ts";
import { JetonError } from "../../core/index.ts";
import { type DecoderConfig, decoderConfig, tokenIds } from "../decoder/config.ts";
import { type Fields, flag, given, invalid, positive } from "../decoder/config-fields.ts";
import { type EncoderConfig, encoderConfig } from "../encoder/config.ts";
import { t5Buckets, t5ContextLength, t5Families, t5Fields } from "../encoder/t5-config.ts";

/** The gate of MrT5, which deletes positions between two layers of the encoder (`model/mrt5`). */
export interface DeleteGateConfig {
  /** The gate reads the input of this layer, counted from 0. */
  readonly layer: number;
  /** k: outputs lie between k (delete) and 0 (keep). */
  readonly scale: number;
  /** Positions whose output is not above this are deleted. */
  readonly threshold: number;
  readonly norm: boolean;
}

/** Everything about an encoder-decoder that is not a weight. */
export interface Seq2SeqConfig {
  /** `t5`, `mt5`, `umt5` or `mrt5`. */
  readonly family: string;
  readonly encoder: EncoderConfig;
  /** Layers of the decoder. */
  readonly decoderLayers: number;
  /** Factor of the final states before the head. */
  readonly outputScale: number;
  /** Id that begins every output. */
  readonly decoderStartTokenId: number;
  readonly eosTokenIds: readonly number[];
  /** exp(x) / (1 + sum(exp(x))) in place of softmax, in every attention. */
  readonly softmaxOne: boolean;
  readonly deleteGate: DeleteGateConfig | undefined;
}

/** Whether a `config.json` describes an encoder-decoder that `seq2seqConfig` reads. */
export function isSeq2SeqConfig(file: ModelConfig): boolean {
  const { model_type: family, architectures = [] } = textConfig(file);
  if (typeof family !== "string" || !t5Families.includes(family)) return false;
  return !architectures.some((name) => /(EncoderModel|ForTokenClassification)$/.test(name));
}

/**
 * Describes the encoder-decoder of a `config.json`.
 *
 * @throws JetonError `model-family-unknown`, `model-config-invalid`
 */
export function seq2seqConfig(file: ModelConfig): Seq2SeqConfig {
  const own: Fields = textConfig(file);
  const family = own["model_type"];
  if (typeof family !== "string" || !t5Families.includes(family)) {
    throw new JetonError(
      `model_type ${JSON.stringify(family)} is no encoder-decoder that jeton knows, expected one of ${t5Families.join(", ")}`,
      { code: "model-family-unknown", details: { family, known: t5Families } },
    );
  }
  const fields = t5Fields(own);
  const encoder = encoderConfig(file);
  t5Buckets(fields, 1);
  const layers = given(fields["num_decoder_layers"])
    ? positive(fields, "num_decoder_layers", Number.isSafeInteger)
    : encoder.layers.length;
  if (layers > 10_000) throw invalid("num_decoder_layers", layers, "at most 10000");
  const starts = ["decoder_start_token_id", "bos_token_id"].flatMap((key) => tokenIds(fields[key]));
  const [start = encoder.padTokenId] = starts;
  return {
    family,
    encoder,
    decoderLayers: layers,
    outputScale: scalesOutputs(family, fields) ? encoder.hiddenSize ** -0.5 : 1,
    decoderStartTokenId: start,
    eosTokenIds: tokenIds(fields["eos_token_id"]),
    softmaxOne: family === "mrt5" && flag(fields, "use_softmax1"),
    deleteGate: family === "mrt5" ? readGate(fields, encoder.layers.length) : undefined,
  };
}

/**
 * Whether final states are scaled before the head, be that stored apart or not: T5 v1.0 does, v1.1 does not.
 * transformers from 5.0 on states it as `scale_decoder_outputs` and writes `tie_word_embeddings` true into every
 * file; older files say it by `tie_word_embeddings` alone. mT5 never scales. umT5 does not where its file says
 * `tie_word_embeddings: false`; from 5.0 on that library takes it for true, and divides such logits too.
 */
function scalesOutputs(family: string, fields: Fields): boolean {
  if (family === "mt5") return false;
  const isTied = flag(fields, "tie_word_embeddings", true);
  return family === "t5" ? flag(fields, "scale_decoder_outputs", isTied) : isTied;
}

/** The configuration with the id that outputs begin with by `generation_config.json`, which goes before `config.json`. */
export function withGenerationStart(
  config: Seq2SeqConfig,
  generationConfig: Fields | undefined,
): Seq2SeqConfig {
  const [start] = tokenIds(generationConfig?.["decoder_start_token_id"]);
  return start === undefined ? config : { ...config, decoderStartTokenId: start };
}

function readGate(fields: Fields, layers: number): DeleteGateConfig {
  const layer = fields["delete_gate_layer"] ?? 3;
  if (typeof layer !== "number" || !Number.isSafeInteger(layer) || layer < 1 || layer >= layers) {
    throw invalid("delete_gate_layer", layer, `a layer from 1 to ${layers - 1}`);
  }
  const type = fields["deletion_type"] ?? "scaled_sigmoid";
  if (type !== "scaled_sigmoid") throw invalid("deletion_type", type, "scaled_sigmoid");
  const scale = fields["sigmoid_mask_scale"] ?? -30;
  if (typeof scale !== "number" || !(scale < 0)) {
    throw invalid("sigmoid_mask_scale", scale, "a number below 0");
  }
  const threshold = fields["deletion_threshold"] ?? scale / 2;
  if (typeof threshold !== "number" || !(threshold > scale && threshold < 0)) {
    throw invalid("deletion_threshold", threshold, `a number between ${scale} and 0`);
  }
  return { layer, scale, threshold, norm: flag(fields, "gate_layer_norm", true) };
}

/** The decoder as the modules above see it: the sizes and special ids of a dense decoder. */
export function decoderView(config: Seq2SeqConfig): DecoderConfig {
  const { encoder, family } = config;
  const { hiddenSize, headDim } = encoder;
  const dense = decoderConfig({
    model_type: "llama",
    vocab_size: encoder.vocabSize,
    hidden_size: hiddenSize,
    intermediate_size: encoder.intermediateSize,
    num_hidden_layers: config.decoderLayers,
    num_attention_heads: encoder.numAttentionHeads,
    head_dim: headDim + (headDim % 2),
    max_position_embeddings: t5ContextLength,
    rms_norm_eps: encoder.normEps,
    bos_token_id: config.decoderStartTokenId,
    eos_token_id: [...config.eosTokenIds],
  });
  const layers = dense.layers.map((layer) => ({ ...layer, rope: undefined }));
  return { ...dense, family, headDim, layers, ropes: [], attentionScale: encoder.attentionScale };
}
