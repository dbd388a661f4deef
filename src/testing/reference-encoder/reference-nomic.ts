/** nomic-bert in the spelling of its authors and in that of transformers. */
import { add } from "../reference-arithmetic.ts";
import { embedding, norm } from "./reference-encoder.ts";
import {
  common,
  heads,
  hidden,
  inner,
  none,
  positions,
  type ReferenceEncoder,
  sizes,
  two,
  vocab,
} from "./reference-encoder-parts.ts";

/** Both, by name. */
export const nomicEncoders: Readonly<Record<string, () => ReferenceEncoder>> = {
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

  // models/nomic_bert/modeling_nomic_bert.py, in transformers since 5.4
  "nomic_bert of transformers": () => ({
    config: {
      model_type: "nomic_bert",
      ...sizes,
      hidden_act: "silu",
      rope_parameters: { rope_type: "default", rope_theta: 1000 },
    },
    plan: {
      ...common,
      gated: true,
      activation: "silu",
      biases: { ...none, norm: true },
      epsilon: 1e-12,
      layers: two((index) => {
        const layer = `nomic_bert.layers.${index}`;
        return {
          qkv: ["q_proj", "k_proj", "v_proj"].map((name) => `${layer}.self_attn.${name}`),
          output: `${layer}.self_attn.o_proj`,
          attentionNorm: `${layer}.post_attention_layernorm`,
          up: [`${layer}.mlp.gate_proj`, `${layer}.mlp.up_proj`],
          down: `${layer}.mlp.down_proj`,
          outputNorm: `${layer}.post_mlp_layernorm`,
          ropeTheta: 1000,
        };
      }),
      embed: (weights, ids, types) =>
        ids.map((id, at) => {
          const own = "nomic_bert.embeddings";
          const word = embedding(weights, `${own}.word_embeddings`, id, vocab, hidden);
          const type = embedding(weights, `${own}.token_type_embeddings`, types[at]!, 2, hidden);
          return norm(weights, "nomic_bert.embeddings_layernorm", add(word, type), 1e-12);
        }),
    },
  }),
};
