/** One layer of a T5 decoder as a traced function: attention to itself, to the encoder, feed-forward. */
import {
  add,
  cast,
  gather,
  multiply,
  rmsNorm,
  scoped,
  softmax,
  split,
  type Tensor,
} from "../../tensor/index.ts";
import { weightOf } from "../encoder/encoder-names.ts";
import { activate } from "../layers/activation.ts";
import {
  attendBidirectionally,
  joinHeads,
  softmaxOne,
  splitHeads,
} from "../layers/bidirectional-attention.ts";
import { onceByKey } from "../layers/layer-terms.ts";
import { relativeBias } from "../layers/relative-bias.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { Seq2SeqConfig } from "./config.ts";
import {
  seq2seqHead,
  seq2seqLayerNames,
  seq2seqNames,
  seq2seqRelativeBias,
} from "./decoder-names.ts";

/** Keys and values of one attention, `[batch, heads, keys, headDim]`. */
export interface KeyValue {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** Values that all layers of one forward pass share. */
export interface Seq2SeqContext {
  readonly config: Seq2SeqConfig;
  readonly weights: DecoderWeights;
  /** Attention of the new tokens to themselves and those before them: `[batch, heads, time, headDim]`. */
  attendSelf(query: Tensor, fresh: KeyValue, layer: number): Tensor;
  /** Keys and values of the encoder's states. */
  cross(layer: number): KeyValue;
  /** What is added to scores over the encoder's states. */
  readonly crossAdded: readonly Tensor[];
  /** How scores over the encoder's states become weights. */
  weigh(scores: Tensor): Tensor;
}

function norm({ config, weights }: Seq2SeqContext, x: Tensor, name: string): Tensor {
  return rmsNorm(x, weights.vector(weightOf(name)), { epsilon: config.encoder.normEps });
}

const product = (weights: DecoderWeights, x: Tensor, names: readonly string[]): Tensor =>
  weights.linear(x, names.map(weightOf));

/** How scores become weights, in every attention of encoder and decoder. */
export function scoreWeights({ softmaxOne: isOne }: Seq2SeqConfig): (scores: Tensor) => Tensor {
  return isOne ? softmaxOne : (scores) => softmax(scores);
}

/** Scores of a layer of the decoder by the positions of queries and keys. */
export function outputBias(
  config: Seq2SeqConfig,
  weights: DecoderWeights,
  queries: Tensor,
  keys: Tensor,
): (layer: number) => Tensor {
  const buckets = { ...config.encoder.relativeBias!, bidirectional: false };
  return onceByKey(
    (layer) => seq2seqRelativeBias(config, layer),
    (name) => relativeBias(weights.vector(weightOf(name)), queries, keys, buckets),
  );
}

/** Keys and values of the encoder's states `[batch, source, hiddenSize]` for one layer. */
export function crossKeyValue(
  config: Seq2SeqConfig,
  weights: DecoderWeights,
  states: Tensor,
  layer: number,
): KeyValue {
  const heads = config.encoder.numAttentionHeads;
  const { crossKeyValue: names } = seq2seqLayerNames(config, layer);
  const byHead = splitHeads(product(weights, states, names), 2 * heads);
  const [key, value] = split(byHead, [heads, heads], 1);
  return { key: key!, value: value! };
}

/** Embeddings of the decoder's tokens. */
export function embedOutputTokens(weights: DecoderWeights, ids: Tensor): Tensor {
  return cast(gather(weights.table(weightOf(seq2seqNames.tokens)), ids), "float32");
}

/** One layer: `[batch, time, hiddenSize]` to the same, and the new keys and values. */
export function seq2seqDecoderLayer(
  x: Tensor,
  index: number,
  context: Seq2SeqContext,
): { readonly x: Tensor; readonly fresh: KeyValue } {
  const { config, weights } = context;
  const { numAttentionHeads: heads, intermediateSize, activation, gated } = config.encoder;
  const names = seq2seqLayerNames(config, index);

  const self = scoped("attention", () => {
    const joined = product(weights, norm(context, x, names.selfNorm), names.queryKeyValue);
    const parts = split(splitHeads(joined, 3 * heads), [heads, heads, heads], 1);
    const [query, key, value] = parts as [Tensor, Tensor, Tensor];
    const output = context.attendSelf(query, { key, value }, index);
    return { x: product(weights, joinHeads(output), [names.selfOutput]), fresh: { key, value } };
  });
  const middle = add(x, self.x);

  const read = scoped("cross-attention", () => {
    const query = product(weights, norm(context, middle, names.crossNorm), [names.crossQuery]);
    const output = attendBidirectionally({
      query: splitHeads(query, heads),
      ...context.cross(index),
      added: context.crossAdded,
      scale: config.encoder.attentionScale,
      weigh: context.weigh,
    });
    return product(weights, joinHeads(output), [names.crossOutput]);
  });
  const informed = add(middle, read);

  const fed = scoped("feed-forward", () => {
    const raised = product(weights, norm(context, informed, names.feedForwardNorm), names.up);
    if (!gated) return product(weights, activate(raised, activation), [names.down]);
    const [gate, up] = split(raised, [intermediateSize, intermediateSize], -1);
    return product(weights, multiply(activate(gate!, activation), up!), [names.down]);
  });
  return { x: add(informed, fed), fresh: self.fresh };
}

/** Final norm and factor: what the head multiplies. */
export function finalOutputStates(context: Seq2SeqContext, x: Tensor): Tensor {
  const normed = norm(context, x, seq2seqNames.finalNorm);
  const { outputScale } = context.config;
  return outputScale === 1 ? normed : multiply(normed, outputScale);
}

/** Logits of final states. */
export function outputLogits(
  weights: DecoderWeights,
  states: Tensor,
  has: (name: string) => boolean,
): Tensor {
  return product(weights, states, [seq2seqHead(has)]);
}
