/** The traced parts of a model of words over whole words, without a cache. */
import {
  add,
  addDimensions,
  broadcastTo,
  cast,
  concat,
  constant,
  type Dimension,
  gather,
  gatherByProduct,
  less,
  range,
  reshape,
  rmsNorm,
  scoped,
  slice,
  type Tensor,
  where,
} from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import { decoderLayer, type LayerContext } from "../decoder/decoder-layer.ts";
import { decoderNames } from "../decoder/decoder-names.ts";
import {
  attendFullSequence,
  decodeFullSequence,
  rotationTables,
} from "../decoder/full-sequence.ts";
import { everyExpert } from "../layers/experts.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import { wordEndId } from "./byte-vocabulary.ts";
import type { WordModelConfig } from "./word-config.ts";
import { stackWeights, wordParameterNames } from "./word-parameters.ts";

/** Rotations of up to `length` positions as constants of the graph, by the names that a decoder reads. */
function localRotations(config: DecoderConfig, length: number): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(rotationTables(config, length)).map(([name, { data, shape }]) => [
      name,
      constant(data as Float32Array, { shape }),
    ]),
  );
}

/** Embeddings of bytes, `[words, length, width]`. */
export function embedUnits(weights: DecoderWeights, units: Tensor): Tensor {
  const table = cast(weights.table(wordParameterNames.embedding), "float32");
  return gatherByProduct(table, units);
}

/** Vectors that stand before each word, `[prefixes, width]`. */
function prefixRows(config: WordModelConfig, weights: DecoderWeights): Tensor {
  const table = cast(weights.table(wordParameterNames.embedding), "float32");
  const first = slice(table, { axis: 0, start: wordEndId, end: wordEndId + 1 });
  if (config.prefixes === 1) return first;
  return concat([first, cast(weights.table(wordParameterNames.prefixes), "float32")], 0);
}

/** The final norm of a stack. */
export function stackNorm(config: DecoderConfig, weights: DecoderWeights, x: Tensor): Tensor {
  return rmsNorm(x, weights.vector(decoderNames.finalNorm), { epsilon: config.rmsNormEps });
}

/**
 * The local encoder: each word by itself, in both directions.
 *
 * @param embedded `[words, length, width]`, `embedUnits` of the words
 * @param lengths int32 `[words]`, bytes of each; what stands behind them is not seen
 * @returns `[words, prefixes, backbone hidden size]`: a word's vectors
 */
export function encodeWords(
  config: WordModelConfig,
  weights: DecoderWeights,
  { embedded, lengths }: { embedded: Tensor; lengths: Tensor },
): Tensor {
  const { prefixes, encoder } = config;
  const [words, length, width] = embedded.shape as [Dimension, Dimension, number];
  const time = addDimensions(prefixes, length);
  const before = broadcastTo(prefixRows(config, weights), [words, prefixes, width]);
  const ends = reshape(add(lengths, prefixes), [words, 1, 1, 1]);
  const seen = less(reshape(range(time), [1, 1, 1, time]), ends);
  const mask = where(seen, 0, Number.NEGATIVE_INFINITY);
  const rotations = localRotations(encoder, prefixes + config.maxWordBytes);
  const inner = stackWeights(weights, "encoder");
  let x = concat([before, embedded], 1);
  const context: LayerContext = {
    config: encoder,
    weights: inner,
    attend: attendFullSequence,
    mixExperts: everyExpert,
    rotationRows: broadcastTo(reshape(range(time), [1, time]), [words, time]),
    rotations: [{ cos: rotations["rope.0.cos"]!, sin: rotations["rope.0.sin"]! }],
    past: () => ({ key: x, value: x }),
    masks: () => ({ past: mask, fresh: mask }),
  };
  for (const index of encoder.layers.keys()) {
    x = scoped(`encoder.${index}`, () => decoderLayer(x, index, context)).x;
  }
  const pooled = stackNorm(encoder, inner, slice(x, { axis: 1, end: prefixes }));
  return config.isProjected ? weights.linear(pooled, [wordParameterNames.toBackbone]) : pooled;
}

/**
 * The backbone over sequences of words.
 *
 * @param x `[batch, words * prefixes, backbone hidden size]`
 * @param input rotations by the names of `rotationTypes(config.backbone)`
 * @param segments int32 `[batch, words * prefixes]`, the number of each word's document, where documents
 *   do not see each other
 * @returns predictive vectors `[batch, words * prefixes, local hidden size]`
 */
export function runBackbone(
  config: WordModelConfig,
  weights: DecoderWeights,
  x: Tensor,
  input: Readonly<Record<string, Tensor>>,
  segments?: Tensor,
): Tensor {
  const inner = stackWeights(weights, "backbone");
  const hidden = scoped("backbone", () =>
    decodeFullSequence(config.backbone, inner, x, input, segments ? { segments } : {}),
  );
  return predictiveVectors(config, weights, hidden);
}

/** From the backbone's residual stream to vectors that stand before the next word. */
export function predictiveVectors(
  config: WordModelConfig,
  weights: DecoderWeights,
  hidden: Tensor,
): Tensor {
  const normed = stackNorm(config.backbone, stackWeights(weights, "backbone"), hidden);
  return config.isProjected ? weights.linear(normed, [wordParameterNames.toLocal]) : normed;
}

/**
 * The local decoder: each word behind the predictive vectors of the word before it.
 *
 * @param predictive `[words, prefixes, local hidden size]`
 * @param embedded `[words, length, local hidden size]`, `embedUnits` of the words
 * @returns logits `[words, length + 1, 256]`: of each byte and of the word's end
 */
export function decodeWords(
  config: WordModelConfig,
  weights: DecoderWeights,
  { predictive, embedded }: { predictive: Tensor; embedded: Tensor },
): Tensor {
  const { prefixes, decoder } = config;
  const inner = stackWeights(weights, "decoder");
  const rotations = localRotations(decoder, prefixes + config.maxWordBytes);
  const x = scoped("decoder", () =>
    decodeFullSequence(decoder, inner, concat([predictive, embedded], 1), rotations),
  );
  return byteLogits(config, weights, slice(x, { axis: 1, start: prefixes - 1 }));
}

/** Final norm of the local decoder and the head. */
export function byteLogits(config: WordModelConfig, weights: DecoderWeights, x: Tensor): Tensor {
  const normed = stackNorm(config.decoder, stackWeights(weights, "decoder"), x);
  return weights.linear(normed, [wordParameterNames.head]);
}

/** Words of one padded length, as `layOutWords` gives them. */
export interface WordBucketTensors {
  /** int32 `[words, length]` */
  readonly units: Tensor;
  /** int32 `[words]` */
  readonly lengths: Tensor;
  /** int32 `[words]`: place `sequence * words + word` of the word before. */
  readonly previous: Tensor;
}

/** What `predictWords` reads besides the buckets. */
export interface WordSequenceTensors {
  /** int32 `[batch, words]`: which of the words of all buckets, one bucket after the other. */
  readonly order: Tensor;
  /** int32 `[batch, words]`: number of each word's document. */
  readonly segments?: Tensor;
  /** Rotations by the names of `rotationTypes(config.backbone)`. */
  readonly rotations: Readonly<Record<string, Tensor>>;
}

/**
 * The whole model over sequences of words.
 *
 * @returns for each bucket logits `[words, length + 1, 256]` of its words given those before them
 */
export function predictWords(
  config: WordModelConfig,
  weights: DecoderWeights,
  buckets: readonly WordBucketTensors[],
  { order, segments, rotations }: WordSequenceTensors,
): Tensor[] {
  const { prefixes } = config;
  const [batch, words] = order.shape as [string, string];
  const embedded = buckets.map(({ units }) => embedUnits(weights, units));
  const vectors = buckets.map(({ lengths }, index) =>
    encodeWords(config, weights, { embedded: embedded[index]!, lengths }),
  );
  const width = config.backbone.hiddenSize;
  const inOrder = gather(concat(vectors, 0), reshape(order, [-1]));
  const x = reshape(inOrder, [batch, `${prefixes}*${words}`, width]);
  const spread =
    segments &&
    reshape(broadcastTo(reshape(segments, [batch, words, 1]), [batch, words, prefixes]), [
      batch,
      `${prefixes}*${words}`,
    ]);
  const predictive = reshape(runBackbone(config, weights, x, rotations, spread), [
    -1,
    prefixes,
    config.decoder.hiddenSize,
  ]);
  return buckets.map(({ previous }, index) =>
    decodeWords(config, weights, {
      predictive: gather(predictive, previous),
      embedded: embedded[index]!,
    }),
  );
}
