/** The encoder of T5, mT5, umT5 and ByT5: keys of its own, pre-norm, no biases, scores by relative positions. */
import { type Fields, flag, given, invalid, positive } from "../decoder/config-fields.ts";
import { type Activation, activationNames, activationOf } from "../layers/activation.ts";
import type { EncoderConfig, RelativeBiasConfig } from "./config.ts";
import type { Labels } from "./tasks/encoder-task.ts";

/** Values of `model_type` for T5 and models of its shape. */
export const t5Families: readonly string[] = ["t5", "mt5", "umt5", "mrt5"];

/** What the configuration class of T5 assumes, from transformers 5.18.0. */
const t5Defaults: Fields = {
  vocab_size: 32128,
  d_model: 512,
  d_kv: 64,
  d_ff: 2048,
  num_layers: 6,
  num_heads: 8,
  relative_attention_num_buckets: 32,
  relative_attention_max_distance: 128,
  layer_norm_epsilon: 1e-6,
  feed_forward_proj: "relu",
  pad_token_id: 0,
  eos_token_id: 1,
};

/** What the classes of mT5 and umT5 assume besides. */
const mt5Defaults: Fields = {
  vocab_size: 250112,
  d_ff: 1024,
  num_layers: 8,
  num_heads: 6,
  feed_forward_proj: "gated-gelu",
  decoder_start_token_id: 0,
};

/** Positions are relative and have no end of their own; memory sets one. */
export const t5ContextLength = 32768;

/** Keys of a T5 `config.json` over the defaults of the class that its `model_type` names. */
export function t5Fields(own: Fields): Fields {
  const isMultilingual = own["model_type"] === "mt5" || own["model_type"] === "umt5";
  return { ...t5Defaults, ...(isMultilingual && mt5Defaults), ...own };
}

/**
 * What the feed-forward of a T5 does: `relu`, `gated-gelu` and the like. `dense_act_fn` and `is_gated_act`, which
 * files of newer versions repeat it in, go before `feed_forward_proj`, as in transformers.
 */
export function t5FeedForward(fields: Fields): { activation: Activation; gated: boolean } {
  const name = fields["feed_forward_proj"];
  const [, gate, rest = ""] = /^(gated-)?(.+)$/.exec(typeof name === "string" ? name : "") ?? [];
  const gated = gate !== undefined;
  // T5 v1.1 was trained with the tanh form.
  const activation = activationOf(gated && rest === "gelu" ? "gelu_new" : rest);
  if (!activation) {
    throw invalid("feed_forward_proj", name, `one of ${activationNames.join(", ")}, or gated-…`);
  }
  const stated = fields["dense_act_fn"];
  const own = given(stated) ? activationOf(stated) : activation;
  if (!own) throw invalid("dense_act_fn", stated, `one of ${activationNames.join(", ")}`);
  return { activation: own, gated: flag(fields, "is_gated_act", gated) };
}

/**
 * How T5 counts distances.
 *
 * @param sides 2 where keys behind a query have buckets of their own (the encoder), else 1
 */
export function t5Buckets(fields: Fields, sides: 1 | 2): RelativeBiasConfig {
  const [bucketsKey, distanceKey] = [
    "relative_attention_num_buckets",
    "relative_attention_max_distance",
  ] as const;
  const buckets = positive(fields, bucketsKey, Number.isSafeInteger);
  const maxDistance = positive(fields, distanceKey, Number.isSafeInteger);
  const exact = Math.floor(Math.floor(buckets / sides) / 2);
  if (exact < 1) throw invalid(bucketsKey, buckets, `at least ${2 * sides}`);
  if (maxDistance <= exact) {
    const expected = `above ${exact}, which ${buckets} buckets count one by one`;
    throw invalid(distanceKey, maxDistance, expected);
  }
  return { buckets, maxDistance, everyLayer: fields["model_type"] === "umt5" };
}

/** Describes the encoder of a T5 `config.json`; what all families share is left to the caller. */
export function t5EncoderConfig(
  own: Fields,
): Omit<EncoderConfig, "task" | keyof Labels | "headOptions"> {
  const fields = t5Fields(own);
  const count = (name: string): number => positive(fields, name, Number.isSafeInteger);
  const layers = count("num_layers");
  if (layers > 10_000) throw invalid("num_layers", layers, "at most 10000");
  const pad = fields["pad_token_id"];
  return {
    family: "t5",
    vocabSize: count("vocab_size"),
    hiddenSize: count("d_model"),
    embeddingSize: count("d_model"),
    intermediateSize: count("d_ff"),
    numAttentionHeads: count("num_heads"),
    headDim: count("d_kv"),
    layers: Array.from({ length: layers }, () => ({
      window: undefined,
      rope: undefined,
      attentionNorm: true,
    })),
    sharing: undefined,
    ropes: [],
    positionRows: 0,
    positionIds: "index",
    typeVocabSize: 0,
    relativeBias: t5Buckets(fields, 2),
    contextLength: t5ContextLength,
    norm: "rms",
    normEps: positive(fields, "layer_norm_epsilon", Number.isFinite),
    normBias: false,
    normPlacement: "pre",
    embeddingNorm: false,
    finalNorm: true,
    ...t5FeedForward(fields),
    // The scale lies in the weights.
    attentionScale: 1,
    qkvBias: false,
    attentionOutputBias: false,
    upBias: false,
    downBias: false,
    padTokenId: given(pad) && Number.isSafeInteger(pad) ? (pad as number) : 0,
    tieWordEmbeddings: flag(fields, "tie_word_embeddings", true),
  };
}
