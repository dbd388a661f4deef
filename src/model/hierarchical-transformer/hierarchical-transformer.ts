/**
 * The hierarchical transformer (Neitemeier et al., 2025, arXiv 2501.10322) as a configuration of
 * `model/byte`: a word is one vector, read at `<|word|>` (the paper's [W]) by an encoder within the word;
 * matrices lead from the local width d to the backbone's width D (W_E) and back (W_D); a decoder within the
 * word writes the next word behind the predictive vector.
 */
import type { ModelConfig } from "../../checkpoint/text-config.ts";
import { documentId } from "../byte/byte-vocabulary.ts";
import type { WordRule } from "../byte/split-words.ts";

/** Sizes of a hierarchical transformer. */
export interface HierarchicalOptions {
  /** Width of the backbone, the paper's D. */
  hiddenSize: number;
  /** Layers of the backbone. */
  layers: number;
  heads: number;
  /** Width within words, the paper's d. Default: half of `hiddenSize`. */
  localSize?: number;
  /** Heads within words. Default: `heads`. */
  localHeads?: number;
  /** Layers of the encoder and of the decoder. Default 1. */
  localLayers?: number;
  /** Where words end. Default `"unicode"`. */
  rule?: WordRule;
  /** Longer words are cut. Default 24. */
  maxWordBytes?: number;
  /** Longest sequence in tokens, bytes and word ends. Default 2048. */
  contextLength?: number;
}

/**
 * The `config.json` of a hierarchical transformer.
 *
 * @example
 * const config = hierarchicalConfig({ hiddenSize: 128, layers: 4, heads: 4 });
 */
export function hierarchicalConfig(options: HierarchicalOptions): ModelConfig {
  const { hiddenSize, layers, heads, localSize = hiddenSize / 2 } = options;
  const { localHeads = heads, localLayers = 1 } = options;
  const { rule = "unicode", maxWordBytes = 24, contextLength = 2048 } = options;
  const feedForward = (width: number): number => 32 * Math.ceil((8 * width) / 3 / 32);
  return {
    model_type: "hierarchical-transformer",
    vocab_size: 256,
    hidden_size: hiddenSize,
    intermediate_size: feedForward(hiddenSize),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    max_position_embeddings: contextLength,
    local_hidden_size: localSize,
    local_intermediate_size: feedForward(localSize),
    local_num_attention_heads: localHeads,
    num_encoder_layers: localLayers,
    num_decoder_layers: localLayers,
    num_word_prefixes: 1,
    max_word_bytes: maxWordBytes,
    word_rule: typeof rule === "string" ? rule : { ...rule },
    bos_token_id: documentId,
    eos_token_id: documentId,
  };
}
