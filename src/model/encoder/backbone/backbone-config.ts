/**
 * Decoders that make vectors: a sentence encoder over a decoder's layers, causal (Qwen3-Embedding, e5-mistral) or seen from
 * both sides (EmbeddingGemma, EuroBERT, gte-Qwen2).
 */
import { type ModelConfig, textConfig } from "../../../checkpoint/text-config.ts";
import {
  type DecoderConfig,
  decoderConfig,
  decoderFamilies,
  isBidirectional,
  tokenIds,
} from "../../decoder/config.ts";
import { type Fields, invalid } from "../../decoder/config-fields.ts";
import { textFamilies } from "../../decoder/family-defaults.ts";
import { ropeFrequencies } from "../../layers/rope.ts";
import type { EncoderConfig } from "../config.ts";
import type { Labels } from "../tasks/encoder-task.ts";

/** A family of encoders with Llama's layers. */
export const eurobertFamily = "eurobert";

/** What the configuration class of EuroBERT assumes, from transformers 5.18.0. */
const eurobertDefaults: Fields = {
  vocab_size: 128256,
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  pad_token_id: 128001,
};

/** A `config.json` of EuroBERT as one of Llama that is seen from both sides, which its layers are. */
function asLlama(own: Fields): ModelConfig {
  return {
    ...eurobertDefaults,
    ...own,
    model_type: "llama",
    is_causal: false,
  } as ModelConfig;
}

/** The family of a `config.json`, as decoders name it. */
function familyOf(own: Fields): string {
  const named = typeof own["model_type"] === "string" ? own["model_type"] : "";
  return textFamilies[named] ?? named;
}

/**
 * Whether an encoder over a decoder's layers is described: always where tokens see those behind them, otherwise only of a
 * sentence encoder's folder.
 *
 * @throws JetonError `model-config-invalid`
 */
export function isBackboneConfig(file: ModelConfig, hasModules: boolean): boolean {
  const family = familyOf(textConfig(file));
  if (family === eurobertFamily) return true;
  return decoderFamilies.includes(family) && (hasModules || isBidirectional(file));
}

/** What all encoders have, of a decoder's layers; the rest is left to the caller. */
export function backboneEncoderConfig(
  own: ModelConfig,
): Omit<EncoderConfig, "task" | keyof Labels | "headOptions"> {
  const isEurobert = own["model_type"] === eurobertFamily;
  const file = isEurobert ? asLlama(own) : own;
  const backbone = decoderConfig(file, { allowsBidirectional: true });
  checkBackbone(backbone);
  const { hiddenSize, mlpBias } = backbone;
  return {
    family: isEurobert ? eurobertFamily : backbone.family,
    backbone,
    vocabSize: backbone.vocabSize,
    hiddenSize,
    embeddingSize: hiddenSize,
    intermediateSize: backbone.intermediateSize,
    numAttentionHeads: backbone.numAttentionHeads,
    headDim: backbone.headDim,
    layers: backbone.layers.map(({ slidingWindow, rope }) => ({
      window: slidingWindow,
      rope,
      attentionNorm: backbone.normPlacement !== "post",
    })),
    sharing: undefined,
    ropes: backbone.ropes,
    positionRows: 0,
    positionIds: "index",
    typeVocabSize: 0,
    relativeBias: undefined,
    contextLength: backbone.contextLength,
    norm: backbone.norm === "rms" ? "rms" : "layer",
    normEps: backbone.rmsNormEps,
    normBias: backbone.norm === "layer",
    normPlacement: backbone.normPlacement === "post" ? "post" : "pre",
    embeddingNorm: false,
    finalNorm: true,
    activation: backbone.activation,
    gated: true,
    attentionScale: backbone.attentionScale,
    qkvBias: backbone.qkvBias,
    attentionOutputBias: backbone.attentionOutputBias,
    upBias: mlpBias,
    downBias: mlpBias,
    padTokenId: tokenIds(file["pad_token_id"])[0] ?? 0,
    tieWordEmbeddings: backbone.tieWordEmbeddings,
  };
}

/** What reads texts in a way of its own, and rotations that lack a number. */
function checkBackbone({ landmark, ropes, contextLength }: DecoderConfig): void {
  if (landmark) throw invalid("mem_freq", landmark, "no landmarks in a model that makes vectors");
  for (const rope of ropes) for (const length of [1, contextLength]) ropeFrequencies(rope, length);
}
