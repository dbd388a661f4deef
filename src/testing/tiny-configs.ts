/** Configurations of tiny models, one for each family of decoders. */

/** Sizes of a tiny model; every family builds its config from these. */
export interface TinyDimensions {
  /** Default 512, the vocabulary of the tinystories-260k tokenizer. */
  vocabulary: number;
  /** `hidden_size`, default 64. */
  width: number;
  /** Default 4: enough for every pattern of layers used here. */
  layers: number;
  /** Default 4. */
  heads: number;
  /** Default 2. */
  kvHeads: number;
  /** For families whose configs state it, default 24; the others have width / heads. */
  headDim: number;
  /** `intermediate_size`, default 96. */
  feedForward: number;
}

/** Makes the `config.json` of a tiny model, without its dtype field. */
export type ReferenceConfigBuilder = (dimensions: TinyDimensions) => Record<string, unknown>;

const sizes = (d: TinyDimensions): Record<string, unknown> => ({
  hidden_size: d.width,
  intermediate_size: d.feedForward,
  num_attention_heads: d.heads,
  num_hidden_layers: d.layers,
  num_key_value_heads: d.kvHeads,
  vocab_size: d.vocabulary,
});

export const llama: ReferenceConfigBuilder = (d) => ({
  architectures: ["LlamaForCausalLM"],
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: "silu",
  initializer_range: 0.02,
  max_position_embeddings: 512,
  mlp_bias: false,
  model_type: "llama",
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 10000,
  tie_word_embeddings: false,
  transformers_version: "4.46.3",
  use_cache: true,
  ...sizes(d),
});

export const mistral: ReferenceConfigBuilder = (d) => ({
  architectures: ["MistralForCausalLM"],
  attention_dropout: 0,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: "silu",
  initializer_range: 0.02,
  max_position_embeddings: 512,
  model_type: "mistral",
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  sliding_window: 11,
  tie_word_embeddings: false,
  transformers_version: "4.42.0.dev0",
  use_cache: true,
  ...sizes(d),
});

export const qwen2: ReferenceConfigBuilder = (d) => ({
  architectures: ["Qwen2ForCausalLM"],
  attention_dropout: 0,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: "silu",
  initializer_range: 0.02,
  max_position_embeddings: 512,
  max_window_layers: 2,
  model_type: "qwen2",
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  // A number although no layer slides, as in the published files.
  sliding_window: 9,
  tie_word_embeddings: true,
  transformers_version: "4.43.1",
  use_cache: true,
  use_mrope: false,
  use_sliding_window: false,
  ...sizes(d),
});

export const qwen3: ReferenceConfigBuilder = (d) => ({
  architectures: ["Qwen3ForCausalLM"],
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: 1,
  eos_token_id: 2,
  head_dim: d.headDim,
  hidden_act: "silu",
  initializer_range: 0.02,
  max_position_embeddings: 512,
  max_window_layers: d.layers,
  model_type: "qwen3",
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 1_000_000,
  sliding_window: null,
  tie_word_embeddings: true,
  transformers_version: "4.51.0",
  use_cache: true,
  use_sliding_window: false,
  ...sizes(d),
});

export const smollm3: ReferenceConfigBuilder = (d) => ({
  architectures: ["SmolLM3ForCausalLM"],
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: "silu",
  initializer_range: 0.02,
  layer_types: Array.from({ length: d.layers }, () => "full_attention"),
  max_position_embeddings: 512,
  max_window_layers: d.layers,
  mlp_bias: false,
  model_type: "smollm3",
  no_rope_layer_interval: 4,
  no_rope_layers: Array.from({ length: d.layers }, (_, i) => ((i + 1) % 4 === 0 ? 0 : 1)),
  pad_token_id: 0,
  pretraining_tp: 2,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 5_000_000,
  sliding_window: null,
  tie_word_embeddings: true,
  transformers_version: "4.54.0.dev0",
  use_cache: true,
  use_sliding_window: false,
  ...sizes(d),
});

export const phi3: ReferenceConfigBuilder = (d) => ({
  _name_or_path: "Phi-3-mini-4k-instruct",
  architectures: ["Phi3ForCausalLM"],
  attention_bias: false,
  attention_dropout: 0,
  auto_map: {
    AutoConfig: "configuration_phi3.Phi3Config",
    AutoModelForCausalLM: "modeling_phi3.Phi3ForCausalLM",
  },
  bos_token_id: 1,
  embd_pdrop: 0,
  eos_token_id: 2,
  hidden_act: "silu",
  initializer_range: 0.02,
  max_position_embeddings: 512,
  model_type: "phi3",
  original_max_position_embeddings: 512,
  pad_token_id: 0,
  resid_pdrop: 0,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 10000,
  sliding_window: 13,
  tie_word_embeddings: false,
  transformers_version: "4.41.2",
  use_cache: true,
  ...sizes(d),
});

/** Growing factors like those that a search for long contexts finds. */
export const longFactors = (rotaryDim: number, first: number, growth: number): number[] =>
  Array.from({ length: rotaryDim / 2 }, (_, i) => Number((first * growth ** i).toFixed(4)));

/** Phi-3 with a 128-thousand-token context at the scale of a toy: original context of 24 tokens. */
export const phi3Longrope =
  (original: number): ReferenceConfigBuilder =>
  (d) => ({
    ...phi3(d),
    _name_or_path: "Phi-3-mini-128k-instruct",
    original_max_position_embeddings: original,
    rope_scaling: {
      long_factor: longFactors(d.width / d.heads, 1.08, 1.4),
      short_factor: longFactors(d.width / d.heads, 1.05, 1.15),
      type: "longrope",
    },
    sliding_window: 262144,
  });

export const olmo2: ReferenceConfigBuilder = (d) => ({
  architectures: ["Olmo2ForCausalLM"],
  attention_bias: false,
  attention_dropout: 0,
  eos_token_id: 2,
  hidden_act: "silu",
  initializer_range: 0.02,
  max_position_embeddings: 512,
  model_type: "olmo2",
  pad_token_id: 0,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 500_000,
  tie_word_embeddings: false,
  transformers_version: "4.47.0.dev0",
  use_cache: true,
  ...sizes(d),
});

/** As the first published files: the old name of the activation, and nothing about tied embeddings. */
export const gemma: ReferenceConfigBuilder = (d) => ({
  architectures: ["GemmaForCausalLM"],
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: 1,
  eos_token_id: 2,
  head_dim: d.headDim,
  hidden_act: "gelu",
  initializer_range: 0.02,
  max_position_embeddings: 512,
  model_type: "gemma",
  pad_token_id: 0,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 10000,
  transformers_version: "4.38.0.dev0",
  use_cache: true,
  ...sizes(d),
  num_key_value_heads: 1,
});

export const gemma2: ReferenceConfigBuilder = (d) => ({
  architectures: ["Gemma2ForCausalLM"],
  attention_bias: false,
  attention_dropout: 0,
  attn_logit_softcapping: 3,
  bos_token_id: 1,
  cache_implementation: "hybrid",
  eos_token_id: 2,
  final_logit_softcapping: 6,
  head_dim: d.headDim,
  hidden_act: "gelu_pytorch_tanh",
  hidden_activation: "gelu_pytorch_tanh",
  initializer_range: 0.02,
  max_position_embeddings: 512,
  model_type: "gemma2",
  pad_token_id: 0,
  query_pre_attn_scalar: 17,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  sliding_window: 10,
  transformers_version: "4.42.4",
  use_cache: true,
  ...sizes(d),
});

export const gemma3: ReferenceConfigBuilder = (d) => ({
  architectures: ["Gemma3ForCausalLM"],
  attention_bias: false,
  attention_dropout: 0,
  attn_logit_softcapping: null,
  bos_token_id: 1,
  cache_implementation: "hybrid",
  eos_token_id: [2, 106],
  final_logit_softcapping: null,
  head_dim: d.headDim,
  hidden_activation: "gelu_pytorch_tanh",
  initializer_range: 0.02,
  max_position_embeddings: 512,
  model_type: "gemma3_text",
  pad_token_id: 0,
  query_pre_attn_scalar: 17,
  rms_norm_eps: 1e-6,
  rope_local_base_freq: 10000,
  rope_scaling: null,
  rope_theta: 1_000_000,
  sliding_window: 8,
  sliding_window_pattern: 3,
  transformers_version: "4.50.0.dev0",
  use_cache: true,
  ...sizes(d),
});
