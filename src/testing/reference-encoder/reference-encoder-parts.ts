/** What the plans of several families share: sizes, biases and names of BERT's layers. */
import type { EncoderPlan } from "./reference-encoder.ts";

export const vocab = 96;
export const hidden = 32;
export const inner = 48;
export const heads = 4;
export const positions = 40;

/** A family's checkpoint and how it is computed. */
export interface ReferenceEncoder {
  readonly config: Record<string, unknown>;
  readonly plan: EncoderPlan;
}

export const sizes: Readonly<Record<string, number>> = {
  vocab_size: vocab,
  hidden_size: hidden,
  num_hidden_layers: 2,
  num_attention_heads: heads,
  intermediate_size: inner,
  max_position_embeddings: positions,
};

export const all: EncoderPlan["biases"] = { qkv: true, output: true, mlp: true, norm: true };
export const none: EncoderPlan["biases"] = { qkv: false, output: false, mlp: false, norm: false };

type LayerPlan = EncoderPlan["layers"][number];

export function bertLayer(prefix: string): (index: number) => LayerPlan {
  return (index) => layerOf(`${prefix}encoder.layer.${index}`);
}

function layerOf(layer: string): LayerPlan {
  return {
    qkv: ["query", "key", "value"].map((name) => `${layer}.attention.self.${name}`),
    output: `${layer}.attention.output.dense`,
    attentionNorm: `${layer}.attention.output.LayerNorm`,
    up: [`${layer}.intermediate.dense`],
    down: `${layer}.output.dense`,
    outputNorm: `${layer}.output.LayerNorm`,
  };
}

export function two<T>(make: (index: number) => T): T[] {
  return [0, 1].map(make);
}

export const common: Pick<EncoderPlan, "hidden" | "inner" | "heads" | "activation" | "biases"> = {
  hidden,
  inner,
  heads,
  activation: "gelu",
  biases: all,
};
