/** Configurations of tiny sparse models, one for each family of decoders with experts. */
import { longFactors, type ReferenceConfigBuilder } from "./tiny-configs.ts";

const shared: ReferenceConfigBuilder = (d) => ({
  attention_dropout: 0,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: "silu",
  hidden_size: d.width,
  initializer_range: 0.02,
  intermediate_size: d.feedForward,
  max_position_embeddings: 512,
  num_attention_heads: d.heads,
  num_hidden_layers: d.layers,
  num_key_value_heads: d.kvHeads,
  output_router_logits: false,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 10000,
  router_aux_loss_coef: 0.02,
  tie_word_embeddings: false,
  transformers_version: "4.45.0",
  use_cache: true,
  vocab_size: d.vocabulary,
});

const mixtral: ReferenceConfigBuilder = (d) => ({
  ...shared(d),
  architectures: ["MixtralForCausalLM"],
  model_type: "mixtral",
  num_experts_per_tok: 2,
  num_local_experts: 5,
  router_jitter_noise: 0,
  sliding_window: null,
});

const olmoe: ReferenceConfigBuilder = (d) => ({
  ...shared(d),
  architectures: ["OlmoeForCausalLM"],
  attention_bias: false,
  clip_qkv: 1.5,
  model_type: "olmoe",
  norm_topk_prob: false,
  num_experts: 6,
  num_experts_per_tok: 3,
});

const qwen2Moe: ReferenceConfigBuilder = (d) => ({
  ...shared(d),
  architectures: ["Qwen2MoeForCausalLM"],
  decoder_sparse_step: 2,
  max_window_layers: d.layers,
  mlp_only_layers: [],
  model_type: "qwen2_moe",
  moe_intermediate_size: d.feedForward / 2,
  norm_topk_prob: false,
  num_experts: 4,
  num_experts_per_tok: 2,
  shared_expert_intermediate_size: d.feedForward,
  sliding_window: 9,
  use_sliding_window: false,
});

const qwen3Moe: ReferenceConfigBuilder = (d) => ({
  ...shared(d),
  architectures: ["Qwen3MoeForCausalLM"],
  attention_bias: false,
  decoder_sparse_step: 1,
  head_dim: d.headDim,
  max_window_layers: d.layers,
  mlp_only_layers: [1],
  model_type: "qwen3_moe",
  moe_intermediate_size: d.feedForward / 2,
  norm_topk_prob: true,
  num_experts: 5,
  num_experts_per_tok: 2,
  sliding_window: 9,
  use_sliding_window: true,
});

const granitemoe: ReferenceConfigBuilder = (d) => ({
  ...shared(d),
  architectures: ["GraniteMoeForCausalLM"],
  attention_bias: false,
  attention_multiplier: 0.15,
  embedding_multiplier: 1.5,
  logits_scaling: 0.6,
  model_type: "granitemoe",
  num_experts_per_tok: 2,
  num_local_experts: 5,
  residual_multiplier: 0.7,
  tie_word_embeddings: true,
});

const phimoe: ReferenceConfigBuilder = (d) => ({
  ...shared(d),
  architectures: ["PhiMoEForCausalLM"],
  attention_bias: true,
  input_jitter_noise: 0,
  lm_head_bias: true,
  model_type: "phimoe",
  num_experts_per_tok: 2,
  num_local_experts: 5,
  router_jitter_noise: 0.4,
  sliding_window: 13,
});

const gptOss: ReferenceConfigBuilder = (d) => ({
  ...shared(d),
  architectures: ["GptOssForCausalLM"],
  attention_bias: true,
  experts_per_token: 2,
  head_dim: d.headDim,
  initial_context_length: 64,
  layer_types: Array.from({ length: d.layers }, (_, i) =>
    i % 2 === 0 ? "sliding_attention" : "full_attention",
  ),
  model_type: "gpt_oss",
  num_experts_per_tok: 2,
  num_local_experts: 5,
  rope_scaling: {
    beta_fast: 4,
    beta_slow: 0.5,
    factor: 8,
    original_max_position_embeddings: 64,
    rope_type: "yarn",
    truncate: false,
  },
  rope_theta: 150_000,
  sliding_window: 10,
  swiglu_limit: 7,
});

const openmoe: ReferenceConfigBuilder = (d) => ({
  ...shared(d),
  architectures: ["OpenMoeForCausalLM"],
  decoder_sparse_step: 2,
  expert_capacity_factor: 1.25,
  head_dim: d.headDim,
  model_type: "openmoe",
  moe_intermediate_size: d.feedForward / 2,
  num_experts: 4,
  num_experts_per_tok: 2,
  router_z_loss_coef: 0.0001,
});

/** Config builders of sparse families by name, with the variants of their windows and rotations. */
export const sparseReferenceFamilies: Readonly<Record<string, ReferenceConfigBuilder>> = {
  mixtral,
  "mixtral-window": (d) => ({ ...mixtral(d), head_dim: d.headDim, sliding_window: 8 }),
  olmoe,
  "qwen2-moe": qwen2Moe,
  "qwen2-moe-window": (d) => ({
    ...qwen2Moe(d),
    decoder_sparse_step: 1,
    max_window_layers: 2,
    mlp_only_layers: [2],
    use_sliding_window: true,
  }),
  "qwen3-moe": qwen3Moe,
  granitemoe,
  "granitemoe-shared": (d) => ({
    ...granitemoe(d),
    architectures: ["GraniteMoeSharedForCausalLM"],
    model_type: "granitemoeshared",
    shared_intermediate_size: d.feedForward / 2,
  }),
  phimoe,
  /** Texts longer than 24 tokens use the long factors and their magnitude. */
  "phimoe-longrope": (d) => ({
    ...phimoe(d),
    attention_bias: false,
    lm_head_bias: false,
    rope_scaling: {
      long_factor: longFactors(d.width / d.heads, 1.08, 1.4),
      long_mscale: 1.3,
      original_max_position_embeddings: 24,
      short_factor: longFactors(d.width / d.heads, 1.05, 1.15),
      short_mscale: 1.2,
      type: "longrope",
    },
    sliding_window: null,
  }),
  "gpt-oss": gptOss,
  openmoe,
};

/** Variants whose weights are partly codes, which no test may change by a factor. */
export const encodedReferenceFamilies: Readonly<Record<string, ReferenceConfigBuilder>> = {
  "gpt-oss-mxfp4": (d) => ({
    ...gptOss(d),
    quantization_config: {
      modules_to_not_convert: ["model.layers.*.self_attn", "model.layers.*.mlp.router", "lm_head"],
      quant_method: "mxfp4",
    },
  }),
};
