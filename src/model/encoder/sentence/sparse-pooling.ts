/**
 * From the logits of a head for masked tokens to one weight for each token of the vocabulary: SPLADE (Formal et al., 2021).
 *
 * Source: sentence-transformers 6.0, `SpladePooling`.
 */
import type { JsonObject } from "../../../checkpoint/json.ts";
import {
  add,
  type Dimension,
  log,
  max,
  multiply,
  relu,
  reshape,
  sum,
  type Tensor,
} from "../../../tensor/index.ts";
import { moduleError } from "./folder-files.ts";

/** How a folder's `SpladePooling` makes weights of logits. */
export interface SparsePooling {
  /** Over the tokens of the text. */
  readonly pooling: "max" | "sum";
  /** How often log(1 + x) is taken of a logit above 0. */
  readonly logarithms: 1 | 2;
}

/** Reads the module's file. @throws JetonError `encoder-module-invalid` */
export function readSparsePooling(file: string, config: JsonObject): SparsePooling {
  const { pooling_strategy: pooling = "max", activation_function: name = "relu" } = config;
  if (pooling !== "max" && pooling !== "sum") {
    throw moduleError(file, "pooling_strategy", pooling, "max or sum");
  }
  if (name !== "relu" && name !== "log1p_relu") {
    throw moduleError(file, "activation_function", name, "relu or log1p_relu");
  }
  return { pooling, logarithms: name === "relu" ? 1 : 2 };
}

/**
 * Weights of the vocabulary `[batch, vocabSize]`, none below 0.
 *
 * @param logits `[batch, time, vocabSize]`
 * @param attended 1 for tokens of the text, 0 for padding: `[batch, time]`
 */
export function sparseWeights(
  logits: Tensor,
  attended: Tensor,
  { pooling, logarithms }: SparsePooling,
): Tensor {
  const [batch, time] = attended.shape as [Dimension, Dimension];
  const logarithm = (x: Tensor): Tensor =>
    Array.from({ length: logarithms }).reduce<Tensor>((value) => log(add(value, 1)), x);
  const positive = multiply(relu(logits), reshape(attended, [batch, time, 1]));
  // The logarithm keeps the order: of the largest it is taken once for each token of the vocabulary.
  return pooling === "max"
    ? logarithm(max(positive, { axes: [1] }))
    : sum(logarithm(positive), { axes: [1] });
}
