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
};
