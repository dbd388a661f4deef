/**
 * What the configuration classes of encoder families assume for keys that a `config.json` leaves out, and
 * how the families spell the keys that all of them have.
 */
import type { Fields } from "../decoder/config-fields.ts";

/** Keys that BERT and its relatives share. */
const bert: Fields = {
  vocab_size: 30522,
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  hidden_act: "gelu",
  max_position_embeddings: 512,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  pad_token_id: 0,
  tie_word_embeddings: true,
};

const roberta: Fields = { ...bert, pad_token_id: 1 };

/** Defaults by `model_type`, from the families' configuration classes in transformers 5.18.0. */
export const encoderDefaults: Readonly<Record<string, Fields>> = {
  bert,
  roberta: { ...roberta, vocab_size: 50265 },
  "xlm-roberta": roberta,
  camembert: roberta,
  mpnet: { ...roberta, vocab_size: 30527, type_vocab_size: 0, relative_attention_num_buckets: 32 },
  distilbert: {
    vocab_size: 30522,
    max_position_embeddings: 512,
    n_layers: 6,
    n_heads: 12,
    dim: 768,
    hidden_dim: 3072,
    activation: "gelu",
    pad_token_id: 0,
    tie_word_embeddings: true,
  },
  albert: {
    ...bert,
    vocab_size: 30000,
    embedding_size: 128,
    hidden_size: 4096,
    num_hidden_groups: 1,
    num_attention_heads: 64,
    intermediate_size: 16384,
    inner_group_num: 1,
    hidden_act: "gelu_new",
  },
  electra: {
    ...bert,
    embedding_size: 128,
    hidden_size: 256,
    num_attention_heads: 4,
    intermediate_size: 1024,
  },
  "deberta-v2": {
    ...bert,
    vocab_size: 128100,
    hidden_size: 1536,
    num_hidden_layers: 24,
    num_attention_heads: 24,
    intermediate_size: 6144,
    type_vocab_size: 0,
    layer_norm_eps: 1e-7,
    relative_attention: false,
    max_relative_positions: -1,
    position_biased_input: true,
    pooler_hidden_act: "gelu",
  },
  modernbert: {
    vocab_size: 50368,
    hidden_size: 768,
    intermediate_size: 1152,
    num_hidden_layers: 22,
    num_attention_heads: 12,
    hidden_activation: "gelu",
    max_position_embeddings: 8192,
    norm_eps: 1e-5,
    norm_bias: false,
    pad_token_id: 50283,
    attention_bias: false,
    mlp_bias: false,
    decoder_bias: true,
    classifier_bias: false,
    classifier_activation: "gelu",
    classifier_pooling: "cls",
    global_attn_every_n_layers: 3,
    global_rope_theta: 160000,
    local_attention: 128,
    local_rope_theta: 10000,
    tie_word_embeddings: true,
  },
  nomic_bert: {
    vocab_size: 30528,
    n_embd: 768,
    n_layer: 12,
    n_head: 12,
    n_positions: 8192,
    activation_function: "swiglu",
    layer_norm_epsilon: 1e-12,
    qkv_proj_bias: false,
    mlp_fc1_bias: false,
    mlp_fc2_bias: false,
    prenorm: false,
    use_rms_norm: false,
    rotary_emb_fraction: 1,
    rotary_emb_base: 1000,
    type_vocab_size: 2,
    pad_token_id: 0,
    tie_word_embeddings: true,
  },
};

/** Other values of `model_type` for the same families. */
export const encoderAliases: Readonly<Record<string, string>> = {
  xlm_roberta: "xlm-roberta",
  "nomic-bert": "nomic_bert",
};

/** A family's own spelling of the keys that all encoders have. */
export const encoderKeys: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  distilbert: {
    hidden_size: "dim",
    num_hidden_layers: "n_layers",
    num_attention_heads: "n_heads",
    intermediate_size: "hidden_dim",
    hidden_act: "activation",
  },
  modernbert: { hidden_act: "hidden_activation", layer_norm_eps: "norm_eps" },
  nomic_bert: {
    hidden_size: "n_embd",
    num_hidden_layers: "n_layer",
    num_attention_heads: "n_head",
    intermediate_size: "n_inner",
    max_position_embeddings: "n_positions",
    layer_norm_eps: "layer_norm_epsilon",
  },
};
