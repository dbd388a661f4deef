/**
 * Tiny random checkpoints of every decoder family, as test subjects.
 *
 * Each `config.json` has the fields of a published config of that family, the irrelevant ones too, at
 * the size of a toy. Weights are scaled so that every feature shows in the logits: norms and their
 * neighbours are far from one, biases from zero, soft caps are small enough to bite, windows and
 * original contexts shorter than a 40-token text.
 */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRandom, JetonError } from "../core/index.ts";
import {
  type FloatDtype,
  type ReferenceConfig,
  type ReferenceTensor,
  roundToDtype,
  writeReferenceCheckpoint,
} from "./reference-checkpoint.ts";
import { describeReference } from "./reference-families.ts";
import type { ReferencePlan } from "./reference-plan.ts";

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

const defaultDimensions: TinyDimensions = {
  vocabulary: 512,
  width: 64,
  layers: 4,
  heads: 4,
  kvHeads: 2,
  headDim: 24,
  feedForward: 96,
};

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

const llama: ReferenceConfigBuilder = (d) => ({
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

const mistral: ReferenceConfigBuilder = (d) => ({
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

const qwen2: ReferenceConfigBuilder = (d) => ({
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

const qwen3: ReferenceConfigBuilder = (d) => ({
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

const smollm3: ReferenceConfigBuilder = (d) => ({
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

const phi3: ReferenceConfigBuilder = (d) => ({
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
const longFactors = (rotaryDim: number, first: number, growth: number): number[] =>
  Array.from({ length: rotaryDim / 2 }, (_, i) => Number((first * growth ** i).toFixed(4)));

/** Phi-3 with a 128-thousand-token context at the scale of a toy: original context of 24 tokens. */
const phi3Longrope =
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

const olmo2: ReferenceConfigBuilder = (d) => ({
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
const gemma: ReferenceConfigBuilder = (d) => ({
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

const gemma2: ReferenceConfigBuilder = (d) => ({
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

const gemma3: ReferenceConfigBuilder = (d) => ({
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
};

/** Names and shapes of all parameters that a checkpoint of this plan stores, in a fixed order. */
export function referenceParameterShapes(plan: ReferencePlan): Map<string, number[]> {
  const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, intermediateSize, vocabSize } =
    plan;
  const shapes = new Map<string, number[]>();
  const linear = (name: string, outputs: number, inputs: number, bias: boolean): void => {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    if (bias) shapes.set(`${name}.bias`, [outputs]);
  };
  const norm = (name: string, size: number): void => {
    shapes.set(`${name}.weight`, [size]);
  };
  const queryWidth = numAttentionHeads * headDim;
  const keyWidth = numKeyValueHeads * headDim;
  shapes.set("model.embed_tokens.weight", [vocabSize, hiddenSize]);
  for (let layer = 0; layer < plan.layers.length; layer++) {
    const name = `model.layers.${layer}`;
    const attention = `${name}.self_attn`;
    if (plan.norms !== "post") norm(`${name}.input_layernorm`, hiddenSize);
    norm(`${name}.post_attention_layernorm`, hiddenSize);
    if (plan.norms === "sandwich") norm(`${name}.pre_feedforward_layernorm`, hiddenSize);
    if (plan.norms !== "pre") norm(`${name}.post_feedforward_layernorm`, hiddenSize);
    if (plan.fusedProjections) {
      linear(`${attention}.qkv_proj`, queryWidth + 2 * keyWidth, hiddenSize, false);
      linear(`${name}.mlp.gate_up_proj`, 2 * intermediateSize, hiddenSize, false);
    } else {
      linear(`${attention}.q_proj`, queryWidth, hiddenSize, plan.qkvBias);
      linear(`${attention}.k_proj`, keyWidth, hiddenSize, plan.qkvBias);
      linear(`${attention}.v_proj`, keyWidth, hiddenSize, plan.qkvBias);
      linear(`${name}.mlp.gate_proj`, intermediateSize, hiddenSize, plan.mlpBias);
      linear(`${name}.mlp.up_proj`, intermediateSize, hiddenSize, plan.mlpBias);
    }
    linear(`${attention}.o_proj`, hiddenSize, queryWidth, plan.outputBias);
    linear(`${name}.mlp.down_proj`, hiddenSize, intermediateSize, plan.mlpBias);
    if (plan.qkNorm !== "none") {
      const whole = plan.qkNorm === "projection";
      norm(`${attention}.q_norm`, whole ? queryWidth : headDim);
      norm(`${attention}.k_norm`, whole ? keyWidth : headDim);
    }
  }
  norm("model.norm", hiddenSize);
  if (!plan.tiedHead) shapes.set("lm_head.weight", [vocabSize, hiddenSize]);
  return shapes;
}

/**
 * Random weights for a config, in float64 and not yet rounded to a stored dtype. Scales are chosen so
 * that scores have a standard deviation of about 2 and logits of about 3.
 */
export function randomReferenceTensors(
  config: ReferenceConfig,
  seed: number,
): Map<string, ReferenceTensor> {
  const plan = describeReference(config);
  const tensors = new Map<string, ReferenceTensor>();
  for (const [name, shape] of referenceParameterShapes(plan)) {
    const random = createRandom(seed, "random-checkpoint", name);
    const inputs = shape.at(-1)!;
    let mean = 0;
    let deviation = 1 / Math.sqrt(inputs);
    // Gemma's scaled embeddings would drown the layers, and being the head too, repeat the last token
    // for ever: they are smaller here and the last norm makes up for it.
    const gemma = plan.normOffset === 1;
    if (name === "model.norm.weight" && gemma) {
      mean = 5;
      deviation = 2;
    } else if (name.endsWith("norm.weight")) {
      mean = 1 - plan.normOffset + (/[qk]_norm/.test(name) ? 0.2 : 0);
      deviation = 0.4;
    } else if (name.endsWith(".bias")) {
      deviation = 0.5;
    } else if (name === "lm_head.weight") {
      deviation *= 3;
    } else if (name === "model.embed_tokens.weight") {
      if (gemma) deviation *= 0.5;
      else deviation = plan.tiedHead ? 3 * deviation : 1;
    } else {
      deviation *= 1.4;
    }
    const count = shape.reduce((product, size) => product * size, 1);
    const data = Float64Array.from({ length: count }, () => mean + deviation * random.normal());
    tensors.set(name, { shape, data });
  }
  return tensors;
}

export interface RandomCheckpointOptions extends Partial<TinyDimensions> {
  /** A name of `referenceFamilies`. */
  family: string;
  seed: number;
  /** Default F32. */
  dtype?: FloatDtype;
  /** Number of safetensors files, default 1. */
  shards?: number;
  /** A `tokenizer.json` to copy into the folder. */
  tokenizer?: string;
}

/** A written checkpoint, as the oracle sees it. */
export interface RandomCheckpoint {
  readonly config: ReferenceConfig;
  /** Rounded to the stored dtype: exactly what the files hold. */
  readonly tensors: Map<string, ReferenceTensor>;
}

const dtypeNames: Readonly<Record<FloatDtype, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/**
 * Writes a checkpoint folder (created if needed): `config.json`, `generation_config.json`, weights and,
 * if given, the tokenizer. Equal options give equal files. Error: `reference-family` for an unknown name.
 */
export function createRandomCheckpoint(
  folder: string,
  options: RandomCheckpointOptions,
): RandomCheckpoint {
  const { family, seed, dtype = "F32", shards = 1, tokenizer, ...dimensions } = options;
  const build = referenceFamilies[family];
  if (build === undefined) {
    throw new JetonError(
      `family ${family} is none of ${Object.keys(referenceFamilies).join(", ")}`,
      { code: "reference-family", details: { family } },
    );
  }
  const built = build({ ...defaultDimensions, ...dimensions });
  // Transformers 5 renamed the field.
  const dtypeKey = built["rope_parameters"] === undefined ? "torch_dtype" : "dtype";
  const config = Object.fromEntries(
    Object.entries({ ...built, [dtypeKey]: dtypeNames[dtype] }).sort(([a], [b]) =>
      a < b ? -1 : 1,
    ),
  );
  const tensors = new Map<string, ReferenceTensor>();
  for (const [name, { shape, data }] of randomReferenceTensors(config, seed)) {
    tensors.set(name, { shape, data: roundToDtype(data, dtype) });
  }
  mkdirSync(folder, { recursive: true });
  writeReferenceCheckpoint(folder, { config, tensors }, { dtype, shards });
  const generation: Record<string, unknown> = { _from_model_config: true };
  for (const key of ["bos_token_id", "eos_token_id", "pad_token_id", "transformers_version"]) {
    if (typeof config[key] !== "undefined") generation[key] = config[key];
  }
  writeFileSync(join(folder, "generation_config.json"), `${JSON.stringify(generation, null, 2)}\n`);
  if (tokenizer !== undefined) copyFileSync(tokenizer, join(folder, "tokenizer.json"));
  return { config, tensors };
}
