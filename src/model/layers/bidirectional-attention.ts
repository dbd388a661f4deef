/**
 * Attention of a whole sequence to itself, or of one sequence to another, without a cache: encoders,
 * and the attention of a decoder to an encoder's states.
 */
import {
  add,
  type Dimension,
  divide,
  exp,
  less,
  matmul,
  max,
  maximum,
  multiply,
  negate,
  or,
  range,
  reshape,
  softmax,
  stopGradient,
  subtract,
  sum,
  type Tensor,
  transpose,
  where,
} from "../../tensor/index.ts";

/**
 * Added to scores of positions that may not be seen. Finite, because a row that sees none at all (padding
 * far from every token of a window) must give numbers: NaN times a weight of 0 would spread to the tokens.
 */
export const maskedScore = -1e9;

/** Tensors of one attention, heads apart. */
export interface BidirectionalInput {
  /** `[batch, heads, queries, headDim]` */
  readonly query: Tensor;
  /** `[batch, heads, keys, headDim]` */
  readonly key: Tensor;
  readonly value: Tensor;
  /** Added to the scores: masks, biases of distances. Each broadcasts to `[batch, heads, queries, keys]`. */
  readonly added: readonly Tensor[];
  readonly scale: number;
  /** 0 for queries that may see no key, whose output is 0, and 1 for others: `[batch, 1, queries, 1]`. Default: all 1. */
  readonly sees?: Tensor | undefined;
  /** How scores become weights. Default `softmax`. */
  readonly weigh?: (scores: Tensor) => Tensor;
}

/** Weighted values `[batch, heads, queries, headDim]`. */
export function attendBidirectionally(input: BidirectionalInput): Tensor {
  const { query, key, value, added, scale, sees, weigh = softmax } = input;
  let scores = matmul(query, key, { transposeB: true, alpha: scale });
  for (const part of added) scores = add(scores, part);
  const output = matmul(weigh(scores), value);
  return sees ? multiply(output, sees) : output;
}

/**
 * exp(x) / (1 + sum(exp(x))) over the last axis (Miller, 2023): a row may attend to nothing. Stable: the
 * 1 is a score of 0 beside the others.
 */
export function softmaxOne(scores: Tensor): Tensor {
  // Any number gives the same result, so the gradient need not know it.
  const largest = stopGradient(maximum(max(scores, { axes: [-1], keepAxes: true }), 0));
  const powers = exp(subtract(scores, largest));
  return divide(powers, add(sum(powers, { axes: [-1], keepAxes: true }), exp(negate(largest))));
}

/**
 * Heads of a projection: `[batch, time, heads · headDim]`, or its rows `[batch · time, heads · headDim]`, to
 * `[batch, heads, time, headDim]`.
 *
 * @param sizes batch and time; default those of x
 */
export function splitHeads(
  x: Tensor,
  heads: number,
  sizes: readonly Dimension[] = x.shape.slice(0, 2),
): Tensor {
  const width = x.shape.at(-1) as number;
  return transpose(reshape(x, [...sizes, heads, width / heads]), [0, 2, 1, 3]);
}

/**
 * The inverse of `splitHeads`.
 *
 * @param sizes of the axes before the last; default batch and time
 */
export function joinHeads(x: Tensor, sizes?: readonly Dimension[]): Tensor {
  const [batch, heads, time, headDim] = x.shape as [Dimension, number, Dimension, number];
  return reshape(transpose(x, [0, 2, 1, 3]), [...(sizes ?? [batch, time]), heads * headDim]);
}

/** 1 for queries to which a mask leaves a key, and 0 for others: `[…, queries, keys]` to `[…, queries, 1]`. */
export function seesAny(mask: Tensor): Tensor {
  return where(less(max(mask, { axes: [-1], keepAxes: true }), maskedScore / 2), 0, 1);
}

/** 0 where a query and a key are at most `window` positions apart, `maskedScore` elsewhere: `[time, time]`. */
export function windowMask(time: Dimension, window: number): Tensor {
  const distance = subtract(reshape(range(time), [1, time]), reshape(range(time), [time, 1]));
  return where(or(less(window, distance), less(distance, -window)), maskedScore, 0);
}
