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
  "gpt2-unscaled": (d) => ({ ...gpt2(d), n_inner: null, scale_attn_weights: false }),
};
