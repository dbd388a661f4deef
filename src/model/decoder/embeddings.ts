/** What the first layer of a decoder reads: token embeddings, and positions where they are learned. */
import { add, cast, gather, multiply, type Tensor } from "../../tensor/index.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { DecoderConfig } from "./config.ts";
import { decoderNames } from "./decoder-names.ts";

/** Token embeddings of ids. */
export function embedIds(config: DecoderConfig, weights: DecoderWeights, ids: Tensor): Tensor {
  return scaleEmbeddings(
    config,
    cast(gather(weights.table(decoderNames.embedding), ids), "float32"),
  );
}

/** Rows of the embedding table as the first layer gets them. */
export function scaleEmbeddings(config: DecoderConfig, rows: Tensor): Tensor {
  return config.embeddingScale === 1 ? rows : multiply(rows, config.embeddingScale);
}

/**
 * Embeddings with their learned positions, where the model has such; otherwise themselves.
 *
 * @param x `[batch, time, hiddenSize]`
 * @param positions int32 `[batch, time]`
 */
export function addPositions(
  config: DecoderConfig,
  weights: DecoderWeights,
  x: Tensor,
  positions: Tensor,
): Tensor {
  if (config.learnedPositions === undefined) return x;
  return add(x, cast(gather(weights.table(decoderNames.positions), positions), "float32"));
}
