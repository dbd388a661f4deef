/** Plans of the older families, written from transformers 5.18.0 like those of `reference-families.ts`. */
import { JetonError } from "../../core/index.ts";
import type { ConfigReader } from "../reference-config.ts";
import type { ReferencePlan } from "../reference-plan.ts";

/** The attention of these families raises a ValueError where heads do not fill the width. */
function widthOfHead(hiddenSize: number, heads: number): number {
  if (hiddenSize % heads === 0) return hiddenSize / heads;
  throw new JetonError(`${heads} heads do not divide ${hiddenSize}`, {
    code: "reference-config",
    details: { hiddenSize, heads },
  });
}

/** Dimensions of a head that rotate: whole pairs. */
function pairsOf(headDim: number, share: number): number {
  const rotaryDim = Math.trunc(headDim * share);
  if (rotaryDim >= 2 && rotaryDim % 2 === 0 && rotaryDim <= headDim) return rotaryDim;
  throw new JetonError(`${rotaryDim} dimensions are no pairs of ${headDim}`, {
    code: "reference-config",
    details: { headDim, share },
  });
}

/** Plans by `model_type`. */
export const olderFamilies: Readonly<Record<string, (c: ConfigReader) => ReferencePlan>> = {
  // models/gpt2/configuration_gpt2.py: GPT2Config and its attribute_map; modeling_gpt2.py
  gpt2(c) {
    const hiddenSize = c.number("n_embd", 768);
    const heads = c.number("n_head", 12);
    const headDim = widthOfHead(hiddenSize, heads);
    const divides = c.flag("scale_attn_by_inverse_layer_idx", false);
    return {
      family: "gpt2",
      vocabSize: c.number("vocab_size", 50257),
      hiddenSize,
      intermediateSize: c.number("n_inner", 4 * hiddenSize, 4 * hiddenSize), // GPT2Block
      numAttentionHeads: heads,
      numKeyValueHeads: heads,
      headDim,
      layers: c.layers(
        12,
        (index) => ({
          slidingWindow: null,
          rope: null,
          ...(divides && { scoreDivisor: index + 1 }), // GPT2Attention.scaling
        }),
        "n_layer",
      ),
      restartsBeyond: null,
      rmsNormEps: c.number("layer_norm_epsilon", 1e-5),
      normOffset: 0,
      norms: "pre", // GPT2Block
      qkNorm: "none",
      embeddingScale: 1,
      activation: c.activation("activation_function", "gelu_new"),
      attentionScale: [1, headDim ** -0.5][Number(c.flag("scale_attn_weights", true))]!,
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: true, // Conv1D has a bias
      outputBias: true,
      mlpBias: true,
      fusedProjections: false,
      joinedHeads: "by-part", // GPT2Attention: c_attn(x).split(split_size)
      plainFeedForward: true, // GPT2MLP
      layerNorms: "biased",
      learnedPositions: c.number("n_positions", 1024), // GPT2Model.wpe
      tiedHead: c.flag("tie_word_embeddings", true),
    };
  },

  // models/olmo/configuration_olmo.py: OlmoConfig; modeling_olmo.py
  olmo(c) {
    const hiddenSize = c.number("hidden_size", 4096);
    const heads = c.number("num_attention_heads", 32);
    const headDim = c.number("head_dim", hiddenSize / heads);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 2048 });
    const clip = c.optional("clip_qkv", null);
    return {
      family: "olmo",
      vocabSize: c.number("vocab_size", 50304),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 11008),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", heads, heads),
      headDim,
      layers: c.layers(32, () => ({ slidingWindow: null, rope })),
      restartsBeyond: null,
      rmsNormEps: 1e-5, // OlmoLayerNorm.forward
      normOffset: 0,
      norms: "pre", // OlmoDecoderLayer
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
      layerNorms: "bare",
      ...(clip !== null && { qkvClip: clip }),
      tiedHead: c.flag("tie_word_embeddings", false),
    };
  },

  // models/olmo3/configuration_olmo3.py: Olmo3Config; modeling_olmo3.py
  olmo3(c) {
    const hiddenSize = c.number("hidden_size", 4096);
    const heads = c.number("num_attention_heads", 32);
    const headDim = c.number("head_dim", hiddenSize / heads);
    // Olmo3Config.convert_rope_params_to_dict: rope_scaling is the full layers'. It hands `rope_theta` to these alone; the
    // models were made with one for both (version 4.57), and published files have the default.
    const shared = { key: "rope_theta", theta: 500_000 };
    const ropes = c.ropesByType({
      rotaryDim: headDim,
      maxPositions: 2048,
      full_attention: { ...shared, scaled: true },
      sliding_attention: { ...shared, scaled: false },
    });
    const window = c.optional("sliding_window", 4096);
    const types = c.layerTypes((index) =>
      (index + 1) % 4 === 0 ? "full_attention" : "sliding_attention",
    );
    return {
      family: "olmo3",
      vocabSize: c.number("vocab_size", 50304),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 11008),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", heads, heads),
      headDim,
      layers: c.layers(32, (index) => ({
        slidingWindow: types(index) === "sliding_attention" ? window : null,
        rope: ropes(types(index)),
      })),
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-5),
      normOffset: 0,
      norms: "post", // Olmo2DecoderLayer
      qkNorm: "projection", // Olmo3Attention
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

  // models/gpt_neo/configuration_gpt_neo.py: GPTNeoConfig and its attribute_map; modeling_gpt_neo.py
  gpt_neo(c) {
    const hiddenSize = c.number("hidden_size", 2048);
    const heads = c.number("num_heads", 16);
    const headDim = widthOfHead(hiddenSize, heads);
    const window = c.number("window_size", 256);
    const kinds = c.repeated("attention_types", [[["global", "local"], 12]]);
    return {
      family: "gpt_neo",
      vocabSize: c.number("vocab_size", 50257),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 4 * hiddenSize, 4 * hiddenSize), // GPTNeoBlock
      numAttentionHeads: heads,
      numKeyValueHeads: heads,
      headDim,
      layers: c.layers(
        24,
        (index) => ({ slidingWindow: kinds[index] === "local" ? window : null, rope: null }),
        "num_layers",
      ),
      restartsBeyond: null,
      rmsNormEps: c.number("layer_norm_epsilon", 1e-5),
      normOffset: 0,
      norms: "pre", // GPTNeoBlock
      qkNorm: "none",
      embeddingScale: 1,
      activation: c.activation("activation_function", "gelu_new"),
      attentionScale: 1, // GPTNeoSelfAttention._attn
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: false,
      outputBias: true,
      mlpBias: true,
      fusedProjections: false,
      plainFeedForward: true, // GPTNeoMLP
      layerNorms: "biased",
      learnedPositions: c.number("max_position_embeddings", 2048), // GPTNeoModel.wpe
      tiedHead: c.flag("tie_word_embeddings", true),
    };
  },

  // models/granite/configuration_granite.py: GraniteConfig; modeling_granite.py
  granite(c) {
    const hiddenSize = c.number("hidden_size", 4096);
    const heads = c.number("num_attention_heads", 32);
    const headDim = c.number("head_dim", hiddenSize / heads);
    const rope = c.rope({ theta: 10000, rotaryDim: headDim, maxPositions: 2048 });
    const residualScale = c.number("residual_multiplier", 1);
    const logitDivisor = c.number("logits_scaling", 1);
    return {
      family: "granite",
      vocabSize: c.number("vocab_size", 32000),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 11008),
      numAttentionHeads: heads,
      numKeyValueHeads: c.number("num_key_value_heads", heads, heads),
      headDim,
      layers: c.layers(32, () => ({ slidingWindow: null, rope })),
      restartsBeyond: null,
      rmsNormEps: c.number("rms_norm_eps", 1e-6),
      normOffset: 0,
      norms: "pre",
      qkNorm: "none",
      embeddingScale: c.number("embedding_multiplier", 1), // GraniteModel.forward
      activation: c.activation("hidden_act", "silu"),
      attentionScale: c.number("attention_multiplier", 1), // GraniteAttention.scaling
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: c.flag("attention_bias", false),
      outputBias: c.flag("attention_bias", false),
      mlpBias: c.flag("mlp_bias", false),
      fusedProjections: false,
      ...(residualScale !== 1 && { residualScale }), // GraniteDecoderLayer
      ...(logitDivisor !== 1 && { logitDivisor }), // GraniteForCausalLM.forward
      tiedHead: c.flag("tie_word_embeddings", false),
    };
  },

  // models/gpt_neox/configuration_gpt_neox.py: GPTNeoXConfig; modeling_gpt_neox.py
  gpt_neox(c) {
    const hiddenSize = c.number("hidden_size", 6144);
    const heads = c.number("num_attention_heads", 64);
    const headDim = widthOfHead(hiddenSize, heads);
    // GPTNeoXConfig.convert_rope_params_to_dict
    const partial = c.ropeNumber("partial_rotary_factor", c.number("rotary_pct", 0.25));
    const rope = c.rope({
      theta: c.number("rotary_emb_base", 10000),
      rotaryDim: pairsOf(headDim, partial),
      maxPositions: 2048,
    });
    const isParallel = c.flag("use_parallel_residual", true);
    return {
      family: "gpt_neox",
      vocabSize: c.number("vocab_size", 50432),
      hiddenSize,
      intermediateSize: c.number("intermediate_size", 24576),
      numAttentionHeads: heads,
      numKeyValueHeads: heads,
      headDim,
      layers: c.layers(44, () => ({ slidingWindow: null, rope })),
      restartsBeyond: null,
      rmsNormEps: c.number("layer_norm_eps", 1e-5),
      normOffset: 0,
      norms: "pre", // GPTNeoXLayer
      qkNorm: "none",
      embeddingScale: 1,
      activation: c.activation("hidden_act", "gelu"),
      attentionScale: headDim ** -0.5,
      attnLogitSoftcap: null,
      finalLogitSoftcap: null,
      qkvBias: c.flag("attention_bias", true),
      outputBias: c.flag("attention_bias", true),
      mlpBias: true,
      fusedProjections: false,
      joinedHeads: "by-head",
      plainFeedForward: true, // GPTNeoXMLP
      layerNorms: "biased",
      ...(isParallel && { parallel: true }),
      tiedHead: c.flag("tie_word_embeddings", false),
    };
  },
};
