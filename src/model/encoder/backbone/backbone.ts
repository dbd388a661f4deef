/** A decoder's layers as an encoder, traced. */
import { cast, subtract, type Tensor } from "../../../tensor/index.ts";
import type { DecoderConfig } from "../../decoder/config.ts";
import { finalNorm } from "../../decoder/decoder.ts";
import { decodeFullSequence } from "../../decoder/full-sequence.ts";
import type { DecoderWeights } from "../../weights/trace-weights.ts";
import type { EncoderInput } from "../encoder.ts";

/** All layers and the norm behind them: states `[batch, time, hiddenSize]`. */
export function encodeBackbone(
  backbone: DecoderConfig,
  weights: DecoderWeights,
  embeddings: Tensor,
  { mask, present, tables }: Pick<EncoderInput, "mask" | "present" | "tables">,
): Tensor {
  // Padding behind a text is a document of its own: it sees something, and no token sees it.
  const segments = present && cast(subtract(1, present), "int32");
  const states = decodeFullSequence(backbone, weights, embeddings, tables, {
    keyMask: mask,
    ...(segments && { segments }),
  });
  return finalNorm(backbone, weights, states);
}
