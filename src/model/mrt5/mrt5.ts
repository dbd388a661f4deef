/**
 * MrT5 in training (Kallini et al., 2025): an encoder that a `Shortener` shortens between two layers, a
 * decoder with teacher forcing, and the loss with its terms.
 */
import {
  add,
  causalMask,
  crossEntropyRows,
  type Dimension,
  maximum,
  mean,
  multiply,
  range,
  reshape,
  subtract,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.ts";
import { embedEncoderInput, encodeLayers } from "../encoder/encoder.ts";
import { paddingMask } from "../encoder/encoder-graph.ts";
import { attendBidirectionally, maskedScore } from "../layers/bidirectional-attention.ts";
import { sumsOf } from "../layers/layer-terms.ts";
import type { Seq2SeqConfig } from "../seq2seq/config.ts";
import {
  crossKeyValue,
  embedOutputTokens,
  finalOutputStates,
  outputBias,
  outputLogits,
  type Seq2SeqContext,
  scoreWeights,
  seq2seqDecoderLayer,
} from "../seq2seq/decoder-layer.ts";
import { columnTerm, sourceContext } from "../seq2seq/encode-source.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { Shortened, Shortener } from "./shortener.ts";

/** A model in training. */
export interface ShortenedModel {
  readonly config: Seq2SeqConfig;
  readonly weights: DecoderWeights;
  readonly shortener: Shortener;
  /** The shortener reads the input of this layer, counted from 0. */
  readonly layer: number;
  /** Whether a tensor is stored. */
  readonly has: (name: string) => boolean;
}

/** Texts and what should be written from them. */
export interface TextPairs {
  /** int32 `[batch, time]` */
  readonly ids: Tensor;
  /** float32 `[batch, time]` */
  readonly attended: Tensor;
  /** What the decoder reads, int32 `[batch, output]`. */
  readonly decoderIds: Tensor;
  /** What it should write, likewise. */
  readonly targets: Tensor;
  /** 1 for targets that count, float32 `[batch, output]`. */
  readonly counted: Tensor;
  /** Inputs of the shortener. */
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/** A forward pass with everything that a loss may read. */
export interface ShortenedPass {
  readonly shortened: Shortened;
  /** States behind the encoder's final norm, `[batch, kept, width]`. */
  readonly states: Tensor;
  /** `[batch, output, vocabSize]` */
  readonly logits: Tensor;
  /**
   * Mean over the attentions that the shortener's term acts on of mean(max(score, 5) - 5), scores without
   * the term: what keeps scores from outgrowing it.
   */
  readonly scorePenalty: Tensor;
}

/** Scores above this are penalized. */
const scoreLimit = 5;

/** Encodes, shortens, and decodes with teacher forcing. */
export function runShortened(model: ShortenedModel, pairs: TextPairs): ShortenedPass {
  const { config, weights, shortener, layer } = model;
  const { ids, attended } = pairs;
  const [, time] = ids.shape as [Dimension, Dimension];
  const embeddings = embedEncoderInput(config.encoder, weights, {
    ids,
    positions: ids,
    types: ids,
  });
  const whole = sourceContext(config, weights, paddingMask(attended), range(time));
  const early = encodeLayers(embeddings, whole, 0, layer);
  const shortened = shortener.shorten({ weights, states: early, attended, inputs: pairs.inputs });
  const mask = paddingMask(shortened.attended);
  const term = shortened.term && columnTerm(shortened.term);
  const late = sourceContext(config, weights, term ? add(mask, term) : mask, shortened.positions);
  const penalties: Tensor[] = [];
  const weigh = penalizedWeights(config, term, penalties);
  const states = encodeLayers(shortened.states, { ...late, weigh }, layer);
  const crossAdded = term ? [add(mask, term)] : [mask];
  const context = {
    config,
    weights,
    weigh,
    crossAdded,
    cross: (layer: number) => crossKeyValue(config, weights, states, layer),
  };
  const logits = decodeOutputs(model, context, pairs.decoderIds);
  const total = penalties.reduce((a, b) => add(a, b));
  return { shortened, states, logits, scorePenalty: multiply(total, 1 / penalties.length) };
}

/** The config's softmax, which notes the penalty of the scores that it gets. */
function penalizedWeights(
  config: Seq2SeqConfig,
  term: Tensor | undefined,
  penalties: Tensor[],
): (scores: Tensor) => Tensor {
  const weigh = scoreWeights(config);
  return (scores) => {
    const own = term ? subtract(scores, term) : scores;
    penalties.push(mean(subtract(maximum(own, scoreLimit), scoreLimit)));
    return weigh(scores);
  };
}

/** Logits of every output position, each of which sees those before it. */
function decodeOutputs(
  { config, weights, has }: ShortenedModel,
  shared: Omit<Seq2SeqContext, "attendSelf">,
  ids: Tensor,
): Tensor {
  const [batch, output] = ids.shape as [Dimension, Dimension];
  const { attentionScale: scale, vocabSize } = config.encoder;
  const places = range(output);
  const bias = outputBias(config, weights, places, places);
  const causal = where(causalMask(output, output), 0, maskedScore);
  const added = sumsOf(() => causal, bias);
  // Scores of the decoder's attention to itself are not penalized.
  const weigh = scoreWeights(config);
  const context: Seq2SeqContext = {
    ...shared,
    attendSelf: (query, { key, value }, layer) =>
      attendBidirectionally({ query, key, value, added: added(layer), scale, weigh }),
  };
  let x = embedOutputTokens(weights, ids);
  for (let layer = 0; layer < config.decoderLayers; layer++) {
    x = seq2seqDecoderLayer(x, layer, context).x;
  }
  const logits = outputLogits(weights, finalOutputStates(context, x), has);
  return reshape(logits, [batch, output, vocabSize]);
}

/** Weights of the terms of the loss. */
export interface LossWeights {
  /** alpha: of the shortener's penalty, a scalar tensor that a controller moves. */
  readonly penalty: Tensor;
  /** beta: of the scores' penalty. Default 0; from scratch 0.5. */
  readonly scores?: number;
}

/** The terms of a batch's loss. */
export interface ShortenedTerms {
  /** Nats, as a sum over the targets that count. */
  readonly loss: Tensor;
  /** Number of targets that count. */
  readonly weight: Tensor;
  /** What is minimized with the loss, a sum likewise; undefined: nothing. */
  readonly penalty: Tensor | undefined;
  /** Share of tokens that are gone or marked to go: a scalar. */
  readonly deletedShare: Tensor;
}

/** The terms of the loss of a batch apart. */
export function shortenedTerms(
  model: ShortenedModel,
  pairs: TextPairs,
  { penalty, scores = 0 }: LossWeights,
): ShortenedTerms {
  const { logits, shortened, scorePenalty } = runShortened(model, pairs);
  const rows = reshape(logits, [-1, model.config.encoder.vocabSize]);
  const losses = crossEntropyRows(rows, reshape(pairs.targets, [-1]));
  const counted = reshape(pairs.counted, [-1]);
  const weight = sum(counted);
  const terms = [
    ...(shortened.penalty ? [multiply(shortened.penalty, penalty)] : []),
    ...(scores > 0 ? [multiply(scorePenalty, scores)] : []),
  ].map((term) => multiply(term, weight));
  return {
    loss: sum(multiply(losses, counted)),
    weight,
    penalty: terms.length > 0 ? terms.reduce((a, b) => add(a, b)) : undefined,
    deletedShare: shortened.deletedShare,
  };
}

/** The loss of a batch, as a sum over the targets that count with its penalties, and their number. */
export function shortenedLoss(
  model: ShortenedModel,
  pairs: TextPairs,
  weights: LossWeights,
): { readonly loss: Tensor; readonly weight: Tensor } {
  const { loss, penalty, weight } = shortenedTerms(model, pairs, weights);
  return { loss: penalty ? add(loss, penalty) : loss, weight };
}

/**
 * Multiplications of encoder and decoder for one text, relative to no deletion: a layer costs 4 n d² + 2 n²
 * d + 2 n d d_ff (three matrices where it is gated), and attention to the source reads its short form.
 */
export function relativeCost(
  config: Seq2SeqConfig,
  { source, output, deleted }: { source: number; output: number; deleted: number },
): number {
  const { hiddenSize: d, intermediateSize, gated, layers } = config.encoder;
  const inner = config.encoder.numAttentionHeads * config.encoder.headDim;
  const fed = (gated ? 3 : 2) * d * intermediateSize;
  const encoder = (n: number): number => n * (4 * d * inner + fed) + 2 * n * n * inner;
  const decoder = (n: number): number =>
    output * (4 * d * inner + fed) +
    2 * output * output * inner +
    2 * output * d * inner +
    2 * n * d * inner +
    2 * output * n * inner;
  const at = config.deleteGate?.layer ?? layers.length;
  const total = (kept: number): number =>
    at * encoder(source) +
    (layers.length - at) * encoder(kept) +
    config.decoderLayers * decoder(kept);
  return total(source * (1 - deleted)) / total(source);
}
