/** Small traced functions about the rows of a pass and of the cache. */
import {
  add,
  and,
  broadcastTo,
  cast,
  concat,
  constant,
  type Dimension,
  divide,
  fill,
  gather,
  greater,
  greaterOrEqual,
  less,
  maximum,
  minimum,
  multiply,
  multiplyDimensions,
  negate,
  overwrite,
  range,
  reshape,
  scatterAdd,
  sizeValue,
  subtract,
  type Tensor,
  topK,
  transpose,
  where,
} from "../../tensor/index.ts";
import { scoreScale } from "../decoder/decoder-layer.ts";
import { productByRow, scoreQueries } from "../layers/attention.ts";
import type { PassTensors, PolicyInput } from "./context-policy.ts";

/** Rows of the cache and of a pass as one list, by place in the sequence. */
export interface RowSource {
  /** `[1, heads, capacity, width]` */
  readonly past: Tensor;
  /** `[1, heads, time, width]`, of the same heads */
  readonly fresh: Tensor;
}

/**
 * Rows of some heads at given places, float32.
 *
 * @param places int32 `[groups, heads, slots]`; places outside of the sequence give any row
 * @param headOf head of `source` for each of the heads
 * @returns `[groups, heads, slots, width]`
 */
export function pickRows(
  { past, fresh }: RowSource,
  places: Tensor,
  headOf: readonly number[],
  { length }: Pick<PassTensors, "length">,
): Tensor {
  const [groups, , slots] = places.shape as [Dimension, number, Dimension];
  const width = past.shape[3] as number;
  const firstOf = (rows: Dimension): Tensor =>
    reshape(multiply(constant(headOf, { dtype: "int32" }), sizeValue(rows)), [1, headOf.length, 1]);
  /** Row of each place in the source, all heads below each other. */
  const flatRow = (source: Tensor, at: Tensor): Tensor => {
    const rows = source.shape[2]!;
    return add(minimum(maximum(at, 0), subtract(sizeValue(rows), 1)), firstOf(rows));
  };
  const flat = (x: Tensor): Tensor =>
    reshape(x, [multiplyDimensions(...x.shape.slice(0, -1)), width]);
  const cached = cast(gather(flat(past), flatRow(past, places)), "float32");
  // Few places are new. Choosing between rows by a condition takes several times as long as taking them once more
  // from a list that ends with the new ones.
  const listed = flat(cached);
  const count = listed.shape[0]!;
  const own = reshape(range(count), [groups, headOf.length, slots]);
  const isFresh = greaterOrEqual(places, length);
  const fromFresh = add(flatRow(fresh, subtract(places, length)), sizeValue(count));
  return gather(concat([listed, flat(fresh)], 0), where(isFresh, fromFresh, own));
}

/** Rows of a pass in groups: `[heads, time, width]` as `[groups, heads, span, width]`. */
export function inGroups(x: Tensor, { groups, span }: PassTensors): Tensor {
  const [heads, , width] = x.shape as [number, Dimension, number];
  return transpose(reshape(x, [heads, groups, span, width]), [1, 0, 2, 3]);
}

/**
 * New rows as they will look once they are cached: rounded as the cache rounds them, so that a token is the same
 * whether it is new or not, and draft tokens are verified as decoded ones are computed.
 *
 * @param past the arena that will hold them
 */
export function asCached(fresh: Tensor, past: Tensor): Tensor {
  return cast(cast(fresh, past.dtype), "float32");
}

/** Tokens of the sequence up to the last real row of each group, int32 `[groups]`. */
export function seenTokens({ length, count, groups, span }: PassTensors): Tensor {
  const ends = multiply(add(range(groups), 1), sizeValue(span));
  return add(length, minimum(ends, count));
}

/**
 * The places of the `count` largest votes in ascending order; places that may not be chosen come last, as
 * `nowhere`.
 *
 * @param votes float32 `[…, places]`, at least 0 where allowed
 * @param allowed bool, as `votes`
 * @returns int32 `[…, count]`
 */
export function largestPlaces(votes: Tensor, allowed: Tensor, count: Dimension): Tensor {
  const { indices, values } = topK(where(allowed, votes, never), count, -1, { sorted: false });
  return sortAscending(where(less(values, 0.5 * never), nowhere, cast(indices, "float32")));
}

/**
 * Marks the `count` largest scores.
 *
 * @param scores float32 `[…, places]`, `never` where a place may not be marked
 * @returns float32 as `scores`: 1 or 0
 */
export function markLargest(scores: Tensor, count: Dimension): Tensor {
  const { values, indices } = topK(scores, count, -1, { sorted: false });
  const marks = cast(greater(values, 0.5 * never), "float32");
  return scatterAdd(fill(scores.shape, 0), indices, marks, scores.shape.length - 1);
}

/** Scores of queries with keys, capped and scaled as the model's own, not masked. */
export function cappedScores(
  { config, layer }: Pick<PolicyInput, "config" | "layer">,
  queries: Tensor,
  keys: Tensor,
): Tensor {
  const { attnLogitSoftcap: cap } = config;
  return scoreQueries(queries, keys, { scale: scoreScale(config, layer), cap });
}

/** Below every vote and score, and finite, so that rows without candidates give numbers. */
export const never = -1e30;
/** A place beyond every sequence, exact in float32. */
export const nowhere = 1e9;

/** float32 places in ascending order, as int32. */
export function sortAscending(places: Tensor): Tensor {
  const { values } = topK(negate(places), places.shape.at(-1)!);
  return cast(negate(values), "int32");
}

/**
 * Scores of queries with the unrotated keys of the whole sequence: those of a row are the same beside others or not, so
 * that drafted tokens choose what decoded ones choose.
 *
 * @param queries `[1, kvHeads, rows, headDim]`
 * @returns `[1, kvHeads, rows, capacity]`, arbitrary behind the new rows
 */
export function scoreKeys(
  { pastKey, key, pass }: Pick<PolicyInput, "pastKey" | "key" | "pass">,
  queries: Tensor,
): Tensor {
  // Keys are the rows, as there are many: the kernel would copy the other operand first.
  const product = (keys: Tensor): Tensor =>
    transpose(productByRow(keys, queries, { transposeB: true }), [0, 1, 3, 2]);
  return overwrite(product(cast(pastKey, "float32")), product(key), pass.length, 3);
}

/** Whether places lie from `start` to before `end`. */
export function isWithin(places: Tensor, start: Tensor | number, end: Tensor | number): Tensor {
  return and(greaterOrEqual(places, start), less(places, end));
}

/** The group of the last real row, int32 `[1]`. */
export function lastGroup({ count, span }: PassTensors): Tensor {
  return divide(subtract(count, 1), sizeValue(span));
}

/**
 * A row of marks over the sequence.
 *
 * @param places int32 `[sets, slots]`
 * @param valid bool, as `places`
 * @returns float32 `[sets, capacity]`: how often each place is listed
 */
export function markPlaces(
  places: Tensor,
  valid: Tensor,
  { capacity }: Pick<PassTensors, "capacity">,
): Tensor {
  const [sets] = places.shape as [number];
  const at = where(valid, places, 0);
  return scatterAdd(fill([sets, capacity], 0), at, cast(valid, "float32"), 1);
}

/** A list of places for each group, from one that all of them share. */
export function forGroups(x: Tensor, groups: Dimension): Tensor {
  return broadcastTo(reshape(x, [1, x.shape[0]!]), [groups, x.shape[0]!]);
}
