/**
 * Attention to cached keys and to the new tokens, under one softmax.
 *
 * The cache belongs to TypeScript and is only read; the new keys and values leave the graph and are
 * appended outside. So tokens that turn out to be unwanted never enter the cache.
 */
import {
  add,
  broadcastTo,
  cast,
  concat,
  log,
  matmul,
  max,
  multiply,
  multiplyDimensions,
  overwrite,
  reshape,
  slice,
  softmax,
  split,
  subtract,
  type Tensor,
  tanh,
  transpose,
} from "../../tensor/index.ts";
import type { CacheType } from "../worker/key-value-cache.ts";

/** Tensors that a layer gives to its attention. */
export interface AttentionInput {
  /** `[batch, kvHeads, group * time, headDim]`: rows of the query heads that share a kv head. */
  readonly query: Tensor;
  /** New keys and values, `[batch, kvHeads, time, headDim]`. */
  readonly key: Tensor;
  readonly value: Tensor;
  /** Cached ones, `[batch, kvHeads, capacity, headDim]`. */
  readonly pastKey: Tensor;
  readonly pastValue: Tensor;
  /** Added to scores over the cache: broadcasts to `[batch, kvHeads, group * time, capacity]`. */
  readonly pastMask: Tensor;
  /** Added to scores over new tokens: broadcasts to `[batch, kvHeads, group * time, time]`. */
  readonly newMask: Tensor;
  /** What `joinedAttention` and `exactAttention` need besides, where the caller has it. */
  readonly joined?: JoinedInput;
  readonly scale: number;
  /** cap · tanh(score / cap) before the masks. */
  readonly cap: number | undefined;
  readonly layer: number;
}

/** A view of the cache in which the new tokens stand behind those before. */
export interface JoinedInput {
  /** int32 `[batch]`: tokens in the cache, which is the row of the first new one. */
  readonly lengths: Tensor;
  /** Both masks as one, `[batch, 1, group * time, capacity]`. */
  readonly mask: Tensor;
  /** Ones, `[1, capacity / sumBlock]`, where weighted sums must run in blocks. */
  readonly blockOnes?: Tensor;
}

/** Result of one layer's attention. */
export interface AttentionOutput {
  /** `[batch, kvHeads, group * time, headDim]` */
  readonly output: Tensor;
  /** Log of the sum of exp(scores) of each row, for merging partial attention. */
  readonly logSumExp?: () => Tensor;
  /** New keys and values in the cache's own type, where the attention made them: converted once for both. */
  readonly cached?: { readonly key: Tensor; readonly value: Tensor };
}

/** How a layer attends. Context policies and other systems give the decoder their own. */
export type Attention = (input: AttentionInput) => AttentionOutput;

/** Scores of queries with keys, scaled and, with `cap`, cap · tanh(score / cap); not masked. */
export function scoreQueries(
  query: Tensor,
  keys: Tensor,
  { scale, cap }: Pick<AttentionInput, "scale" | "cap">,
): Tensor {
  const plain = matmul(query, keys, { transposeB: true, alpha: cap ? scale / cap : scale });
  return cap ? multiply(tanh(plain), cap) : plain;
}

function maskedScores(input: AttentionInput, keys: Tensor, mask: Tensor): Tensor {
  return add(scoreQueries(input.query, keys, input), mask);
}

/**
 * log sum exp(scores) of each row, from its softmax: score minus log weight, at the largest. No sum
 * besides the softmax's own, so that it is as independent of other rows as that is.
 */
export function logOfSum(scores: Tensor, weights: Tensor): Tensor {
  const axes = [-1];
  return subtract(max(scores, { axes }), logByRow(max(weights, { axes })));
}

/** Numbers of the widest vector instructions. */
const vectorWidth = 16;

/**
 * Logarithms, each the same to the last bit with any others beside it: the runtime computes what is left over behind whole
 * vectors by another function. So every number fills a vector of its own.
 */
function logByRow(x: Tensor): Tensor {
  const filled = broadcastTo(reshape(x, [...x.shape, 1]), [...x.shape, vectorWidth]);
  return reshape(slice(log(filled), { axis: -1, end: 1 }), x.shape);
}

/** Exact attention over cache and new tokens, each read where it lies. */
export const twoPartAttention: Attention = (input) => {
  const { key, value, pastKey, pastValue, pastMask, newMask } = input;
  const all = concat(
    [maskedScores(input, pastKey, pastMask), maskedScores(input, key, newMask)],
    -1,
  );
  const capacity = pastKey.shape[2]!;
  const time = key.shape[2]!;
  const weights = softmax(all);
  const [onPast, onNew] = split(weights, [capacity, time], -1);
  return {
    output: add(matmul(onPast!, pastValue), matmul(onNew!, value)),
    logSumExp: () => logOfSum(all, weights),
  };
};

/**
 * Exact attention over the cache with the new rows written into it. Half as many nodes as in two
 * parts, and no scores over rows that are still empty; but the cache is copied, unless it is a copy
 * already because it was converted from float16. Where `joined` is missing: in two parts.
 */
export const joinedAttention: Attention = (input) => {
  const { key, value, pastKey, pastValue, joined } = input;
  if (!joined) return twoPartAttention(input);
  const scores = maskedScores(input, overwrite(pastKey, key, joined.lengths, 2), joined.mask);
  const weights = softmax(scores);
  return {
    output: matmul(weights, overwrite(pastValue, value, joined.lengths, 2)),
    logSumExp: () => logOfSum(scores, weights),
  };
};

/** How `exactAttention` reads the cache. */
export interface ExactAttentionOptions {
  /** How the cache holds keys and values: new ones are rounded likewise before they are used. */
  readonly cacheType: CacheType;
}

/**
 * Attention in which the result of a row does not depend, to the last bit, on the rows beside it: the
 * same for a chain of tokens in one pass, one by one, and in any batch.
 *
 * - A token looks the same whether it is new or cached: it is rounded as the cache rounds it. Without
 *   that a float16 cache changes logits by tenths.
 * - New tokens stand behind the cached ones in the order of their positions, and masked places add
 *   exact zeros at the end, so that every sum runs over the same terms in the same order.
 * - Products of several rows and of one row run in one kernel (`productByRow`).
 * - Where `joined.blockOnes` is given, weighted sums over values run in blocks of `sumBlock` positions: longer
 *   ones the runtime may cut at places that depend on the number of rows and threads.
 *
 * Values are copied once; keys only where the cache was converted anyway, or heads are wider than a block.
 */
export function exactAttention({ cacheType }: ExactAttentionOptions): Attention {
  return (input) => {
    const { query, pastKey, pastValue, scale, cap } = input;
    const joined = input.joined!;
    const cached = { key: cast(input.key, cacheType), value: cast(input.value, cacheType) };
    const [key, value] = [cast(cached.key, "float32"), cast(cached.value, "float32")];
    const isSingleRow = query.shape[2] === key.shape[2];
    const factor = cap ? scale / cap : scale;
    const product = (keys: Tensor): Tensor =>
      productByRow(query, keys, { transposeB: true, factor, isSingleRow });
    const headDim = key.shape[3] as number;
    const plain =
      cacheType === "float32" && headDim <= sumBlock
        ? overwrite(product(pastKey), product(key), joined.lengths, 3)
        : product(overwrite(pastKey, key, joined.lengths, 2));
    const scores = add(cap ? multiply(tanh(plain), cap) : plain, joined.mask);
    const values = overwrite(pastValue, value, joined.lengths, 2);
    const weights = softmax(scores);
    return {
      output: weightedSum(weights, values, isSingleRow, joined.blockOnes),
      logSumExp: () => logOfSum(scores, weights),
      cached,
    };
  };
}

/** Terms of a sum that the runtime never splits, for any number of rows and threads. */
export const sumBlock = 128;

/** How `productByRow` multiplies. */
export interface ProductByRowOptions {
  readonly transposeB?: boolean;
  /** Of the product. Default 1. */
  readonly factor?: number;
  /** Whether `a` may have a single row. Default true. */
  readonly isSingleRow?: boolean;
}

/**
 * A product of which a row is the same to the last bit, whether there are others or not: the runtime has another kernel
 * for a single row, but only where the factor of the product is 1. A factor of a half is exact, and so is a sum of two
 * halves.
 */
export function productByRow(a: Tensor, b: Tensor, options: ProductByRowOptions = {}): Tensor {
  const { transposeB = false, factor = 1, isSingleRow = true } = options;
  if (!isSingleRow || factor !== 1) return matmul(a, b, { transposeB, alpha: factor });
  // A sum, because the runtime takes a factor behind a product into the product.
  const half = matmul(a, b, { transposeB, alpha: 0.5 });
  return add(half, half);
}

function weightedSum(
  weights: Tensor,
  values: Tensor,
  isSingleRow: boolean,
  blockOnes: Tensor | undefined,
): Tensor {
  if (!blockOnes) return productByRow(weights, values, { isSingleRow });
  const [batch, kvHeads, rows] = weights.shape as [string, number, string];
  const headDim = values.shape[3]!;
  const inBlocks = transpose(
    reshape(weights, [batch, kvHeads, rows, -1, sumBlock]),
    [0, 1, 3, 2, 4],
  );
  const blocks = reshape(values, [batch, kvHeads, -1, sumBlock, headDim]);
  const parts = matmul(inBlocks, blocks, { alpha: 2 });
  const flat = reshape(parts, [batch, kvHeads, -1, multiplyDimensions(rows, headDim)]);
  return reshape(matmul(blockOnes, flat, { alpha: 0.5 }), [batch, kvHeads, rows, headDim]);
}
