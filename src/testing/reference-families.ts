/**
 * From a `config.json` to a plan, one literal description per family.
 *
 * Each was written from the files of Hugging Face transformers 5.18.0 that stand above it:
 * `configuration_X.py` for keys and their defaults, `modeling_X.py` for what the layers do with them,
 * `modeling_rope_utils.py` for rotations. Nothing is shared among families, so that a mistake stays in
 * one of them, and nothing is taken from `src/model`.
 */
import { JetonError } from "../core/index.ts";
import { olderFamilies } from "./older-families/older-families.ts";
import type { ReferenceConfig } from "./reference-checkpoint.ts";
import { ConfigReader } from "./reference-config.ts";
import type { ReferencePlan } from "./reference-plan.ts";
import { sparseFamilies } from "./reference-sparse-families.ts";

const full = "full_attention";
const sliding = "sliding_attention";

/** Plans of the families by `model_type`. */
const families: Readonly<Record<string, (c: ConfigReader) => ReferencePlan>> = {
  // models/llama/configuration_llama.py: LlamaConfig; modeling_llama.py
  llama(c) {
    const hiddenSize = c.number("hidden_size", 4096);
    const heads = c.number("num_attention_heads", 32);
    const headDim = c.number("head_dim", hiddenSize / heads, hiddenSize / heads);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 2048 });
    return {
      family: "llama",
      vocabSize: c.number("vocab_size", 32000),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 11008),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", heads, heads),
      headDim,
      layers: c.layers(32, () => ({ slidingWindow: null, rope })),
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-6),
      normOffset: 0, // LlamaRMSNorm: weight * x
      norms: "pre", // LlamaDecoderLayer
      qkNorm: "none",
      embeddingScale: 1,
      activation: c.activation("hidden_act", "silu"),
      attentionScale: headDim ** -0.5, // LlamaAttention.scaling
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: c.flag("attention_bias", false),
      outputBias: c.flag("attention_bias", false),
      mlpBias: c.flag("mlp_bias", false), // LlamaMLP
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", false),
    };
  },

  // models/mistral/configuration_mistral.py: MistralConfig; modeling_mistral.py
  mistral(c) {
    const hiddenSize = c.number("hidden_size", 4096);
    const heads = c.number("num_attention_heads", 32);
    const headDim = c.number("head_dim", hiddenSize / heads, hiddenSize / heads);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 4096 * 32 });
    // All layers, MistralModel.forward; by layer_types in MinistralModel.forward, which AutoConfig takes where a file has them.
    const window = c.optional("sliding_window", 4096);
    const types = c.layerTypes(() => slidingIf(window !== null));
    return {
      family: "mistral",
      vocabSize: c.number("vocab_size", 32000),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 14336),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", 8, heads),
      headDim,
      layers: c.layers(32, (index) => ({ slidingWindow: windowOf(types(index), window), rope })),
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-6),
      normOffset: 0,
      norms: "pre",
      qkNorm: "none",
      embeddingScale: 1,
      activation: c.activation("hidden_act", "silu"),
      attentionScale: headDim ** -0.5,
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: false, // MistralAttention: bias=False throughout
      outputBias: false,
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", false),
    };
  },

  // models/qwen2/configuration_qwen2.py: Qwen2Config; modeling_qwen2.py
  qwen2(c) {
    const hiddenSize = c.number("hidden_size", 4096);
    const heads = c.number("num_attention_heads", 32);
    // No attribute head_dim of its own; Qwen2Attention reads it where the file has one.
    const headDim = c.number("head_dim", hiddenSize / heads);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 32768 });
    // Qwen2Config.__post_init__: no window unless use_sliding_window.
    const window = c.optionalIf("use_sliding_window", "sliding_window", 4096);
    const from = c.number("max_window_layers", 28);
    const types = c.layerTypes((index) => slidingIf(window !== null && index >= from));
    return {
      family: "qwen2",
      vocabSize: c.number("vocab_size", 151936),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 22016),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", 32, heads),
      headDim,
      layers: c.layers(32, (index) => ({ slidingWindow: windowOf(types(index), window), rope })),
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-6),
      normOffset: 0,
      norms: "pre",
      qkNorm: "none",
      embeddingScale: 1,
      activation: c.activation("hidden_act", "silu"),
      attentionScale: headDim ** -0.5,
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: true, // Qwen2Attention: bias=True on q, k and v, bias=False on o_proj
      outputBias: false,
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", false),
    };
  },

  // models/qwen3/configuration_qwen3.py: Qwen3Config; modeling_qwen3.py
  qwen3(c) {
    const heads = c.number("num_attention_heads", 32);
    // Qwen3Attention falls back to hidden_size / heads where head_dim is null.
    const headDim = c.number("head_dim", 128, c.number("hidden_size", 4096) / heads);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 32768 });
    const window = c.optionalIf("use_sliding_window", "sliding_window", 4096);
    const from = c.number("max_window_layers", 28);
    const types = c.layerTypes((index) => slidingIf(window !== null && index >= from));
    return {
      family: "qwen3",
      vocabSize: c.number("vocab_size", 151936),
      hiddenSize: c.number("hidden_size", 4096),
      intermediateSize: c.number("intermediate_size", 22016),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", 32, heads),
      headDim,
      layers: c.layers(32, (index) => ({ slidingWindow: windowOf(types(index), window), rope })),
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-6),
      normOffset: 0,
      norms: "pre",
      qkNorm: "head", // Qwen3Attention: q_norm and k_norm of head_dim
      embeddingScale: 1,
      activation: c.activation("hidden_act", "silu"),
      attentionScale: headDim ** -0.5,
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: c.flag("attention_bias", false),
      outputBias: c.flag("attention_bias", false),
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", false),
    };
  },

  // models/smollm3/configuration_smollm3.py: SmolLM3Config; modeling_smollm3.py
  smollm3(c) {
    const hiddenSize = c.number("hidden_size", 2048);
    const heads = c.number("num_attention_heads", 16);
    const headDim = c.number("head_dim", hiddenSize / heads);
    const rope = c.rope({ theta: 2_000_000, rotaryDim: headDim, maxPositions: 32768 });
    const window = c.optionalIf("use_sliding_window", "sliding_window", null);
    // Despite its name a 1 in no_rope_layers means rotation (SmolLM3Attention.use_rope).
    const interval = c.number("no_rope_layer_interval", 4);
    const rotates = c.list("no_rope_layers", (index) => Number((index + 1) % interval !== 0));
    const types = c.layerTypes((index) => slidingIf(window !== null && rotates(index) === 0));
    return {
      family: "smollm3",
      vocabSize: c.number("vocab_size", 128256),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 11008),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", 4, heads),
      headDim,
      layers: c.layers(36, (index) => ({
        slidingWindow: windowOf(types(index), window),
        rope: [null, rope][rotates(index)]!,
      })),
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-6),
      normOffset: 0,
      norms: "pre",
      qkNorm: "none",
      embeddingScale: 1,
      activation: c.activation("hidden_act", "silu"),
      attentionScale: headDim ** -0.5,
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: c.flag("attention_bias", false),
      outputBias: c.flag("attention_bias", false),
      mlpBias: c.flag("mlp_bias", false),
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", true),
    };
  },

  // models/phi3/configuration_phi3.py: Phi3Config; modeling_phi3.py
  phi3(c) {
    const hiddenSize = c.number("hidden_size", 3072);
    const heads = c.number("num_attention_heads", 32);
    const headDim = c.number("head_dim", hiddenSize / heads);
    const partial = c.ropeNumber("partial_rotary_factor", 1); // only Phi3's rotation reads it
    const rope = c.rope({
      theta: 10000,
      rotaryDim: Math.trunc(headDim * partial),
      maxPositions: 4096,
      originalPositions: 4096,
      // Phi3Config.convert_rope_params_to_dict: older names of the same scaling.
      renamed: { su: "longrope", yarn: "longrope" },
    });
    const slidingWindow = c.optional("sliding_window", null);
    return {
      family: "phi3",
      vocabSize: c.number("vocab_size", 32064),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 8192),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", heads, heads),
      headDim,
      layers: c.layers(32, () => ({ slidingWindow, rope })),
      // Phi3ForCausalLM.prepare_inputs_for_generation
      restartsBeyond: [null, rope.originalMaxPositionEmbeddings][Number(rope.type === "longrope")]!,
      rmsNormEps: c.number("rms_norm_eps", 1e-5),
      normOffset: 0,
      norms: "pre",
      qkNorm: "none",
      embeddingScale: 1,
      activation: c.activation("hidden_act", "silu"),
      attentionScale: headDim ** -0.5,
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: false,
      outputBias: false,
      mlpBias: false,
      fusedProjections: true, // Phi3Attention.qkv_proj, Phi3MLP.gate_up_proj
      tiedHead: c.flag("tie_word_embeddings", false),
    };
  },

  // models/olmo2/configuration_olmo2.py: Olmo2Config; modeling_olmo2.py
  olmo2(c) {
    const hiddenSize = c.number("hidden_size", 4096);
    const heads = c.number("num_attention_heads", 32);
    const headDim = c.number("head_dim", hiddenSize / heads);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 2048 });
    return {
      family: "olmo2",
      vocabSize: c.number("vocab_size", 50304),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 11008),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", heads, heads),
      headDim,
      layers: c.layers(32, () => ({ slidingWindow: null, rope })),
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-5),
      normOffset: 0,
      norms: "post", // Olmo2DecoderLayer: norms of what is added to the residual
      qkNorm: "projection", // Olmo2Attention: q_norm(q_proj(x)) before the heads are split
      embeddingScale: 1,
      activation: c.activation("hidden_act", "silu"),
      attentionScale: headDim ** -0.5,
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: c.flag("attention_bias", false),
      outputBias: c.flag("attention_bias", false),
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", false),
    };
  },

  // models/gemma/configuration_gemma.py: GemmaConfig; modeling_gemma.py
  gemma(c) {
    const hiddenSize = c.number("hidden_size", 3072);
    const heads = c.number("num_attention_heads", 16);
    const headDim = c.number("head_dim", 256);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 8192 });
    return {
      family: "gemma",
      vocabSize: c.number("vocab_size", 256000),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 24576),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", 16),
      headDim,
      layers: c.layers(28, () => ({ slidingWindow: null, rope })),
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-6),
      normOffset: 1, // GemmaRMSNorm: (1 + weight) * x
      norms: "pre",
      qkNorm: "none",
      embeddingScale: Math.sqrt(hiddenSize), // GemmaTextScaledWordEmbedding
      // GemmaConfig.__post_init__: "gelu" of the first files means the tanh form.
      activation: c.activation("hidden_act", "gelu_pytorch_tanh", { gelu: "gelu_pytorch_tanh" }),
      attentionScale: headDim ** -0.5,
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: c.flag("attention_bias", false),
      outputBias: c.flag("attention_bias", false),
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", true),
    };
  },

  // models/gemma2/configuration_gemma2.py: Gemma2Config; modeling_gemma2.py
  gemma2(c) {
    const hiddenSize = c.number("hidden_size", 2304);
    const headDim = c.number("head_dim", 256);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 8192 });
    const window = c.optional("sliding_window", 4096);
    const types = c.layerTypes((index) => slidingIf(index % 2 === 0));
    return {
      family: "gemma2",
      vocabSize: c.number("vocab_size", 256000),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 9216),
      numAttentionHeads: c.number("num_attention_heads", 8),
      numKeyValueHeads: c.number("num_key_value_heads", 4),
      headDim,
      layers: c.layers(26, (index) => ({ slidingWindow: windowOf(types(index), window), rope })),
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-6),
      normOffset: 1, // Gemma2RMSNorm
      norms: "sandwich", // Gemma2DecoderLayer
      qkNorm: "none",
      embeddingScale: Math.sqrt(hiddenSize),
      activation: c.activation("hidden_activation", "gelu_pytorch_tanh"), // Gemma2MLP
      attentionScale: c.number("query_pre_attn_scalar", 256) ** -0.5, // Gemma2Attention.scaling
      attnLogitSoftcap: c.optional("attn_logit_softcapping", 50), // eager_attention_forward
      finalLogitSoftcap: c.optional("final_logit_softcapping", 30), // Gemma2ForCausalLM.forward
      qkvBias: c.flag("attention_bias", false),
      outputBias: c.flag("attention_bias", false),
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", true),
    };
  },

  // models/gemma3/configuration_gemma3.py: Gemma3TextConfig; modeling_gemma3.py
  gemma3_text(c) {
    const hiddenSize = c.number("hidden_size", 2304);
    const headDim = c.number("head_dim", 256);
    const ropes = c.ropesByType({
      rotaryDim: headDim,
      maxPositions: 131072,
      // Gemma3TextConfig.default_theta and convert_rope_params_to_dict: rope_scaling is the global one's.
      [full]: { key: "rope_theta", theta: 1_000_000, scaled: true },
      [sliding]: { key: "rope_local_base_freq", theta: 10000, scaled: false },
    });
    const window = c.optional("sliding_window", 4096);
    const pattern = c.number("sliding_window_pattern", 6);
    const types = c.layerTypes((index) => slidingIf((index + 1) % pattern !== 0));
    return {
      family: "gemma3_text",
      vocabSize: c.number("vocab_size", 262208),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 9216),
      numAttentionHeads: c.number("num_attention_heads", 8),
      numKeyValueHeads: c.number("num_key_value_heads", 4),
      headDim,
      layers: c.layers(26, (index) => ({
        slidingWindow: windowOf(types(index), window),
        rope: ropes(types(index)),
      })),
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-6),
      normOffset: 1, // Gemma3RMSNorm
      norms: "sandwich", // Gemma3DecoderLayer
      qkNorm: "head", // Gemma3Attention
      embeddingScale: Math.sqrt(hiddenSize),
      activation: c.activation("hidden_activation", "gelu_pytorch_tanh"),
      attentionScale: c.number("query_pre_attn_scalar", 256) ** -0.5,
      attnLogitSoftcap: null, // Gemma3Attention stores the value and hands it to no function
      finalLogitSoftcap: c.optional("final_logit_softcapping", null),
      qkvBias: c.flag("attention_bias", false),
      outputBias: c.flag("attention_bias", false),
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", true),
    };
  },
};

function slidingIf(condition: boolean): string {
  if (condition) return sliding;
  return full;
}

/** Attention.sliding_window of these classes: the window of sliding layers, none of the others. */
function windowOf(layerType: string, window: number | null): number | null {
  if (layerType === sliding) return window;
  return null;
}

/** Reads a config. Errors: `reference-family`, `reference-config` (a field is missing or mistyped). */
export function describeReference(config: ReferenceConfig): ReferencePlan {
  const family = String(config["model_type"]);
  const describe = families[family] ?? olderFamilies[family] ?? sparseFamilies[family];
  if (describe === undefined) {
    throw new JetonError(`model_type ${family} is none of ${Object.keys(families).join(", ")}`, {
      code: "reference-family",
      details: { family },
    });
  }
  const { experts, ...plan } = describe(new ConfigReader(config));
  return experts?.sparse.includes(true) ? { ...plan, experts } : plan;
}
