/** Configurations of tiny models of the older families, with the fields of published files. */
import type { ReferenceConfigBuilder } from "../tiny-configs.ts";

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
  "gpt-neox": gptNeox,
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
