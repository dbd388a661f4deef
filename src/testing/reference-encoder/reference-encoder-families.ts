/**
 * Tiny encoders of each family: a `config.json` in the spelling of the hub, and the same as a plan of the float64
 * program, written from the modeling file that stands above each.
 */

import { add } from "../reference-arithmetic.ts";
import {
  type EncoderPlan,
  embedding,
  linear,
  norm,
  type ReferenceWeights,
} from "./reference-encoder.ts";

const [vocab, hidden, inner, heads, positions] = [96, 32, 48, 4, 40];

/** A family's checkpoint and how it is computed. */
export interface ReferenceEncoder {
  readonly config: Record<string, unknown>;
  readonly plan: EncoderPlan;
}

const sizes = {
  vocab_size: vocab,
  hidden_size: hidden,
  num_hidden_layers: 2,
  num_attention_heads: heads,
  intermediate_size: inner,
  max_position_embeddings: positions,
};

const all = { qkv: true, output: true, mlp: true, norm: true } as const;
const none = { qkv: false, output: false, mlp: false, norm: false } as const;

const bertLayer = (prefix: string) => (index: number) => {
  const layer = `${prefix}encoder.layer.${index}`;
  return {
    qkv: ["query", "key", "value"].map((name) => `${layer}.attention.self.${name}`),
    output: `${layer}.attention.output.dense`,
    attentionNorm: `${layer}.attention.output.LayerNorm`,
    up: [`${layer}.intermediate.dense`],
    down: `${layer}.output.dense`,
    outputNorm: `${layer}.output.LayerNorm`,
  };
};

/** Word, position and type embeddings, summed and normed. */
const bertEmbeddings =
  (
    prefix: string,
    options: {
      readonly types: number;
      readonly rows?: number;
      readonly width?: number;
      readonly epsilon: number;
      readonly place?: (ids: readonly number[], at: number) => number;
    },
  ) =>
  (weights: ReferenceWeights, ids: readonly number[], types: readonly number[]) => {
    const { width = hidden, epsilon, rows = positions, place = (_, at) => at } = options;
    const name = `${prefix}embeddings`;
    return ids.map((id, at) => {
      let x = embedding(weights, `${name}.word_embeddings`, id, vocab, width);
      if (options.types > 0) {
        const table = `${name}.token_type_embeddings`;
        x = add(x, embedding(weights, table, types[at]!, options.types, width));
      }
      if (rows > 0) {
        x = add(x, embedding(weights, `${name}.position_embeddings`, place(ids, at), rows, width));
      }
      return norm(weights, `${name}.LayerNorm`, x, epsilon);
    });
  };

const two = <T>(make: (index: number) => T): T[] => [0, 1].map(make);

const common = { hidden, inner, heads, activation: "gelu", biases: all } as const;

// models/roberta/modeling_roberta.py: create_position_ids_from_input_ids
const behindPadding = (pad: number) => (ids: readonly number[], at: number) =>
  ids[at] === pad ? pad : pad + ids.slice(0, at + 1).filter((id) => id !== pad).length;

function roberta(type: string): ReferenceEncoder {
  const options = { types: 1, epsilon: 1e-5, place: behindPadding(1) };
  return {
    config: {
      model_type: type,
      ...sizes,
      type_vocab_size: 1,
      layer_norm_eps: 1e-5,
      pad_token_id: 1,
    },
    plan: {
      ...common,
      epsilon: 1e-5,
      layers: two(bertLayer("roberta.")),
      embed: bertEmbeddings("roberta.", options),
    },
  };
}

// models/deberta_v2/modeling_deberta_v2.py: make_log_bucket_position
function logBucket(buckets: number, max: number): (distance: number) => number {
  const middle = Math.floor(buckets / 2);
  return (distance) => {
    const far = Math.abs(distance) < middle ? middle - 1 : Math.abs(distance);
    if (far <= middle) return distance;
    const share = Math.log(far / middle) / Math.log((max - 1) / middle);
    return Math.sign(distance) * (Math.ceil(share * (middle - 1)) + middle);
  };
}

function deberta(
  more: Record<string, unknown>,
  disentangled: NonNullable<EncoderPlan["disentangled"]>,
  narrow?: number,
): ReferenceEncoder {
  const layer = (index: number) => {
    const own = bertLayer("deberta.")(index);
    return { ...own, qkv: own.qkv.map((name) => `${name}_proj`) };
  };
  const name = "deberta.embeddings";
  return {
    config: { model_type: "deberta-v2", ...sizes, relative_attention: true, ...more },
    plan: {
      ...common,
      epsilon: 1e-7,
      layers: two(layer),
      disentangled,
      embed: (weights, ids) =>
        ids.map((id, at) => {
          const width = narrow ?? hidden;
          let x = embedding(weights, `${name}.word_embeddings`, id, vocab, width);
          if (more["position_biased_input"] !== false) {
            x = add(x, embedding(weights, `${name}.position_embeddings`, at, positions, width));
          }
          if (narrow !== undefined) x = linear(weights, `${name}.embed_proj`, x, hidden, false);
          return norm(weights, `${name}.LayerNorm`, x, 1e-7);
        }),
    },
  };
}

/** Families by name; several of one where its switches change the computation. */
export const referenceEncoders: Readonly<Record<string, () => ReferenceEncoder>> = {
  roberta: () => roberta("roberta"),
  "xlm-roberta": () => roberta("xlm-roberta"),

  // models/distilbert/modeling_distilbert.py: Embeddings and TransformerBlock, eps=1e-12 throughout
  distilbert: () => ({
    config: {
      model_type: "distilbert",
      vocab_size: vocab,
      dim: hidden,
      hidden_dim: inner,
      n_layers: 2,
      n_heads: heads,
      max_position_embeddings: positions,
      layer_norm_eps: 0.5,
    },
    plan: {
      ...common,
      epsilon: 1e-12,
      layers: two((index) => {
        const layer = `distilbert.transformer.layer.${index}`;
        return {
          qkv: ["q_lin", "k_lin", "v_lin"].map((name) => `${layer}.attention.${name}`),
          output: `${layer}.attention.out_lin`,
          attentionNorm: `${layer}.sa_layer_norm`,
          up: [`${layer}.ffn.lin1`],
          down: `${layer}.ffn.lin2`,
          outputNorm: `${layer}.output_layer_norm`,
        };
      }),
      embed: bertEmbeddings("distilbert.", { types: 0, epsilon: 1e-12 }),
    },
  }),

  // models/albert/modeling_albert.py: one group, embedding_hidden_mapping_in behind the norm
  albert: () => ({
    config: { model_type: "albert", ...sizes, embedding_size: 16, hidden_act: "gelu_new" },
    plan: {
      ...common,
      activation: "gelu-tanh",
      epsilon: 1e-12,
      layers: two(() => {
        const layer = "albert.encoder.albert_layer_groups.0.albert_layers.0";
        return {
          qkv: ["query", "key", "value"].map((name) => `${layer}.attention.${name}`),
          output: `${layer}.attention.dense`,
          attentionNorm: `${layer}.attention.LayerNorm`,
          up: [`${layer}.ffn`],
          down: `${layer}.ffn_output`,
          outputNorm: `${layer}.full_layer_layer_norm`,
        };
      }),
      embed: (weights, ids, types) =>
        bertEmbeddings("albert.", { types: 2, epsilon: 1e-12, width: 16 })(weights, ids, types).map(
          (x) => linear(weights, "albert.encoder.embedding_hidden_mapping_in", x, hidden, true),
        ),
    },
  }),

  // models/electra/modeling_electra.py: embeddings_project where the widths differ
  electra: () => ({
    config: { model_type: "electra", ...sizes, embedding_size: 16 },
    plan: {
      ...common,
      epsilon: 1e-12,
      layers: two(bertLayer("electra.")),
      embed: (weights, ids, types) =>
        bertEmbeddings("electra.", { types: 2, epsilon: 1e-12, width: 16 })(
          weights,
          ids,
          types,
        ).map((x) => linear(weights, "electra.embeddings_project", x, hidden, true)),
    },
  }),

  "deberta-v2 with buckets": () =>
    deberta(
      {
        pos_att_type: ["p2c", "c2p"],
        position_buckets: 8,
        max_relative_positions: -1,
        norm_rel_ebd: "layer_norm",
        share_att_key: true,
        position_biased_input: false,
      },
      {
        kinds: ["p2c", "c2p"],
        span: 8,
        bucket: logBucket(8, positions),
        shared: true,
        norm: "deberta.encoder.LayerNorm",
        table: "deberta.encoder.rel_embeddings",
      },
    ),
  "deberta-v2 without buckets": () =>
    deberta(
      { pos_att_type: "c2p", max_relative_positions: 6, embedding_size: 16 },
      {
        kinds: ["c2p"],
        span: 6,
        bucket: (distance) => distance,
        shared: false,
        norm: null,
        table: "deberta.encoder.rel_embeddings",
      },
      16,
    ),
  "deberta-v2 with own matrices": () =>
    deberta(
      { pos_att_type: "p2c|c2p", position_buckets: 6 },
      {
        kinds: ["p2c", "c2p"],
        span: 6,
        bucket: logBucket(6, positions),
        shared: false,
        norm: null,
        table: "deberta.encoder.rel_embeddings",
      },
    ),

  // models/modernbert/modeling_modernbert.py, every bias on
  "modernbert with biases": () => ({
    config: {
      model_type: "modernbert",
      ...sizes,
      num_hidden_layers: 3,
      hidden_activation: "gelu",
      attention_bias: true,
      mlp_bias: true,
      norm_bias: true,
      local_attention: 6,
      global_attn_every_n_layers: 3,
      global_rope_theta: 160000,
      local_rope_theta: 10000,
      pad_token_id: 0,
    },
    plan: {
      ...common,
      gated: true,
      pre: true,
      epsilon: 1e-5,
      finalNorm: "model.final_norm",
      layers: [0, 1, 2].map((index) => {
        const layer = `model.layers.${index}`;
        return {
          qkv: [`${layer}.attn.Wqkv`],
          output: `${layer}.attn.Wo`,
          attentionNorm: index === 0 ? null : `${layer}.attn_norm`,
          up: [`${layer}.mlp.Wi`],
          down: `${layer}.mlp.Wo`,
          outputNorm: `${layer}.mlp_norm`,
          ropeTheta: index % 3 === 0 ? 160000 : 10000,
          ...(index % 3 !== 0 && { window: 3 }),
        };
      }),
      embed: (weights, ids) =>
        ids.map((id) => {
          const x = embedding(weights, "model.embeddings.tok_embeddings", id, vocab, hidden);
          return norm(weights, "model.embeddings.norm", x, 1e-5);
        }),
    },
  }),

  // contrastors/models/encoder/modeling_nomic_bert.py: fc12 is the gate
  nomic_bert: () => ({
    config: {
      model_type: "nomic_bert",
      vocab_size: vocab,
      n_embd: hidden,
      n_head: heads,
      n_layer: 2,
      n_inner: inner,
      n_positions: positions,
      activation_function: "swiglu",
      rotary_emb_base: 1000,
      rotary_emb_fraction: 1,
      type_vocab_size: 2,
      qkv_proj_bias: false,
      mlp_fc1_bias: false,
      mlp_fc2_bias: false,
    },
    plan: {
      ...common,
      gated: true,
      activation: "silu",
      biases: { ...none, norm: true },
      epsilon: 1e-12,
      layers: two((index) => {
        const layer = `encoder.layers.${index}`;
        return {
          qkv: [`${layer}.attn.Wqkv`],
          output: `${layer}.attn.out_proj`,
          attentionNorm: `${layer}.norm1`,
          up: [`${layer}.mlp.fc12`, `${layer}.mlp.fc11`],
          down: `${layer}.mlp.fc2`,
          outputNorm: `${layer}.norm2`,
          ropeTheta: 1000,
        };
      }),
      embed: (weights, ids, types) =>
        ids.map((id, at) => {
          const word = embedding(weights, "embeddings.word_embeddings", id, vocab, hidden);
          const type = embedding(
            weights,
            "embeddings.token_type_embeddings",
            types[at]!,
            2,
            hidden,
          );
          return norm(weights, "emb_ln", add(word, type), 1e-12);
        }),
    },
  }),
};
