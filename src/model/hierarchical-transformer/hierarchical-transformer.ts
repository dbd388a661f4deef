/**
 * The hierarchical transformer (Neitemeier et al., 2025, arXiv 2501.10322) as a configuration of
 * `model/byte`: a word is one vector, read at `<|word|>` (the paper's [W]) by an encoder within the word;
 * matrices lead from the local width d to the backbone's width D (W_E) and back (W_D); a decoder within the
 * word writes the next word behind the predictive vector.
 */
import type { ModelConfig } from "../../checkpoint/text-config.ts";
import type { WordRule } from "../byte/split-words.ts";
import { wordModelFile } from "../byte/word-config.ts";

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
  const { localSize = options.hiddenSize / 2, localLayers = 1 } = options;
  return wordModelFile("hierarchical-transformer", {
    ...options,
    localSize,
    localLayers,
    prefixes: 1,
  });
}
