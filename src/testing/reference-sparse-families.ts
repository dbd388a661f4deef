/**
 * Plans of sparse decoders, one literal description per family, like those of `reference-families.ts`:
 * written from the files of Hugging Face transformers 5.18.0 that stand above each.
 */
import type { ConfigReader } from "./reference-config.ts";
import type { ReferencePlan } from "./reference-plan.ts";

/** Plans of the families by `model_type`. */
export const sparseFamilies: Readonly<Record<string, (c: ConfigReader) => ReferencePlan>> = {
  // models/mixtral/configuration_mixtral.py: MixtralConfig; modeling_mixtral.py
  mixtral(c) {
    const hiddenSize = c.number("hidden_size", 4096);
    const heads = c.number("num_attention_heads", 32);
    const headDim = c.number("head_dim", hiddenSize / heads, hiddenSize / heads);
    const rope = c.rope({ theta: 1_000_000, rotaryDim: headDim, maxPositions: 4096 * 32 });
    const slidingWindow = c.optional("sliding_window", null); // all layers, MixtralModel.forward
    const layers = c.layers(32, () => ({ slidingWindow, rope }));
    return {
      family: "mixtral",
      vocabSize: c.number("vocab_size", 32000),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 14336),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", 8, heads),
      headDim,
      layers,
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-5),
      normOffset: 0,
      norms: "pre",
      qkNorm: "none",
      embeddingScale: 1,
      activation: c.activation("hidden_act", "silu"),
      attentionScale: headDim ** -0.5,
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: false, // MixtralAttention: bias=False throughout
      outputBias: false,
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", false),
      experts: {
        count: c.number("num_local_experts", 8),
        perToken: c.number("num_experts_per_tok", 2),
        width: c.number("intermediate_size", 14336),
        router: "softmax", // MixtralTopKRouter: divided by the sum of the chosen
        normalized: true,
        jitter: 0,
        biases: false,
        sharedWidth: null,
        layout: "w1-w2-w3",
        sparse: layers.map(() => true),
      },
    };
  },

  // models/olmoe/configuration_olmoe.py: OlmoeConfig; modeling_olmoe.py
  olmoe(c) {
    const hiddenSize = c.number("hidden_size", 2048);
    const heads = c.number("num_attention_heads", 16);
    const headDim = c.number("head_dim", hiddenSize / heads);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 4096 });
    const layers = c.layers(16, () => ({ slidingWindow: null, rope }));
    const clip = c.optional("clip_qkv", null); // OlmoeAttention: after the norms
    return {
      family: "olmoe",
      vocabSize: c.number("vocab_size", 50304),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 2048),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", heads, heads),
      headDim,
      layers,
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-5),
      normOffset: 0,
      norms: "pre",
      qkNorm: "projection", // OlmoeAttention: q_norm(q_proj(x)), k_norm(k_proj(x))
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
      ...(clip !== null && { qkvClip: clip }),
      experts: {
        count: c.number("num_experts", 64),
        perToken: c.number("num_experts_per_tok", 8),
        width: c.number("intermediate_size", 2048),
        router: "softmax",
        normalized: c.flag("norm_topk_prob", false),
        jitter: 0,
        biases: false,
        sharedWidth: null,
        layout: "projections",
        sparse: layers.map(() => true),
      },
    };
  },

  // models/qwen2_moe/configuration_qwen2_moe.py: Qwen2MoeConfig; modeling_qwen2_moe.py
  qwen2_moe(c) {
    const hiddenSize = c.number("hidden_size", 2048);
    const heads = c.number("num_attention_heads", 16);
    const headDim = c.number("head_dim", hiddenSize / heads);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 32768 });
    const window = c.optionalIf("use_sliding_window", "sliding_window", 4096);
    // Qwen2MoeConfig.__post_init__: (i + 1) % 2 and i < max_window_layers
    const below = c.number("max_window_layers", 28);
    const types = c.layerTypes(
      (index) =>
        ["full_attention", "sliding_attention"].at(Number(index % 2 === 0 && index < below))!,
    );
    const layers = c.layers(24, (index) => ({
      slidingWindow: [null, window][Number(types(index) === "sliding_attention")]!,
      rope,
    }));
    return {
      family: "qwen2_moe",
      vocabSize: c.number("vocab_size", 151936),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 5632),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", 16, heads),
      headDim,
      layers,
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
      qkvBias: c.flag("qkv_bias", true), // Qwen2MoeAttention: not on o_proj
      outputBias: false,
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", false),
      experts: {
        count: c.number("num_experts", 60),
        perToken: c.number("num_experts_per_tok", 4),
        width: c.number("moe_intermediate_size", 1408),
        router: "softmax",
        normalized: c.flag("norm_topk_prob", false),
        jitter: 0,
        biases: false,
        sharedWidth: c.number("shared_expert_intermediate_size", 5632),
        layout: "projections",
        sparse: sparseByStep(c, layers.length),
      },
    };
  },

  // models/qwen3_moe/configuration_qwen3_moe.py: Qwen3MoeConfig; modeling_qwen3_moe.py
  qwen3_moe(c) {
    const hiddenSize = c.number("hidden_size", 2048);
    const heads = c.number("num_attention_heads", 32);
    const headDim = c.number("head_dim", hiddenSize / heads, hiddenSize / heads);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 32768 });
    // Qwen3MoeModel.forward: one mask for all layers
    const slidingWindow = c.optionalIf("use_sliding_window", "sliding_window", 4096);
    const layers = c.layers(24, () => ({ slidingWindow, rope }));
    return {
      family: "qwen3_moe",
      vocabSize: c.number("vocab_size", 151936),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 6144),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", 4, heads),
      headDim,
      layers,
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-6),
      normOffset: 0,
      norms: "pre",
      qkNorm: "head", // Qwen3MoeAttention
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
      experts: {
        count: c.number("num_experts", 128),
        perToken: c.number("num_experts_per_tok", 8),
        width: c.number("moe_intermediate_size", 768),
        router: "softmax",
        normalized: c.flag("norm_topk_prob", false),
        jitter: 0,
        biases: false,
        sharedWidth: null,
        layout: "projections",
        sparse: sparseByStep(c, layers.length),
      },
    };
  },

  // models/granitemoe/configuration_granitemoe.py: GraniteMoeConfig; modeling_granitemoe.py
  granitemoe(c) {
    const hiddenSize = c.number("hidden_size", 4096);
    const heads = c.number("num_attention_heads", 32);
    const headDim = c.number("head_dim", hiddenSize / heads);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 2048 });
    const layers = c.layers(32, () => ({ slidingWindow: null, rope }));
    const residual = c.number("residual_multiplier", 1);
    const divisor = c.number("logits_scaling", 1);
    return {
      family: "granitemoe",
      vocabSize: c.number("vocab_size", 32000),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 11008),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", heads, heads),
      headDim,
      layers,
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-6),
      normOffset: 0,
      norms: "pre",
      qkNorm: "none",
      embeddingScale: c.number("embedding_multiplier", 1),
      activation: c.activation("hidden_act", "silu"),
      attentionScale: c.number("attention_multiplier", 1), // GraniteMoeAttention.scaling
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: c.flag("attention_bias", false),
      outputBias: c.flag("attention_bias", false),
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", false),
      ...(residual !== 1 && { residualScale: residual }),
      ...(divisor !== 1 && { logitDivisor: divisor }),
      experts: {
        count: c.number("num_local_experts", 8),
        perToken: c.number("num_experts_per_tok", 2),
        width: c.number("intermediate_size", 11008),
        router: "softmax-of-chosen", // GraniteMoeTopKGating
        normalized: false,
        jitter: 0,
        biases: false,
        sharedWidth: null,
        layout: "stacked",
        sparse: layers.map(() => true),
      },
    };
  },

  // models/granitemoeshared/configuration_granitemoeshared.py; GraniteMoeSharedDecoderLayer: moe(x) + shared_mlp(x)
  granitemoeshared(c) {
    const plan = sparseFamilies["granitemoe"]!(c);
    const width = c.number("shared_intermediate_size", 0);
    const shared = { sharedWidth: width, sharedUngated: true as const };
    const experts = { ...plan.experts!, ...[{}, shared][Number(width > 0)] };
    return { ...plan, family: "granitemoeshared", experts };
  },

  // models/phimoe/configuration_phimoe.py: PhimoeConfig; modeling_phimoe.py
  phimoe(c) {
    const hiddenSize = c.number("hidden_size", 4096);
    const heads = c.number("num_attention_heads", 32);
    const headDim = c.number("head_dim", hiddenSize / heads, hiddenSize / heads);
    const rope = c.rope({ theta: 1_000_000, rotaryDim: headDim, maxPositions: 4096 * 32 });
    const slidingWindow = c.optional("sliding_window", null);
    const layers = c.layers(32, () => ({ slidingWindow, rope }));
    return {
      family: "phimoe",
      vocabSize: c.number("vocab_size", 32064),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 6400),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", 8, heads),
      headDim,
      layers,
      // PhimoeForCausalLM.prepare_inputs_for_generation
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
      qkvBias: c.flag("attention_bias", false),
      outputBias: c.flag("attention_bias", false),
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", false),
      layerNorms: "biased", // PhimoeDecoderLayer, PhimoeModel: nn.LayerNorm
      ...(c.flag("lm_head_bias", false) && { headBias: true as const }),
      experts: {
        count: c.number("num_local_experts", 16),
        perToken: 2, // sparsemixer
        width: c.number("intermediate_size", 6400),
        router: "sparsemixer",
        normalized: false,
        jitter: c.number("router_jitter_noise", 0.01),
        biases: false,
        sharedWidth: null,
        layout: "w1-w2-w3",
        sparse: layers.map(() => true),
      },
    };
  },

  // OpenMoE, equation 4: x + MHA(norm x), then x + MoE(u) + FFN(u); the defaults are those of its base model
  openmoe(c) {
    const heads = c.number("num_attention_heads", 12);
    const headDim = c.number("head_dim", 64);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 2048 });
    const layers = c.layers(12, () => ({ slidingWindow: null, rope }));
    const width = c.number("intermediate_size", 3072);
    return {
      family: "openmoe",
      vocabSize: c.number("vocab_size", 256384),
      hiddenSize: c.number("hidden_size", 768),
      intermediateSize: width,
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", heads),
      headDim,
      layers,
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
      qkvBias: false,
      outputBias: false,
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", false),
      experts: {
        count: c.number("num_experts", 16),
        perToken: c.number("num_experts_per_tok", 2),
        width: c.number("moe_intermediate_size", 3072),
        router: "softmax",
        normalized: false,
        jitter: 0,
        biases: false,
        sharedWidth: c.number("shared_expert_intermediate_size", width),
        sharedUngated: true,
        layout: "projections",
        sparse: Array.from(
          layers,
          (_, index) => (index + 1) % c.number("decoder_sparse_step", 4) === 0,
        ),
      },
    };
  },

  // models/gpt_oss/configuration_gpt_oss.py: GptOssConfig; modeling_gpt_oss.py
  gpt_oss(c) {
    const headDim = c.number("head_dim", 64);
    const rope = c.rope({
      theta: 150_000,
      rotaryDim: headDim,
      maxPositions: 131072,
      scaling: {
        rope_type: "yarn",
        factor: 32,
        beta_fast: 32,
        beta_slow: 1,
        truncate: false,
        original_max_position_embeddings: 4096,
      },
    });
    const window = c.optional("sliding_window", 128);
    const types = c.layerTypes(
      (index) => ["full_attention", "sliding_attention"][(index + 1) % 2]!,
    );
    const layers = c.layers(36, (index) => ({
      slidingWindow: [null, window][Number(types(index) === "sliding_attention")]!,
      rope,
    }));
    return {
      family: "gpt_oss",
      vocabSize: c.number("vocab_size", 201088),
      hiddenSize: c.number("hidden_size", 2880),
      intermediateSize: c.number("intermediate_size", 2880),
      numAttentionHeads: c.number("num_attention_heads", 64),
      numKeyValueHeads: c.number("num_key_value_heads", 8),
      headDim,
      layers,
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-5),
      normOffset: 0,
      norms: "pre",
      qkNorm: "none",
      embeddingScale: 1,
      activation: c.activation("hidden_act", "silu"), // read, not used: GptOssExperts has its own
      attentionScale: headDim ** -0.5,
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: c.flag("attention_bias", true),
      outputBias: c.flag("attention_bias", true),
      mlpBias: false,
      fusedProjections: false,
      tiedHead: c.flag("tie_word_embeddings", false),
      sinks: true,
      experts: {
        count: c.number("num_local_experts", 128),
        perToken: c.number("num_experts_per_tok", 4),
        width: c.number("intermediate_size", 2880),
        router: "softmax-of-chosen", // GptOssTopKRouter
        normalized: false,
        jitter: 0,
        biases: true,
        sharedWidth: null,
        layout: c.has("quantization_config") ? "mxfp4" : "interleaved",
        sparse: layers.map(() => true),
      },
    };
  },
};

/** Qwen2MoeDecoderLayer, Qwen3MoeDecoderLayer: mlp_only_layers and decoder_sparse_step. */
function sparseByStep(c: ConfigReader, layers: number): boolean[] {
  const dense = c.numbers("mlp_only_layers");
  const step = c.number("decoder_sparse_step", 1);
  return Array.from(
    { length: layers },
    (_, index) => !dense.includes(index) && (index + 1) % step === 0,
  );
}
