/**
 * The parameters of a decoder: names and shapes, as checkpoints store them and as its layers read them.
 */
import type { DecoderConfig } from "./config.ts";
import { decoderNames, layerGroups } from "./decoder-names.ts";
import { type ExpertGroups, expertPart, expertStacks, sparseLayerNames } from "./expert-names.ts";

/**
 * Shapes of all parameters of a decoder by the names that checkpoints use. Experts that a family stores as
 * one tensor are one parameter, in the layout of that tensor.
 */
export function decoderParameterShapes(config: DecoderConfig): Map<string, number[]> {
  const shapes = splitParameterShapes(config);
  for (const [layer, { sparse }] of config.layers.entries()) {
    if (!sparse) continue;
    const { count } = config.experts!;
    for (const { name, isTransposed } of expertStacks(config, layer)) {
      const part = shapes.get(expertPart(name, 0))!;
      for (let expert = 0; expert < count; expert++) shapes.delete(expertPart(name, expert));
      shapes.set(name, [count, ...(isTransposed ? part.toReversed() : part)]);
    }
  }
  return shapes;
}

/** Shapes of the parameters that the decoder's layers read: each expert has tensors of its own. */
export function splitParameterShapes(config: DecoderConfig): Map<string, number[]> {
  const { hiddenSize, intermediateSize, numAttentionHeads, numKeyValueHeads, headDim } = config;
  const shapes = new Map<string, number[]>();
  const linear = (name: string, outputs: number, inputs: number, biased: boolean): void => {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    if (biased) shapes.set(`${name}.bias`, [outputs]);
  };
  const norm = (name: string): void => {
    if (config.norm === "layer-unweighted") return;
    shapes.set(`${name}.weight`, [hiddenSize]);
    if (config.norm === "layer") shapes.set(`${name}.bias`, [hiddenSize]);
  };
  shapes.set(decoderNames.embedding, [config.vocabSize, hiddenSize]);
  if (config.learnedPositions !== undefined) {
    shapes.set(decoderNames.positions, [config.learnedPositions, hiddenSize]);
  }
  for (const index of config.layers.keys()) {
    const layer = decoderNames.layer(index);
    const attention = `${layer}.self_attn`;
    const queries = numAttentionHeads * headDim;
    const keys = numKeyValueHeads * headDim;
    if (config.qkvLayout !== "separate") {
      linear(`${attention}.qkv_proj`, queries + 2 * keys, hiddenSize, config.qkvBias);
    } else {
      linear(`${attention}.q_proj`, queries, hiddenSize, config.qkvBias);
      linear(`${attention}.k_proj`, keys, hiddenSize, config.qkvBias);
      linear(`${attention}.v_proj`, keys, hiddenSize, config.qkvBias);
    }
    linear(`${attention}.o_proj`, hiddenSize, queries, config.attentionOutputBias);
    if (config.layers[index]!.sparse) {
      for (const [name, shape] of sparseLayerShapes(config, index)) shapes.set(name, shape);
    } else {
      const { mlpBias } = config;
      for (const name of layerGroups(config, index).gateUp) {
        const rows =
          config.feedForward === "gated-joined" ? 2 * intermediateSize : intermediateSize;
        linear(name.replace(/\.weight$/, ""), rows, hiddenSize, mlpBias);
      }
      linear(`${layer}.mlp.down_proj`, hiddenSize, intermediateSize, mlpBias);
    }
    if (config.qkNorm !== "none") {
      const isWhole = config.qkNorm === "projection";
      shapes.set(`${attention}.q_norm.weight`, [isWhole ? queries : headDim]);
      shapes.set(`${attention}.k_norm.weight`, [isWhole ? keys : headDim]);
    }
    for (const name of layerNorms[config.normPlacement]) {
      norm(`${layer}.${name}`);
    }
    if (config.attentionSinks) shapes.set(`${attention}.sinks`, [numAttentionHeads]);
  }
  norm(decoderNames.finalNorm.replace(/\.weight$/, ""));
  if (config.headBias) shapes.set(decoderNames.headBias, [config.vocabSize]);
  if (!config.tieWordEmbeddings) shapes.set(decoderNames.head, [config.vocabSize, hiddenSize]);
  return shapes;
}

/** Router, experts and shared expert of one layer; each expert has tensors of its own. */
export function sparseLayerShapes(config: DecoderConfig, index: number): Map<string, number[]> {
  const { hiddenSize } = config;
  const { count, intermediateSize, biases, shared } = config.experts!;
  const names = sparseLayerNames(config, index);
  const shapes = new Map<string, number[]>([[names.router, [count, hiddenSize]]]);
  if (biases) shapes.set(names.routerBias, [count]);
  const add = (groups: ExpertGroups, width: number): void => {
    const rows = (2 * width) / groups.gateUp.length;
    for (const name of groups.gateUp) shapes.set(name, [rows, hiddenSize]);
    for (const name of groups.down) shapes.set(name, [hiddenSize, width]);
    if (!biases) return;
    shapes.set(groups.gateUpBias, [2 * width]);
    shapes.set(groups.downBias, [hiddenSize]);
  };
  for (let expert = 0; expert < count; expert++) add(names.expert(expert), intermediateSize);
  if (shared) {
    add(names.shared, shared.intermediateSize);
    if (shared.gated) shapes.set(names.sharedGate, [1, hiddenSize]);
  }
  return shapes;
}

const layerNorms: Readonly<Record<DecoderConfig["normPlacement"], readonly string[]>> = {
  pre: ["input_layernorm", "post_attention_layernorm"],
  post: ["post_attention_layernorm", "post_feedforward_layernorm"],
  sandwich: [
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
  ],
};
