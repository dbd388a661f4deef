/**
 * The parameters of a decoder: names and shapes, as checkpoints store them.
 */
import type { DecoderConfig } from "./config.ts";
import { decoderNames } from "./decoder-names.ts";

/** Shapes of all parameters of a decoder by the names that checkpoints use. */
export function decoderParameterShapes(config: DecoderConfig): Map<string, number[]> {
  const { hiddenSize, intermediateSize, numAttentionHeads, numKeyValueHeads, headDim } = config;
  const shapes = new Map<string, number[]>();
  const linear = (name: string, outputs: number, inputs: number, biased: boolean): void => {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    if (biased) shapes.set(`${name}.bias`, [outputs]);
  };
  shapes.set(decoderNames.embedding, [config.vocabSize, hiddenSize]);
  for (const index of config.layers.keys()) {
    const layer = decoderNames.layer(index);
    const attention = `${layer}.self_attn`;
    const queries = numAttentionHeads * headDim;
    const keys = numKeyValueHeads * headDim;
    if (config.fusedProjections) {
      linear(`${attention}.qkv_proj`, queries + 2 * keys, hiddenSize, config.qkvBias);
      linear(`${layer}.mlp.gate_up_proj`, 2 * intermediateSize, hiddenSize, config.mlpBias);
    } else {
      linear(`${attention}.q_proj`, queries, hiddenSize, config.qkvBias);
      linear(`${attention}.k_proj`, keys, hiddenSize, config.qkvBias);
      linear(`${attention}.v_proj`, keys, hiddenSize, config.qkvBias);
      linear(`${layer}.mlp.gate_proj`, intermediateSize, hiddenSize, config.mlpBias);
      linear(`${layer}.mlp.up_proj`, intermediateSize, hiddenSize, config.mlpBias);
    }
    linear(`${attention}.o_proj`, hiddenSize, queries, config.attentionOutputBias);
    linear(`${layer}.mlp.down_proj`, hiddenSize, intermediateSize, config.mlpBias);
    if (config.qkNorm !== "none") {
      const isWhole = config.qkNorm === "projection";
      shapes.set(`${attention}.q_norm.weight`, [isWhole ? queries : headDim]);
      shapes.set(`${attention}.k_norm.weight`, [isWhole ? keys : headDim]);
    }
    for (const name of layerNorms[config.normPlacement]) {
      shapes.set(`${layer}.${name}.weight`, [hiddenSize]);
    }
  }
  shapes.set(decoderNames.finalNorm, [hiddenSize]);
  if (!config.tieWordEmbeddings) shapes.set(decoderNames.head, [config.vocabSize, hiddenSize]);
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
