/**
 * Word-pooled tokenization (Thawani et al., 2023, arXiv 2310.11628) as a configuration of `model/byte`: p
 * prefix vectors before a word (the paper's CLS tokens) go through an encoder within the word, all p enter the
 * backbone, and the decoder writes the next word behind the p predictive vectors of this one. With p = 1 it
 * is a hierarchical transformer whose widths are equal and whose projections are left out.
 */
import type { ModelConfig } from "../../checkpoint/text-config.ts";
import type { WordRule } from "../byte/split-words.ts";
import { wordModelFile } from "../byte/word-config.ts";

/** Sizes of a word-pooled model. */
export interface WordPooledOptions {
  /** Width of all three stacks. */
  hiddenSize: number;
  /** Layers of the backbone. */
  layers: number;
  heads: number;
  /** Vectors of a word, the paper's p. Default 4. */
  prefixes?: number;
  /** Layers of the encoder and of the decoder. Default 2. */
  localLayers?: number;
  /** Heads within words. Default: `heads`. */
  localHeads?: number;
  /** Where words end. Default `"unicode"`. */
  rule?: WordRule;
  /** Longer words are cut; the paper's canvas. Default 24. */
  maxWordBytes?: number;
  /** Longest sequence in tokens, bytes and word ends. Default 2048. */
  contextLength?: number;
}

/**
 * The `config.json` of a word-pooled model.
 *
 * @example
 * const config = wordPooledConfig({ hiddenSize: 128, layers: 4, heads: 4, prefixes: 2 });
 */
export function wordPooledConfig(options: WordPooledOptions): ModelConfig {
  const { hiddenSize: localSize, prefixes = 4, localLayers = 2 } = options;
  return wordModelFile("word-pooled", { ...options, localSize, localLayers, prefixes });
}
