/**
 * Names of an encoder's stored weights, as the families spell them without the prefix of their base model
 * (`bert.`, `roberta.`, …). Names of matrices and norms stand without `.weight` and `.bias`.
 */
import { JetonError } from "../../core/index.ts";
import { decoderNames, layerMatrixGroups } from "../decoder/decoder-names.ts";
import type { EncoderConfig } from "./config.ts";
import { mixerFamily } from "./mixer/mixer-config.ts";
import { mixerMatrixGroups } from "./mixer/mixer-names.ts";

/** Names of the weights in front of the layers and behind them. */
export interface EncoderNames {
  readonly tokens: string;
  readonly positions: string;
  readonly types: string;
  readonly embeddingNorm: string;
  /** From the width of the embeddings to that of the layers. */
  readonly embeddingProjection: string;
  /** The table of relative positions that a layer reads, `[buckets, heads]`. */
  relativeBias(layer: number): string;
  readonly finalNorm: string;
  /** Table of distances of DeBERTa, `[2 · span, hiddenSize]`, and its norm. */
  readonly distances: string;
  readonly distanceNorm: string;
  layer(index: number): EncoderLayerNames;
}

/** Names of the weights of one layer. */
export interface EncoderLayerNames {
  /** Queries, keys and values, or one matrix that holds all three. */
  readonly queryKeyValue: readonly string[];
  /** From the table of distances to vectors that keys and queries are compared with (DeBERTa). */
  readonly positionQuery: string;
  readonly positionKey: string;
  readonly attentionOutput: string;
  readonly attentionNorm: string;
  /** The matrix before the activation; where gated, the gate and then the factor, or both in one. */
  readonly up: readonly string[];
  readonly down: string;
  readonly outputNorm: string;
}

const bertLayer = (layer: string): EncoderLayerNames => ({
  positionQuery: `${layer}.attention.self.pos_query_proj`,
  positionKey: `${layer}.attention.self.pos_key_proj`,
  queryKeyValue: ["query", "key", "value"].map((name) => `${layer}.attention.self.${name}`),
  attentionOutput: `${layer}.attention.output.dense`,
  attentionNorm: `${layer}.attention.output.LayerNorm`,
  up: [`${layer}.intermediate.dense`],
  down: `${layer}.output.dense`,
  outputNorm: `${layer}.output.LayerNorm`,
});

const bert: EncoderNames = {
  tokens: "embeddings.word_embeddings",
  positions: "embeddings.position_embeddings",
  types: "embeddings.token_type_embeddings",
  embeddingNorm: "embeddings.LayerNorm",
  embeddingProjection: "embeddings_project",
  relativeBias: () => "encoder.relative_attention_bias",
  finalNorm: "encoder.final_norm",
  distances: "encoder.rel_embeddings",
  distanceNorm: "encoder.LayerNorm",
  layer: (index) => bertLayer(`encoder.layer.${index}`),
};

/** The table of relative positions in a layer of T5's encoder or decoder. */
export const t5RelativeBias = (stack: "encoder" | "decoder", layer: number): string =>
  `${stack}.block.${layer}.layer.0.SelfAttention.relative_attention_bias`;

const families: Readonly<Record<string, (config: EncoderConfig) => EncoderNames>> = {
  bert: () => bert,
  roberta: () => bert,
  "xlm-roberta": () => bert,
  camembert: () => bert,
  electra: () => bert,
  mpnet: () => ({
    ...bert,
    layer(index) {
      const layer = `encoder.layer.${index}`;
      return {
        ...bertLayer(layer),
        queryKeyValue: ["q", "k", "v"].map((name) => `${layer}.attention.attn.${name}`),
        attentionOutput: `${layer}.attention.attn.o`,
        attentionNorm: `${layer}.attention.LayerNorm`,
      };
    },
  }),
  "deberta-v2": () => ({
    ...bert,
    embeddingProjection: "embeddings.embed_proj",
    layer(index) {
      const layer = `encoder.layer.${index}`;
      const own = ["query_proj", "key_proj", "value_proj"];
      return {
        ...bertLayer(layer),
        queryKeyValue: own.map((name) => `${layer}.attention.self.${name}`),
      };
    },
  }),
  distilbert: () => ({
    ...bert,
    layer(index) {
      const layer = `transformer.layer.${index}`;
      return {
        ...bertLayer(layer),
        queryKeyValue: ["q_lin", "k_lin", "v_lin"].map((name) => `${layer}.attention.${name}`),
        attentionOutput: `${layer}.attention.out_lin`,
        attentionNorm: `${layer}.sa_layer_norm`,
        up: [`${layer}.ffn.lin1`],
        down: `${layer}.ffn.lin2`,
        outputNorm: `${layer}.output_layer_norm`,
      };
    },
  }),
  albert: ({ layers, sharing }) => ({
    ...bert,
    embeddingProjection: "encoder.embedding_hidden_mapping_in",
    layer(index) {
      const { groups, inner } = sharing!;
      const group = Math.floor(index / inner / (layers.length / inner / groups));
      const layer = `encoder.albert_layer_groups.${group}.albert_layers.${index % inner}`;
      return {
        ...bertLayer(layer),
        queryKeyValue: ["query", "key", "value"].map((name) => `${layer}.attention.${name}`),
        attentionOutput: `${layer}.attention.dense`,
        attentionNorm: `${layer}.attention.LayerNorm`,
        up: [`${layer}.ffn`],
        down: `${layer}.ffn_output`,
        outputNorm: `${layer}.full_layer_layer_norm`,
      };
    },
  }),
  modernbert: () => ({
    ...bert,
    tokens: "embeddings.tok_embeddings",
    embeddingNorm: "embeddings.norm",
    finalNorm: "final_norm",
    layer: (index) => ({
      ...bertLayer(`layers.${index}`),
      queryKeyValue: [`layers.${index}.attn.Wqkv`],
      attentionOutput: `layers.${index}.attn.Wo`,
      attentionNorm: `layers.${index}.attn_norm`,
      up: [`layers.${index}.mlp.Wi`],
      down: `layers.${index}.mlp.Wo`,
      outputNorm: `layers.${index}.mlp_norm`,
    }),
  }),
  t5: ({ gated, relativeBias }) => ({
    ...bert,
    tokens: "shared",
    relativeBias: (layer) => t5RelativeBias("encoder", relativeBias!.everyLayer ? layer : 0),
    finalNorm: "encoder.final_layer_norm",
    layer(index) {
      const [attention, dense] = [0, 1].map((part) => `encoder.block.${index}.layer.${part}`);
      const up = gated ? ["wi_0", "wi_1"] : ["wi"];
      return {
        ...bertLayer(`encoder.block.${index}`),
        queryKeyValue: ["q", "k", "v"].map((name) => `${attention}.SelfAttention.${name}`),
        attentionOutput: `${attention}.SelfAttention.o`,
        attentionNorm: `${attention}.layer_norm`,
        up: up.map((name) => `${dense}.DenseReluDense.${name}`),
        down: `${dense}.DenseReluDense.wo`,
        outputNorm: `${dense}.layer_norm`,
      };
    },
  }),
  // Only what stands around the layers: theirs have names of their own (`mixer-names.ts`).
  [mixerFamily]: () => bert,
  nomic_bert: ({ gated, separateProjections }) => ({
    ...bert,
    embeddingNorm: "emb_ln",
    layer: (index) => ({
      ...bertLayer(`encoder.layers.${index}`),
      queryKeyValue: (separateProjections ? ["q_proj", "k_proj", "v_proj"] : ["Wqkv"]).map(
        (name) => `encoder.layers.${index}.attn.${name}`,
      ),
      attentionOutput: `encoder.layers.${index}.attn.out_proj`,
      attentionNorm: `encoder.layers.${index}.norm1`,
      // fc12 is the gate.
      up: (gated ? ["fc12", "fc11"] : ["fc1"]).map((name) => `encoder.layers.${index}.mlp.${name}`),
      down: `encoder.layers.${index}.mlp.fc2`,
      outputNorm: `encoder.layers.${index}.norm2`,
    }),
  }),
};

/** Only the table of tokens: names of a decoder's layers are its own (`decoder-names.ts`). */
const backbone: EncoderNames = {
  ...bert,
  tokens: decoderNames.embedding.replace(/\.weight$/, ""),
};

/** Names of an encoder's weights. */
export function encoderNames(config: EncoderConfig): EncoderNames {
  if (config.backbone) return backbone;
  const names = families[config.family];
  if (names) return names(config);
  throw new JetonError(`there are no names for the weights of the family "${config.family}"`, {
    code: "model-family-unknown",
    details: { family: config.family, known: Object.keys(families) },
  });
}

/** The stored name of a matrix or of a norm's scale. */
export const weightOf = (name: string): string => `${name}.weight`;

/** The stored name of a bias. */
export const biasOf = (name: string): string => `${name}.bias`;

/** Matrices of the layers as they are multiplied: what a packed weight format packs. */
export function encoderMatrixGroups(config: EncoderConfig): (readonly string[])[] {
  if (config.mixer) {
    return [...config.layers.keys()].flatMap((index) => mixerMatrixGroups(config, index));
  }
  if (config.backbone) return layerMatrixGroups(config.backbone);
  const names = encoderNames(config);
  const groups = new Map<string, readonly string[]>();
  for (const index of config.layers.keys()) {
    const layer = names.layer(index);
    for (const group of [layer.queryKeyValue, [layer.attentionOutput], layer.up, [layer.down]]) {
      const stored = group.map(weightOf);
      groups.set(stored.join("+"), stored);
    }
  }
  return [...groups.values()];
}
