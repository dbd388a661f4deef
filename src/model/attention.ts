/**
 * Two-part attention: scores over cached keys and over the new tokens, under one softmax.
 *
 * The cache belongs to TypeScript and is only read; the new keys and values leave the graph and are
 * appended outside. So tokens that turn out to be unwanted never enter the cache.
 */
import {
  add,
  concat,
  logSumExp,
  matmul,
  multiply,
  softmax,
  split,
  type Tensor,
  tanh,
} from "../tensor/index.ts";

export interface AttentionInput {
  /** `[batch, kvHeads, group * time, headWidth]`: rows of the query heads that share a kv head. */
  readonly query: Tensor;
  /** New keys and values, `[batch, kvHeads, time, headWidth]`. */
  readonly key: Tensor;
  readonly value: Tensor;
  /** Cached ones, `[batch, kvHeads, capacity, headWidth]`. */
  readonly pastKey: Tensor;
  readonly pastValue: Tensor;
  /** Added to scores over the cache: broadcasts to `[batch, kvHeads, group * time, capacity]`. */
  readonly pastMask: Tensor;
  /** Added to scores over new tokens: broadcasts to `[batch, kvHeads, group * time, time]`. */
  readonly newMask: Tensor;
  readonly scale: number;
  /** cap · tanh(score / cap) before the masks. */
  readonly cap: number | undefined;
  readonly layer: number;
}

export interface AttentionOutput {
  /** `[batch, kvHeads, group * time, headWidth]` */
  readonly output: Tensor;
  /** Log of the sum of exp(scores) of each row, for whoever merges partial attention. */
  readonly logSumExp?: () => Tensor;
}

/** How a layer attends. Context policies and other systems give the decoder their own. */
export type Attention = (input: AttentionInput) => AttentionOutput;

/** Exact attention over cache and new tokens: the default. */
export const twoPartAttention: Attention = (input) => {
  const { query, key, value, pastKey, pastValue, pastMask, newMask, scale, cap } = input;
  const scores = (keys: Tensor, mask: Tensor): Tensor => {
    const plain = matmul(query, keys, { transposeB: true, alpha: cap ? scale / cap : scale });
    return add(cap ? multiply(tanh(plain), cap) : plain, mask);
  };
  const all = concat([scores(pastKey, pastMask), scores(key, newMask)], -1);
  const capacity = pastKey.shape[2]!;
  const time = key.shape[2]!;
  const [onPast, onNew] = split(softmax(all), [capacity, time], -1);
  return {
    output: add(matmul(onPast!, pastValue), matmul(onNew!, value)),
    logSumExp: () => logSumExp(all, { axes: [-1] }),
  };
};
