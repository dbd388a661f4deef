/** DeBERTa's scores of contents with distances (He et al., 2021), beside those of contents with contents. */
import {
  abs,
  add,
  broadcastTo,
  cast,
  clamp,
  constant,
  type Dimension,
  gather,
  gatherElements,
  layerNorm,
  matmul,
  multiply,
  range,
  reshape,
  sign,
  subtract,
  type Tensor,
  transpose,
} from "../../../tensor/index.ts";
import type { DecoderWeights } from "../../weights/trace-weights.ts";
import type { EncoderConfig } from "../config.ts";
import { biasOf, encoderNames, weightOf } from "../encoder-names.ts";
import { projectStored } from "../project-stored.ts";
import type { DisentangledConfig } from "./disentangled-config.ts";

/**
 * Bucket of each distance from 0 on: distances to the middle one by one, farther ones by their logarithm.
 *
 * @param count distances that are asked for
 */
export function distanceBuckets(
  { span, buckets, maxDistance }: DisentangledConfig,
  count: number,
): Int32Array {
  const middle = Math.floor(buckets / 2);
  return Int32Array.from({ length: count }, (_, distance) => {
    if (buckets === 0 || distance <= middle) return Math.min(distance, span);
    // In single precision, as the published code: the ceiling of a logarithm differs in its last bit.
    const share = Math.fround(Math.log(Math.fround(distance / middle)));
    const whole = Math.fround(Math.log(Math.fround((maxDistance - 1) / middle)));
    const bucket = Math.ceil(Math.fround(Math.fround(share / whole) * (middle - 1))) + middle;
    return Math.min(bucket, span);
  });
}

/** Tokens that a text of the whole context may be filled up by. */
const filledUp = 64;

/** Row of the table for each query and key, int32 `[time, time]`: `span` for a distance of 0. */
function distanceRows(config: DisentangledConfig, contextLength: number, time: Dimension): Tensor {
  // Texts are filled up a little beyond the context.
  const buckets = distanceBuckets(config, contextLength + filledUp);
  const table = constant(buckets, { dtype: "int32" });
  const distance = subtract(reshape(range(time), [time, 1]), reshape(range(time), [1, time]));
  const direction = cast(sign(cast(distance, "float32")), "int32");
  const size = cast(abs(cast(distance, "float32")), "int32");
  const rows = add(multiply(gather(table, size), direction), config.span);
  // The last row of either side stands for all beyond it.
  return clampRows(rows, 2 * config.span - 1);
}

function clampRows(rows: Tensor, last: number): Tensor {
  return cast(clamp(cast(rows, "float32"), 0, last), "int32");
}

/** Vectors of distances by one matrix of a layer: `[1, heads, 2 · span, headDim]`. */
function distanceVectors(config: EncoderConfig, weights: DecoderWeights, name: string): Tensor {
  const { span, norm } = config.disentangled!;
  const { numAttentionHeads: heads, headDim } = config;
  const names = encoderNames(config);
  let table = cast(weights.table(weightOf(names.distances)), "float32");
  if (norm) {
    const scale = weights.vector(weightOf(names.distanceNorm));
    table = layerNorm(table, scale, weights.vector(biasOf(names.distanceNorm)), {
      epsilon: config.normEps,
    });
  }
  // A small product once for all texts: from the stored matrix in every weight format.
  const projected = projectStored(weights, table, name);
  return transpose(reshape(projected, [1, 2 * span, heads, headDim]), [0, 2, 1, 3]);
}

/**
 * What is added to the scores of a layer, `[batch, heads, time, time]`.
 *
 * @param query, key `[batch, heads, time, headDim]`
 */
export function disentangledScores(
  config: EncoderConfig,
  weights: DecoderWeights,
  index: number,
  { query, key }: { readonly query: Tensor; readonly key: Tensor },
): Tensor[] {
  const settings = config.disentangled!;
  const [batch, heads, time] = query.shape as [Dimension, number, Dimension];
  const rows = distanceRows(settings, config.contextLength, time);
  const everywhere = (x: Tensor): Tensor =>
    broadcastTo(reshape(x, [1, 1, time, time]), [batch, heads, time, time]);
  const layer = encoderNames(config).layer(index);
  const [ofQuery, ofKey] = settings.sharesKey
    ? [layer.queryKeyValue[0]!, layer.queryKeyValue[1]!]
    : [layer.positionQuery, layer.positionKey];
  const scale = config.attentionScale;
  const scores: Tensor[] = [];
  if (settings.contentToPosition) {
    const vectors = distanceVectors(config, weights, ofKey);
    const products = matmul(query, vectors, { transposeB: true, alpha: scale });
    scores.push(gatherElements(products, everywhere(rows), 3));
  }
  if (settings.positionToContent) {
    const vectors = distanceVectors(config, weights, ofQuery);
    const products = matmul(key, vectors, { transposeB: true, alpha: scale });
    // Seen from the key; the distances of a pair are equal but for their sign, and so is the row.
    const mirrored = gatherElements(products, everywhere(transpose(rows, [1, 0])), 3);
    scores.push(transpose(mirrored, [0, 1, 3, 2]));
  }
  return scores;
}
