/** Names of a decoder's stored weights, and which of them are multiplied together. */
import type { DecoderConfig } from "./config.ts";
import { expertGroups } from "./expert-names.ts";

/** Names of the weights of one decoder, as checkpoints spell them. */
export interface DecoderNames {
  readonly embedding: string;
  /** The table of learned positions. */
  readonly positions: string;
  readonly finalNorm: string;
  readonly head: string;
  readonly headBias: string;
  layer(index: number): string;
}

/** Parameter names of a decoder, as transformers spells them for the Llama family. */
export const decoderNames: DecoderNames = {
  embedding: "model.embed_tokens.weight",
  positions: "model.embed_positions.weight",
  finalNorm: "model.norm.weight",
  head: "lm_head.weight",
  headBias: "lm_head.bias",
  layer: (index) => `model.layers.${index}`,
};

/** Stored matrices of a dense layer, grouped as they are multiplied. */
export interface LayerGroups {
  readonly queryKeyValue: readonly string[];
  readonly attentionOutput: readonly string[];
  /** Of a feed-forward without a gate, up alone. */
  readonly gateUp: readonly string[];
  readonly down: readonly string[];
}

/** What the first product of a feed-forward is made of. */
const gateUpNames: Readonly<Record<DecoderConfig["feedForward"], readonly string[]>> = {
  gated: ["gate_proj", "up_proj"],
  "gated-joined": ["gate_up_proj"],
  plain: ["up_proj"],
};

export function layerGroups(config: DecoderConfig, index: number): LayerGroups {
  const layer = decoderNames.layer(index);
  const attention = (name: string): string => `${layer}.self_attn.${name}.weight`;
  const feedForward = (name: string): string => `${layer}.mlp.${name}.weight`;
  return {
    queryKeyValue:
      config.qkvLayout === "separate"
        ? [attention("q_proj"), attention("k_proj"), attention("v_proj")]
        : [attention("qkv_proj")],
    attentionOutput: [attention("o_proj")],
    gateUp: gateUpNames[config.feedForward].map(feedForward),
    down: [feedForward("down_proj")],
  };
}

/** Every group of matrices of a decoder, the head last. */
export function matrixGroups(config: DecoderConfig): (readonly string[])[] {
  return [...layerMatrixGroups(config), [headName(config)]];
}

/** Those of the layers alone, without the head. */
export function layerMatrixGroups(config: DecoderConfig): (readonly string[])[] {
  return config.layers.flatMap(({ sparse }, index): (readonly string[])[] => {
    const { queryKeyValue, attentionOutput, gateUp, down } = layerGroups(config, index);
    const feedForward = sparse ? expertGroups(config, index) : [gateUp, down];
    return [queryKeyValue, attentionOutput, ...feedForward];
  });
}

export function headName(config: DecoderConfig): string {
  return config.tieWordEmbeddings ? decoderNames.embedding : decoderNames.head;
}
