/** The parameters of an encoder: names and shapes, as checkpoints store them behind the base prefix. */
import { backboneParameterShapes } from "./backbone/backbone-weights.ts";
import type { EncoderConfig } from "./config.ts";
import { addConvolutionShapes } from "./deberta/deberta-convolution.ts";
import { biasOf, encoderNames, weightOf } from "./encoder-names.ts";
import { addMixerLayerShapes } from "./mixer/mixer-names.ts";

/** Shapes of all parameters of an encoder without its heads, by name. */
export function encoderParameterShapes(config: EncoderConfig): Map<string, number[]> {
  const { hiddenSize, embeddingSize, numAttentionHeads } = config;
  if (config.backbone) return backboneParameterShapes(config.backbone);
  const names = encoderNames(config);
  const shapes = new Map<string, number[]>();
  const norm = (name: string, width: number): void => {
    shapes.set(weightOf(name), [width]);
    if (config.norm === "layer" && config.normBias) shapes.set(biasOf(name), [width]);
  };
  shapes.set(weightOf(names.tokens), [config.vocabSize, embeddingSize]);
  if (config.positionRows > 0) {
    shapes.set(weightOf(names.positions), [config.positionRows, embeddingSize]);
  }
  if (config.typeVocabSize > 0) {
    shapes.set(weightOf(names.types), [config.typeVocabSize, embeddingSize]);
  }
  // DeBERTa's norm stands behind the projection.
  const normed = config.family === "deberta-v2" ? hiddenSize : embeddingSize;
  if (config.embeddingNorm) norm(names.embeddingNorm, normed);
  if (embeddingSize !== hiddenSize || config.family === "albert") {
    shapes.set(weightOf(names.embeddingProjection), [hiddenSize, embeddingSize]);
    if (config.family !== "deberta-v2") shapes.set(biasOf(names.embeddingProjection), [hiddenSize]);
  }
  if (config.relativeBias) {
    for (const index of config.layers.keys()) {
      const table = weightOf(names.relativeBias(index));
      shapes.set(table, [config.relativeBias.buckets, numAttentionHeads]);
    }
  }
  if (config.disentangled) {
    shapes.set(weightOf(names.distances), [2 * config.disentangled.span, hiddenSize]);
    if (config.disentangled.norm) norm(names.distanceNorm, hiddenSize);
  }
  addConvolutionShapes(config, shapes);
  for (const index of config.layers.keys()) {
    if (config.mixer) addMixerLayerShapes(config, index, shapes);
    else addLayer(config, index, shapes, norm);
  }
  if (config.finalNorm) norm(names.finalNorm, hiddenSize);
  return shapes;
}

function addLayer(
  config: EncoderConfig,
  index: number,
  shapes: Map<string, number[]>,
  norm: (name: string, width: number) => void,
): void {
  const { hiddenSize, intermediateSize, gated } = config;
  const heads = config.numAttentionHeads * config.headDim;
  const layer = encoderNames(config).layer(index);
  const linear = (
    names: readonly string[],
    outputs: number,
    inputs: number,
    biased: boolean,
  ): void => {
    for (const name of names) {
      shapes.set(weightOf(name), [outputs / names.length, inputs]);
      if (biased) shapes.set(biasOf(name), [outputs / names.length]);
    }
  };
  linear(layer.queryKeyValue, 3 * heads, hiddenSize, config.qkvBias);
  const { disentangled } = config;
  if (disentangled && !disentangled.sharesKey) {
    if (disentangled.contentToPosition) linear([layer.positionKey], heads, hiddenSize, true);
    if (disentangled.positionToContent) linear([layer.positionQuery], heads, hiddenSize, true);
  }
  linear([layer.attentionOutput], hiddenSize, heads, config.attentionOutputBias);
  linear(layer.up, (gated ? 2 : 1) * intermediateSize, hiddenSize, config.upBias);
  linear([layer.down], hiddenSize, intermediateSize, config.downBias);
  if (config.layers[index]!.attentionNorm) norm(layer.attentionNorm, hiddenSize);
  norm(layer.outputNorm, hiddenSize);
}
