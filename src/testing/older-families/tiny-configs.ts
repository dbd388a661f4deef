/** Configurations of tiny models of the older families, with the fields of published files. */
import { olmo2, type ReferenceConfigBuilder } from "../tiny-configs.ts";

const gpt2: ReferenceConfigBuilder = (d) => ({
  activation_function: "gelu_new",
  architectures: ["GPT2LMHeadModel"],
  attn_pdrop: 0.1,
  bos_token_id: 1,
  embd_pdrop: 0.1,
  eos_token_id: 2,
  initializer_range: 0.02,
  layer_norm_epsilon: 1e-5,
  model_type: "gpt2",
  n_ctx: 64,
  n_embd: d.width,
  n_head: d.heads,
  n_layer: d.layers,
  n_positions: 64,
  resid_pdrop: 0.1,
  summary_activation: null,
  summary_first_dropout: 0.1,
  summary_proj_to_labels: true,
  summary_type: "cls_index",
  summary_use_proj: true,
  vocab_size: d.vocabulary,
});

/** As Pythia's files. */
const gptNeox: ReferenceConfigBuilder = (d) => ({
  architectures: ["GPTNeoXForCausalLM"],
  bos_token_id: 0,
  eos_token_id: 2,
  hidden_act: "gelu",
  hidden_size: d.width,
  initializer_range: 0.02,
  intermediate_size: d.feedForward,
  layer_norm_eps: 1e-5,
  max_position_embeddings: 512,
  model_type: "gpt_neox",
  num_attention_heads: d.heads,
  num_hidden_layers: d.layers,
  rotary_emb_base: 10000,
  // Pythia's is a quarter, which of so small heads would be one pair.
  rotary_pct: 0.5,
  tie_word_embeddings: false,
  transformers_version: "4.24.0",
  use_cache: true,
  use_parallel_residual: true,
  vocab_size: d.vocabulary,
});

/** As the files of OLMo 1 and its 7B of 2024, which cuts queries, keys and values. */
const olmo: ReferenceConfigBuilder = (d) => {
  const { rms_norm_eps: _, ...fields } = olmo2(d);
  return {
    ...fields,
    architectures: ["OlmoForCausalLM"],
    clip_qkv: 0.8,
    model_type: "olmo",
    rope_theta: 10000,
  };
};

const olmo3: ReferenceConfigBuilder = (d) => ({
  ...olmo2(d),
  architectures: ["Olmo3ForCausalLM"],
  layer_types: Array.from({ length: d.layers }, (_, i) =>
    i === 1 ? "full_attention" : "sliding_attention",
  ),
  model_type: "olmo3",
  rope_scaling: {
    attention_factor: 1.2,
    beta_fast: 4,
    beta_slow: 0.5,
    factor: 8,
    original_max_position_embeddings: 32,
    rope_type: "yarn",
    truncate: false,
  },
  // Small, so that heads of four pairs show every number of the scaling.
  rope_theta: 500,
  sliding_window: 9,
});

/** As TinyStories' files: without some fields of the published GPT-Neos. */
const gptNeo: ReferenceConfigBuilder = (d) => ({
  activation_function: "gelu_new",
  architectures: ["GPTNeoForCausalLM"],
  attention_dropout: 0,
  attention_types: [[["global", "local"], d.layers / 2]],
  bos_token_id: 1,
  embed_dropout: 0,
  eos_token_id: 2,
  hidden_size: d.width,
  initializer_range: 0.02,
  intermediate_size: null,
  layer_norm_epsilon: 1e-5,
  max_position_embeddings: 64,
  model_type: "gpt_neo",
  num_heads: d.heads,
  num_layers: d.layers,
  resid_dropout: 0,
  use_cache: true,
  vocab_size: d.vocabulary,
  window_size: 9,
});

const granite: ReferenceConfigBuilder = (d) => ({
  architectures: ["GraniteForCausalLM"],
  attention_bias: true,
  attention_dropout: 0,
  attention_multiplier: 0.35,
  bos_token_id: 0,
  embedding_multiplier: 1.7,
  eos_token_id: 0,
  hidden_act: "silu",
  hidden_size: d.width,
  initializer_range: 0.02,
  intermediate_size: d.feedForward,
  logits_scaling: 1.6,
  max_position_embeddings: 512,
  mlp_bias: true,
  model_type: "granite",
  num_attention_heads: d.heads,
  num_hidden_layers: d.layers,
  num_key_value_heads: d.kvHeads,
  residual_multiplier: 0.7,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  use_cache: true,
  vocab_size: d.vocabulary,
});

/** Builders by name: each family, and variants of its biases, scales and layouts. */
export const olderReferenceFamilies: Readonly<Record<string, ReferenceConfigBuilder>> = {
  gpt2,
  /** As mistral's GPT-2s are written, with a width and a head of their own. */
  "gpt2-scaled": (d) => ({
    ...gpt2(d),
    activation_function: "relu",
    n_inner: d.feedForward,
    reorder_and_upcast_attn: true,
    scale_attn_by_inverse_layer_idx: true,
    scale_attn_weights: true,
    tie_word_embeddings: false,
  }),
  "gpt-neo": gptNeo,
  granite,
  "gpt-neox": gptNeox,
  olmo,
  "olmo-bias": (d) => ({
    ...olmo(d),
    attention_bias: true,
    clip_qkv: null,
    num_key_value_heads: d.heads,
    tie_word_embeddings: true,
  }),
  olmo3,
  "olmo3-parameters": (d) => {
    const { rope_scaling: _, rope_theta: __, layer_types: ___, ...fields } = olmo3(d);
    return {
      ...fields,
      rope_parameters: {
        full_attention: { factor: 3, rope_theta: 100_000, rope_type: "linear" },
        sliding_attention: { rope_theta: 2000, rope_type: "default" },
      },
      transformers_version: "5.0.0",
    };
  },
  /** One sum after the other, no biases of attention, positions stretched. */
  "gpt-neox-serial": (d) => ({
    ...gptNeox(d),
    attention_bias: false,
    hidden_act: "gelu_new",
    layer_norm_eps: 1e-3,
    rope_scaling: { factor: 2.5, type: "linear" },
    rotary_emb_base: 500,
    rotary_pct: 1,
    tie_word_embeddings: true,
    use_parallel_residual: false,
  }),
  "gpt2-unscaled": (d) => ({ ...gpt2(d), n_inner: null, scale_attn_weights: false }),
};
