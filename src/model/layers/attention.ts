/**
 * Attention to cached keys and to the new tokens, under one softmax.
 *
 * The cache belongs to TypeScript and is only read; the new keys and values leave the graph and are
 * appended outside. So tokens that turn out to be unwanted never enter the cache.
 */
import {
  add,
  cast,
  concat,
  logSumExp,
  matmul,
  multiply,
  overwrite,
  softmax,
  split,
  type Tensor,
  tanh,
} from "../../tensor/index.ts";
import type { CacheType } from "../worker/key-value-cache.ts";

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
  /** What `joinedAttention` needs besides, where the caller has it. */
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
}

export interface AttentionOutput {
  /** `[batch, kvHeads, group * time, headDim]` */
  readonly output: Tensor;
  /** Log of the sum of exp(scores) of each row, for whoever merges partial attention. */
  readonly logSumExp?: () => Tensor;
}

/** How a layer attends. Context policies and other systems give the decoder their own. */
export type Attention = (input: AttentionInput) => AttentionOutput;

function maskedScores({ query, scale, cap }: AttentionInput, keys: Tensor, mask: Tensor): Tensor {
  const plain = matmul(query, keys, { transposeB: true, alpha: cap ? scale / cap : scale });
  return add(cap ? multiply(tanh(plain), cap) : plain, mask);
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
  const [onPast, onNew] = split(softmax(all), [capacity, time], -1);
  return {
    output: add(matmul(onPast!, pastValue), matmul(onNew!, value)),
    logSumExp: () => logSumExp(all, { axes: [-1] }),
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
  return {
    output: matmul(softmax(scores), overwrite(pastValue, value, joined.lengths, 2)),
    logSumExp: () => logSumExp(scores, { axes: [-1] }),
  };
};

/**
 * `joinedAttention` in which a token looks the same to others whether it is new or was cached: it is
 * rounded as the cache rounds it, and a chain's tokens stand in their places, so that sums run in the
 * same order. Without the rounding a float16 cache changes logits by tenths: a token would matter
 * differently to those that come in its own forward and to later ones.
 */
export function tokenOrderAttention(cacheType: CacheType): Attention {
  const asCached = (x: Tensor): Tensor =>
    cacheType === "float32" ? x : cast(cast(x, cacheType), "float32");
  return (input) =>
    joinedAttention({ ...input, key: asCached(input.key), value: asCached(input.value) });
}
