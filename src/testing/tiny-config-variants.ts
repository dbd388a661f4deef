/** Every family of tiny models with the variants of its windows, biases and rotations. */
import { olderReferenceFamilies } from "./older-families/tiny-configs.ts";
import {
  gemma,
  gemma2,
  gemma3,
  llama,
  longFactors,
  mistral,
  olmo2,
  phi3,
  phi3Longrope,
  qwen2,
  qwen3,
  type ReferenceConfigBuilder,
  smollm3,
} from "./tiny-configs.ts";
import { sparseReferenceFamilies } from "./tiny-sparse-configs.ts";

const without = (config: Record<string, unknown>, ...keys: string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(config).filter(([key]) => !keys.includes(key)));

/** Config builders by name: each family, and each variant of its windows, biases and rotations. */
export const referenceFamilies: Readonly<Record<string, ReferenceConfigBuilder>> = {
  llama,
  "llama-bias": (d) => ({ ...llama(d), attention_bias: true, mlp_bias: true }),
  "llama-linear": (d) => ({ ...llama(d), rope_scaling: { factor: 2.5, type: "linear" } }),
  "llama-dynamic": (d) => ({
    ...llama(d),
    max_position_embeddings: 24,
    rope_scaling: { factor: 4, rope_type: "dynamic" },
  }),
  "llama-yarn": (d) => ({
    ...llama(d),
    max_position_embeddings: 128,
    rope_scaling: { factor: 4, original_max_position_embeddings: 32, rope_type: "yarn" },
  }),
  "llama-yarn-mscale": (d) => ({
    ...llama(d),
    max_position_embeddings: 256,
    rope_scaling: {
      beta_fast: 4,
      beta_slow: 0.5,
      factor: 8,
      mscale: 1.5,
      mscale_all_dim: 0.5,
      original_max_position_embeddings: 32,
      rope_type: "yarn",
      truncate: false,
    },
  }),
  "llama-yarn-attention-factor": (d) => ({
    ...llama(d),
    max_position_embeddings: 256,
    rope_scaling: {
      attention_factor: 1.4,
      beta_fast: 2,
      beta_slow: 0.25,
      factor: 4,
      original_max_position_embeddings: 64,
      type: "yarn",
    },
    rope_theta: 500,
  }),
  llama3: (d) => ({
    ...llama(d),
    head_dim: d.headDim,
    rope_scaling: {
      factor: 32,
      high_freq_factor: 4,
      low_freq_factor: 1,
      original_max_position_embeddings: 32,
      rope_type: "llama3",
    },
    rope_theta: 5000,
    tie_word_embeddings: true,
  }),
  /** As written by transformers 5: `dtype`, and the base within `rope_parameters`. */
  "llama3-parameters": (d) => ({
    ...without(llama(d), "rope_scaling", "rope_theta"),
    head_dim: d.headDim,
    rope_parameters: {
      factor: 8,
      high_freq_factor: 4,
      low_freq_factor: 1,
      original_max_position_embeddings: 64,
      rope_theta: 3000,
      rope_type: "llama3",
    },
    transformers_version: "5.0.0",
  }),
  smollm: (d) => ({
    ...llama(d),
    bos_token_id: 0,
    eos_token_id: 0,
    initializer_range: 0.041666666666666664,
    is_llama_config: true,
    rope_interleaved: false,
    rope_theta: 100_000,
    tie_word_embeddings: true,
    transformers_version: "4.40.1",
  }),
  mistral,
  "mistral-nemo": (d) => ({
    ...mistral(d),
    head_dim: d.headDim,
    rope_theta: 1_000_000,
    sliding_window: null,
  }),
  "mistral-layer-types": (d) => ({
    ...mistral(d),
    layer_types: Array.from({ length: d.layers }, (_, i) =>
      i === 1 ? "full_attention" : "sliding_attention",
    ),
  }),
  qwen2,
  "qwen2-window": (d) => ({ ...qwen2(d), tie_word_embeddings: false, use_sliding_window: true }),
  "qwen2-layer-types": (d) => ({
    ...qwen2(d),
    layer_types: Array.from({ length: d.layers }, (_, i) =>
      i === 1 ? "sliding_attention" : "full_attention",
    ),
    use_sliding_window: true,
  }),
  "qwen2-yarn": (d) => ({
    ...qwen2(d),
    rope_scaling: { factor: 4, original_max_position_embeddings: 32, type: "yarn" },
  }),
  qwen3,
  "qwen3-bias": (d) => ({ ...qwen3(d), attention_bias: true, tie_word_embeddings: false }),
  "qwen3-parameters": (d) => ({
    ...without(qwen3(d), "rope_scaling", "rope_theta"),
    layer_types: Array.from({ length: d.layers }, () => "full_attention"),
    pad_token_id: null,
    rope_parameters: { rope_theta: 1_000_000, rope_type: "default" },
    transformers_version: "5.0.0",
  }),
  smollm3,
  "smollm3-window": (d) => ({
    ...without(smollm3(d), "layer_types", "no_rope_layers"),
    no_rope_layer_interval: 3,
    sliding_window: 7,
    use_sliding_window: true,
  }),
  phi3,
  /** Texts longer than 24 tokens use the long factors. */
  "phi3-longrope": phi3Longrope(24),
  /** Texts up to 256 tokens use the short factors, and the attention factor all the same. */
  "phi3-longrope-short": phi3Longrope(256),
  "phi4-mini": (d) => ({
    ...without(phi3Longrope(24)(d), "_name_or_path"),
    full_attn_mod: 1,
    interpolate_factor: 1,
    lm_head_bias: false,
    mlp_bias: false,
    partial_rotary_factor: 0.75,
    rope_scaling: {
      long_factor: longFactors((d.width / d.heads) * 0.75, 1, 1.6),
      short_factor: longFactors((d.width / d.heads) * 0.75, 1, 1),
      type: "longrope",
    },
    tie_word_embeddings: true,
    transformers_version: "4.45.0",
  }),
  "phi4-mini-parameters": (d) => ({
    ...without(phi3(d), "_name_or_path", "auto_map", "rope_scaling", "rope_theta"),
    original_max_position_embeddings: 24,
    rope_parameters: {
      long_factor: longFactors((d.width / d.heads) * 0.75, 1.1, 1.5),
      partial_rotary_factor: 0.75,
      rope_theta: 20000,
      rope_type: "longrope",
      short_factor: longFactors((d.width / d.heads) * 0.75, 1, 1.1),
    },
    sliding_window: null,
    tie_word_embeddings: true,
    transformers_version: "5.0.0",
  }),
  olmo2,
  "olmo2-bias": (d) => ({ ...olmo2(d), attention_bias: true, num_key_value_heads: d.heads }),
  gemma,
  "gemma-bias": (d) => ({
    ...gemma(d),
    attention_bias: true,
    hidden_act: "gelu_pytorch_tanh",
    hidden_activation: "gelu_pytorch_tanh",
    num_key_value_heads: d.kvHeads,
  }),
  gemma2,
  gemma3,
  "gemma3-linear": (d) => ({
    ...without(gemma3(d), "sliding_window_pattern"),
    _sliding_window_pattern: 3,
    layer_types: Array.from({ length: d.layers }, (_, i) =>
      (i + 1) % 2 === 0 ? "full_attention" : "sliding_attention",
    ),
    rope_scaling: { factor: 8, rope_type: "linear" },
    use_bidirectional_attention: false,
  }),
  "gemma3-parameters": (d) => ({
    ...without(gemma3(d), "rope_local_base_freq", "rope_scaling", "rope_theta"),
    attn_logit_softcapping: 4,
    final_logit_softcapping: 7,
    layer_types: Array.from({ length: d.layers }, (_, i) =>
      (i + 1) % 2 === 0 ? "full_attention" : "sliding_attention",
    ),
    rope_parameters: {
      full_attention: { factor: 3, rope_theta: 100_000, rope_type: "linear" },
      sliding_attention: { rope_theta: 2000, rope_type: "default" },
    },
    transformers_version: "5.0.0",
  }),
  ...olderReferenceFamilies,
  ...sparseReferenceFamilies,
};
