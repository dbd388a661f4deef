/**
 * The parameters of a decoder: names and shapes, as checkpoints store them.
 */
import type { DecoderConfig } from "./config.ts";
import { decoderNames } from "./decoder.ts";

/** Shapes of all parameters of a decoder by the names that checkpoints use. */
export function decoderParameterShapes(config: DecoderConfig): Map<string, number[]> {
  const { width, feedForwardWidth, heads, kvHeads, headWidth } = config;
  const shapes = new Map<string, number[]>();
  const linear = (name: string, outputs: number, inputs: number, biased: boolean): void => {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    if (biased) shapes.set(`${name}.bias`, [outputs]);
  };
  shapes.set(decoderNames.embedding, [config.vocabularySize, width]);
  for (const index of config.layers.keys()) {
    const layer = decoderNames.layer(index);
    const attention = `${layer}.self_attn`;
    const queries = heads * headWidth;
    const keys = kvHeads * headWidth;
    if (config.fusedProjections) {
      linear(`${attention}.qkv_proj`, queries + 2 * keys, width, config.queryKeyValueBias);
      linear(`${layer}.mlp.gate_up_proj`, 2 * feedForwardWidth, width, config.feedForwardBias);
    } else {
      linear(`${attention}.q_proj`, queries, width, config.queryKeyValueBias);
      linear(`${attention}.k_proj`, keys, width, config.queryKeyValueBias);
      linear(`${attention}.v_proj`, keys, width, config.queryKeyValueBias);
      linear(`${layer}.mlp.gate_proj`, feedForwardWidth, width, config.feedForwardBias);
      linear(`${layer}.mlp.up_proj`, feedForwardWidth, width, config.feedForwardBias);
    }
    linear(`${attention}.o_proj`, width, queries, config.attentionOutputBias);
    linear(`${layer}.mlp.down_proj`, width, feedForwardWidth, config.feedForwardBias);
    if (config.queryKeyNorm !== "none") {
      const isWhole = config.queryKeyNorm === "projection";
      shapes.set(`${attention}.q_norm.weight`, [isWhole ? queries : headWidth]);
      shapes.set(`${attention}.k_norm.weight`, [isWhole ? keys : headWidth]);
    }
    for (const name of layerNorms[config.normPlacement]) {
      shapes.set(`${layer}.${name}.weight`, [width]);
    }
  }
  shapes.set(decoderNames.finalNorm, [width]);
  if (!config.tiedEmbeddings) shapes.set(decoderNames.head, [config.vocabularySize, width]);
  return shapes;
}

const layerNorms: Readonly<Record<DecoderConfig["normPlacement"], readonly string[]>> = {
  before: ["input_layernorm", "post_attention_layernorm"],
  after: ["post_attention_layernorm", "post_feedforward_layernorm"],
  both: [
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
  ],
};
