/** The parameters of an encoder-decoder: names and shapes, as checkpoints store them. */
import { weightOf } from "../encoder/encoder-names.ts";
import { encoderParameterShapes } from "../encoder/parameter-shapes.ts";
import type { Seq2SeqConfig } from "./config.ts";
import { seq2seqLayerNames, seq2seqNames, seq2seqRelativeBias } from "./decoder-names.ts";
import { deleteGateShapes } from "./delete-gate.ts";

/**
 * Shapes of all parameters by name, those of a delete gate among them.
 *
 * @param ownHead whether there is a head besides the embeddings
 */
export function seq2seqParameterShapes(
  config: Seq2SeqConfig,
  ownHead: boolean,
): Map<string, number[]> {
  const { encoder, decoderLayers, deleteGate } = config;
  const { hiddenSize, intermediateSize, numAttentionHeads, headDim, relativeBias } = encoder;
  const heads = numAttentionHeads * headDim;
  const shapes = encoderParameterShapes(encoder);
  const matrix = (names: readonly string[], outputs: number, inputs: number): void => {
    for (const name of names) shapes.set(weightOf(name), [outputs, inputs]);
  };
  for (let index = 0; index < decoderLayers; index++) {
    const names = seq2seqLayerNames(config, index);
    for (const norm of [names.selfNorm, names.crossNorm, names.feedForwardNorm]) {
      shapes.set(weightOf(norm), [hiddenSize]);
    }
    matrix([...names.queryKeyValue, names.crossQuery, ...names.crossKeyValue], heads, hiddenSize);
    matrix([seq2seqRelativeBias(config, index)], relativeBias!.buckets, numAttentionHeads);
    matrix([names.selfOutput, names.crossOutput], hiddenSize, heads);
    matrix(names.up, intermediateSize, hiddenSize);
    matrix([names.down], hiddenSize, intermediateSize);
  }
  shapes.set(weightOf(seq2seqNames.finalNorm), [hiddenSize]);
  if (ownHead) matrix([seq2seqNames.head], encoder.vocabSize, hiddenSize);
  if (deleteGate) {
    for (const [name, shape] of deleteGateShapes(deleteGate, hiddenSize)) shapes.set(name, shape);
  }
  return shapes;
}
