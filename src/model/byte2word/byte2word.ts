/**
 * byte2word (Lee, Guo and Qiu, 2022, arXiv 2211.12677): an encoder over words whose vectors are made of their
 * bytes by the attention of one learned query, pre-trained to predict the sub-word pieces of masked words.
 */
import {
  add,
  cast,
  concat,
  type Dimension,
  divide,
  gather,
  gatherByProduct,
  gelu,
  layerNorm,
  less,
  matmul,
  maximum,
  multiply,
  multiplyDimensions,
  range,
  reshape,
  scoped,
  slice,
  softmax,
  sum,
  type Tensor,
  transpose,
  where,
} from "../../tensor/index.ts";
import { byteVocabSize } from "../byte/byte-vocabulary.ts";
import { encodeEmbeddings } from "../encoder/encoder.ts";
import { encoderNorm } from "../encoder/encoder-layer.ts";
import { encoderNames, weightOf } from "../encoder/encoder-names.ts";
import { encoderParameterShapes } from "../encoder/parameter-shapes.ts";
import { projectStored } from "../encoder/project-stored.ts";
import { maskedScore } from "../layers/bidirectional-attention.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { Byte2WordConfig } from "./config.ts";

/** Ids of the words that are no text, counted from behind the bytes (or pieces). */
export const specialWords = { cls: 0, sep: 1, mask: 2 } as const;

/** Ids of a word's units that are text. */
export function textUnits({ units, pieceVocabSize }: Byte2WordConfig): number {
  return units === "bytes" ? byteVocabSize : pieceVocabSize;
}

const names = {
  bytes: "byte_embeddings.weight",
  places: "byte_positions.weight",
  query: "pooler.query.weight",
  queryProjection: "pooler.q_proj.weight",
  key: "pooler.k_proj.weight",
  value: "pooler.v_proj.weight",
  output: "pooler.o_proj.weight",
  norm: "pooler.norm",
  slots: "head.slots.weight",
  dense: "head.dense",
  headNorm: "head.norm",
  pieces: "head.output",
  classifier: "classifier",
} as const;

/** Shapes of all parameters by name. */
export function byte2WordParameterShapes(config: Byte2WordConfig): Map<string, number[]> {
  const { encoder, byteSize, maxWordBytes, maxWordPieces, pieceVocabSize, labels } = config;
  const { hiddenSize } = encoder;
  const shapes = new Map<string, number[]>([
    [names.bytes, [textUnits(config) + Object.keys(specialWords).length, byteSize]],
    [names.places, [maxWordBytes, byteSize]],
  ]);
  const isAttention = config.pooling === "attention";
  if (isAttention) {
    shapes.set(names.query, [1, hiddenSize]);
    shapes.set(names.queryProjection, [hiddenSize, hiddenSize]);
    shapes.set(names.key, [hiddenSize, byteSize]);
  }
  shapes.set(names.value, [hiddenSize, byteSize]);
  shapes.set(names.output, [hiddenSize, hiddenSize]);
  const norm = (name: string): void => {
    shapes.set(`${name}.weight`, [hiddenSize]);
    shapes.set(`${name}.bias`, [hiddenSize]);
  };
  const linear = (name: string, outputs: number): void => {
    shapes.set(`${name}.weight`, [outputs, hiddenSize]);
    shapes.set(`${name}.bias`, [outputs]);
  };
  norm(names.norm);
  const tokens = weightOf(encoderNames(encoder).tokens);
  for (const [name, shape] of encoderParameterShapes(encoder)) {
    if (name !== tokens) shapes.set(name, shape);
  }
  shapes.set(names.slots, [maxWordPieces, hiddenSize]);
  linear(names.dense, hiddenSize);
  norm(names.headNorm);
  linear(names.pieces, pieceVocabSize + 1);
  if (labels.length > 0) linear(names.classifier, labels.length);
  return shapes;
}

/** Parameters by what they are for: the input side, the layers, and what only pre-training needs. */
export interface ParameterReport {
  readonly input: number;
  readonly layers: number;
  readonly trainingOnly: number;
}

/** Counts parameters as papers do: the input side of BERT is its table of tokens. */
export function reportParameters(config: Byte2WordConfig): ParameterReport {
  const report = { input: 0, layers: 0, trainingOnly: 0 };
  for (const [name, shape] of byte2WordParameterShapes(config)) {
    const size = shape.reduce((a, b) => a * b, 1);
    if (/^(byte_|pooler\.)/.test(name)) report.input += size;
    else if (name.startsWith("head.")) report.trainingOnly += size;
    else report.layers += size;
  }
  return report;
}

/** Words as bytes: `units` int32 `[words, length]`, `lengths` int32 `[words]`. */
export interface WordBytes {
  readonly units: Tensor;
  readonly lengths: Tensor;
}

/**
 * A vector for each word, of its own bytes alone: `[words, hiddenSize]`. Every head of the one learned query
 * attends to the bytes of one word; without their positions anagrams would be equal.
 */
export function poolWords(
  config: Byte2WordConfig,
  weights: DecoderWeights,
  { units, lengths }: WordBytes,
): Tensor {
  const [words, length] = units.shape as [Dimension, Dimension];
  const { hiddenSize } = config.encoder;
  const table = cast(weights.table(names.bytes), "float32");
  const places = cast(weights.table(names.places), "float32");
  // u = E[byte] + P[place]
  const isSmall = config.units === "bytes";
  const rows = isSmall ? gatherByProduct(table, units) : gather(table, units);
  const u = add(rows, slice(places, { axis: 0, end: length }));
  const seen = less(reshape(range(length), [1, length]), reshape(lengths, [words, 1]));
  const values = weights.linear(u, [names.value]);
  const pooled =
    config.pooling === "mean"
      ? meanOfSeen(values, seen)
      : attendToBytes(config, weights, { u, values, seen });
  const output = weights.linear(pooled, [names.output]);
  const query =
    config.pooling === "mean" ? output : add(output, cast(weights.table(names.query), "float32"));
  return norm(config, weights, reshape(query, [words, hiddenSize]), names.norm);
}

function meanOfSeen(values: Tensor, seen: Tensor): Tensor {
  const [words, length] = seen.shape as [Dimension, Dimension];
  const counted = cast(reshape(seen, [words, length, 1]), "float32");
  const total = sum(multiply(values, counted), { axes: [1] });
  return divide(total, maximum(sum(counted, { axes: [1] }), 1));
}

function attendToBytes(
  config: Byte2WordConfig,
  weights: DecoderWeights,
  { u, values, seen }: { u: Tensor; values: Tensor; seen: Tensor },
): Tensor {
  const { poolingHeads: heads, encoder } = config;
  const [words, length] = seen.shape as [Dimension, Dimension];
  const headDim = encoder.hiddenSize / heads;
  const byHead = (x: Tensor): Tensor =>
    transpose(reshape(x, [words, length, heads, headDim]), [0, 2, 1, 3]);
  const query = weights.linear(cast(weights.table(names.query), "float32"), [
    names.queryProjection,
  ]);
  const keys = byHead(weights.linear(u, [names.key]));
  const scores = matmul(reshape(query, [1, heads, 1, headDim]), keys, {
    transposeB: true,
    alpha: headDim ** -0.5,
  });
  const mask = where(reshape(seen, [words, 1, 1, length]), 0, maskedScore);
  const attended = matmul(softmax(add(scores, mask)), byHead(values));
  return reshape(attended, [words, encoder.hiddenSize]);
}

function norm(
  { encoder }: Byte2WordConfig,
  weights: DecoderWeights,
  x: Tensor,
  name: string,
): Tensor {
  const [scale, bias] = [weights.vector(`${name}.weight`), weights.vector(`${name}.bias`)];
  return layerNorm(x, scale, bias, { epsilon: encoder.normEps });
}

/**
 * States of words in their text: `[batch, words, hiddenSize]`.
 *
 * @param buckets words of similar lengths, one group after the other
 * @param order int32 `[batch, words]`: which of the words of all buckets
 * @param counts int32 `[batch]`: words of each text; what stands behind them is not seen
 */
export function encodeWordStates(
  config: Byte2WordConfig,
  weights: DecoderWeights,
  buckets: readonly WordBytes[],
  { order, counts }: { order: Tensor; counts: Tensor },
): Tensor {
  const { encoder } = config;
  const [batch, words] = order.shape as [Dimension, Dimension];
  const vectors = scoped("pooler", () =>
    concat(
      buckets.map((bucket) => poolWords(config, weights, bucket)),
      0,
    ),
  );
  const stored = encoderNames(encoder);
  const positions = cast(weights.table(weightOf(stored.positions)), "float32");
  const x = add(gather(vectors, order), slice(positions, { axis: 0, end: words }));
  const seen = less(reshape(range(words), [1, 1, 1, words]), reshape(counts, [batch, 1, 1, 1]));
  return encodeEmbeddings(
    encoder,
    weights,
    encoderNorm({ config: encoder, weights }, x, stored.embeddingNorm),
    { mask: where(seen, 0, maskedScore), tables: {} },
  );
}

/**
 * Logits of the pieces of words, in parallel for every slot: `[rows, maxWordPieces, pieces + 1]`; the last
 * piece is the word's end.
 *
 * @param states `[rows, hiddenSize]` of masked words
 */
export function predictPieces(
  config: Byte2WordConfig,
  weights: DecoderWeights,
  states: Tensor,
): Tensor {
  const { maxWordPieces, encoder } = config;
  const [rows] = states.shape as [Dimension];
  const slots = cast(weights.table(names.slots), "float32");
  const spread = add(
    reshape(states, [rows, 1, encoder.hiddenSize]),
    reshape(slots, [1, maxWordPieces, encoder.hiddenSize]),
  );
  // z = LayerNorm(GELU((h + R[slot]) W1)), logits = z W2 + b
  const flat = reshape(spread, [multiplyDimensions(rows, maxWordPieces), encoder.hiddenSize]);
  const dense = gelu(projectStored(weights, flat, names.dense));
  const logits = projectStored(weights, norm(config, weights, dense, names.headNorm), names.pieces);
  return reshape(logits, [rows, maxWordPieces, config.pieceVocabSize + 1]);
}

/** Logits of the classes of states `[rows, hiddenSize]`: of `[CLS]` for texts, of words for tags. */
export function classifyStates(weights: DecoderWeights, states: Tensor): Tensor {
  return projectStored(weights, states, names.classifier);
}
