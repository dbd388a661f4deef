/**
 * Tiny encoders of each family: a `config.json` in the spelling of the hub, and the same as a plan of the float64
 * program, written from the modeling file that stands above each.
 */

import { activate } from "../reference-activation.ts";
import { add } from "../reference-arithmetic.ts";
import {
  type EncoderPlan,
  embedding,
  linear,
  norm,
  type ReferenceWeights,
} from "./reference-encoder.ts";
import {
  bertLayer,
  common,
  heads,
  hidden,
  inner,
  positions,
  type ReferenceEncoder,
  sizes,
  two,
  vocab,
} from "./reference-encoder-parts.ts";
import { nomicEncoders } from "./reference-nomic.ts";

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

function albertLayer(group: number, inner: number): EncoderPlan["layers"][number] {
  const layer = `albert.encoder.albert_layer_groups.${group}.albert_layers.${inner}`;
  return {
    qkv: ["query", "key", "value"].map((name) => `${layer}.attention.${name}`),
    output: `${layer}.attention.dense`,
    attentionNorm: `${layer}.attention.LayerNorm`,
    up: [`${layer}.ffn`],
    down: `${layer}.ffn_output`,
    outputNorm: `${layer}.full_layer_layer_norm`,
  };
}

const albertEmbeddings: EncoderPlan["embed"] = (weights, ids, types) =>
  bertEmbeddings("albert.", { types: 2, epsilon: 1e-12, width: 16 })(weights, ids, types).map((x) =>
    linear(weights, "albert.encoder.embedding_hidden_mapping_in", x, hidden, true),
  );

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

// models/mpnet/modeling_mpnet.py: relative_position_bucket, always of 32 and up to a distance of 128
function mpnetBucket(i: number, j: number): number {
  const far = Math.abs(i - j);
  const logarithmic = 8 + Math.floor((Math.log(far / 8) / Math.log(128 / 8)) * 8);
  return (j > i ? 16 : 0) + (far < 8 ? far : Math.min(15, logarithmic));
}

function mpnet(more: Record<string, unknown> = {}): ReferenceEncoder {
  const table = "mpnet.encoder.relative_attention_bias.weight";
  const layer = (index: number) => {
    const own = `mpnet.encoder.layer.${index}.attention`;
    return {
      ...bertLayer("mpnet.")(index),
      qkv: ["q", "k", "v"].map((name) => `${own}.attn.${name}`),
      output: `${own}.attn.o`,
      attentionNorm: `${own}.LayerNorm`,
    };
  };
  return {
    config: { model_type: "mpnet", ...sizes, pad_token_id: 1, ...more },
    plan: {
      ...common,
      epsilon: 1e-12,
      layers: two(layer),
      embed: bertEmbeddings("mpnet.", { types: 0, epsilon: 1e-12, place: behindPadding(1) }),
      bias: (weights, head, i, j) =>
        weights.get(table, 32, heads)[mpnetBucket(i, j) * heads + head]!,
    },
  };
}

/** Families by name; several of one where its switches change the computation. */
export const referenceEncoders: Readonly<Record<string, () => ReferenceEncoder>> = {
  roberta: () => roberta("roberta"),
  "xlm-roberta": () => roberta("xlm-roberta"),
  mpnet,
  // The class has the padding's id built in, and no types.
  "mpnet whose file says otherwise": () => mpnet({ pad_token_id: 0, type_vocab_size: 2 }),

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
      layers: two(() => albertLayer(0, 0)),
      embed: albertEmbeddings,
    },
  }),

  // models/albert/modeling_albert.py: a group of two layers, gone through as often as there are layers
  "albert with inner layers": () => ({
    config: {
      model_type: "albert",
      ...sizes,
      num_hidden_layers: 4,
      num_hidden_groups: 2,
      inner_group_num: 2,
      embedding_size: 16,
      hidden_act: "gelu",
    },
    plan: {
      ...common,
      epsilon: 1e-12,
      layers: [0, 0, 1, 1].flatMap((group) => two((inner) => albertLayer(group, inner))),
      embed: albertEmbeddings,
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

  // models/deberta_v2/modeling_deberta_v2.py: ConvLayer, a sum over places and channels of a group
  "deberta-v2 with a convolution": () => {
    const more = {
      pos_att_type: ["p2c", "c2p"],
      position_buckets: 8,
      norm_rel_ebd: "layer_norm",
      share_att_key: true,
      conv_kernel_size: 3,
      conv_groups: 2,
      conv_act: "gelu",
    };
    const { config, plan } = deberta(more, {
      kinds: ["p2c", "c2p"],
      span: 8,
      bucket: logBucket(8, positions),
      shared: true,
      norm: "deberta.encoder.LayerNorm",
      table: "deberta.encoder.rel_embeddings",
    });
    const conv = "deberta.encoder.conv";
    const part = hidden / 2;
    return {
      config,
      plan: {
        ...plan,
        behindFirst(weights, inputs, outputs) {
          const matrix = weights.get(`${conv}.conv.weight`, hidden, part, 3);
          const shift = weights.get(`${conv}.conv.bias`, hidden);
          return outputs.map((output, at) => {
            const sum = output.map((value, channel) => {
              const first = Math.floor(channel / part) * part;
              let convolved = shift[channel]!;
              for (let tap = 0; tap < 3; tap++) {
                const x = inputs[at + tap - 1];
                for (let c = 0; x && c < part; c++) {
                  convolved += matrix[(channel * part + c) * 3 + tap]! * x[first + c]!;
                }
              }
              return value + activate(convolved, "gelu");
            });
            return norm(weights, `${conv}.LayerNorm`, sum, 1e-7);
          });
        },
      },
    };
  },

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

  ...nomicEncoders,
};
