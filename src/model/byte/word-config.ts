/**
 * From a `config.json` to the description of a model of words: a local encoder that makes vectors of each
 * word's bytes, a backbone over words, and a local decoder that writes the next word's bytes.
 */
import type { ModelConfig } from "../../checkpoint/text-config.ts";
import { type DecoderConfig, decoderConfig } from "../decoder/config.ts";
import { type Fields, given, invalid, positive } from "../decoder/config-fields.ts";
import { byteVocabSize, documentId } from "./byte-vocabulary.ts";
import { checkWordRule, type WordRule } from "./split-words.ts";

/** Values of `model_type` that `wordModelConfig` understands. */
export const wordFamilies = ["word-pooled", "hierarchical-transformer"] as const;

/** A family of models of words. */
export type WordFamily = (typeof wordFamilies)[number];

/** Everything about a model of words that is not a weight. */
export interface WordModelConfig {
  readonly family: WordFamily;
  /** Layers within a word, bidirectional. */
  readonly encoder: DecoderConfig;
  /** Layers over words, causal. */
  readonly backbone: DecoderConfig;
  /** Layers within the next word, causal. */
  readonly decoder: DecoderConfig;
  /** Vectors that stand for a word in the backbone: p of word-pooled, 1 of the hierarchical transformer. */
  readonly prefixes: number;
  /** Whether matrices lead from the local hidden size to the backbone's and back. */
  readonly isProjected: boolean;
  /** Longer words are cut. */
  readonly maxWordBytes: number;
  /** Where words end. */
  readonly rule: WordRule;
  /** Longest sequence in tokens: bytes and word ends. */
  readonly contextLength: number;
}

const defaults: Readonly<Record<WordFamily, Fields>> = {
  "word-pooled": {
    num_word_prefixes: 4,
    num_encoder_layers: 2,
    num_decoder_layers: 2,
    local_num_attention_heads: 4,
  },
  "hierarchical-transformer": {
    num_word_prefixes: 1,
    num_encoder_layers: 1,
    num_decoder_layers: 1,
  },
};

/** Whether a `config.json` describes a model of words. */
export function isWordModel(file: ModelConfig): boolean {
  return (wordFamilies as readonly unknown[]).includes(file["model_type"]);
}

/**
 * Describes the model of a `config.json`: sizes of the backbone under the usual keys, and besides
 * `local_hidden_size`, `local_intermediate_size`, `local_num_attention_heads`, `num_encoder_layers`,
 * `num_decoder_layers`, `num_word_prefixes`, `max_word_bytes` (default 24) and `word_rule` (default
 * `"unicode"`).
 *
 * @throws JetonError `model-config-invalid`, `word-rule-invalid`
 */
export function wordModelConfig(file: ModelConfig): WordModelConfig {
  const family = file["model_type"] as WordFamily;
  const fields: Fields = { max_word_bytes: 24, word_rule: "unicode", ...defaults[family], ...file };
  const count = (name: string): number => positive(fields, name, Number.isSafeInteger);
  const backbone = stack(fields, {
    hidden_size: count("hidden_size"),
    num_hidden_layers: count("num_hidden_layers"),
    num_attention_heads: count("num_attention_heads"),
    num_key_value_heads: fields["num_key_value_heads"],
    intermediate_size: count("intermediate_size"),
  });
  const width = given(fields["local_hidden_size"])
    ? count("local_hidden_size")
    : backbone.hiddenSize;
  const isPooled = family === "word-pooled";
  if (isPooled && width !== backbone.hiddenSize) {
    throw invalid("local_hidden_size", width, `hidden_size, ${backbone.hiddenSize}`);
  }
  const local = (layers: string): DecoderConfig =>
    stack(fields, {
      hidden_size: width,
      num_hidden_layers: count(layers),
      num_attention_heads: given(fields["local_num_attention_heads"])
        ? count("local_num_attention_heads")
        : backbone.numAttentionHeads,
      intermediate_size: given(fields["local_intermediate_size"])
        ? count("local_intermediate_size")
        : feedForwardSize(width),
    });
  const prefixes = count("num_word_prefixes");
  if (!isPooled && prefixes !== 1) throw invalid("num_word_prefixes", prefixes, "1");
  const vocabSize = fields["vocab_size"] ?? byteVocabSize;
  if (vocabSize !== byteVocabSize) throw invalid("vocab_size", vocabSize, `${byteVocabSize}`);
  const maxWordBytes = count("max_word_bytes");
  const rule = fields["word_rule"] as WordRule;
  checkWordRule(rule, maxWordBytes);
  return {
    family,
    backbone,
    encoder: local("num_encoder_layers"),
    decoder: local("num_decoder_layers"),
    prefixes,
    isProjected: !isPooled,
    maxWordBytes,
    rule,
    contextLength: backbone.contextLength,
  };
}

/** Eight thirds of a hidden size, as in Llama, in whole vectors of 32. */
function feedForwardSize(width: number): number {
  return 32 * Math.ceil((8 * width) / 3 / 32);
}

/** Sizes of a model of words, as its `config.json` is made from them. */
export interface WordModelSizes {
  /** Hidden size of the backbone. */
  readonly hiddenSize: number;
  /** Hidden size within words. */
  readonly localSize: number;
  /** Layers of the backbone. */
  readonly layers: number;
  /** Layers of the encoder and of the decoder. */
  readonly localLayers: number;
  readonly heads: number;
  /** Heads within words. Default: `heads`. */
  readonly localHeads?: number | undefined;
  /** Vectors of a word. */
  readonly prefixes: number;
  /** Default `"unicode"`. */
  readonly rule?: WordRule | undefined;
  /** Default 24. */
  readonly maxWordBytes?: number | undefined;
  /** Default 2048. */
  readonly contextLength?: number | undefined;
}

/** The `config.json` of a model of words, which `wordModelConfig` reads. */
export function wordModelFile(family: WordFamily, sizes: WordModelSizes): ModelConfig {
  const { hiddenSize, localSize, layers, localLayers, heads, prefixes } = sizes;
  const { localHeads = heads, rule = "unicode", maxWordBytes = 24, contextLength = 2048 } = sizes;
  return {
    model_type: family,
    vocab_size: byteVocabSize,
    hidden_size: hiddenSize,
    intermediate_size: feedForwardSize(hiddenSize),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    max_position_embeddings: contextLength,
    local_hidden_size: localSize,
    local_intermediate_size: feedForwardSize(localSize),
    local_num_attention_heads: localHeads,
    num_encoder_layers: localLayers,
    num_decoder_layers: localLayers,
    num_word_prefixes: prefixes,
    max_word_bytes: maxWordBytes,
    word_rule: typeof rule === "string" ? rule : { ...rule },
    bos_token_id: documentId,
    eos_token_id: documentId,
  };
}

/** One stack of layers, in the terms of a decoder. */
function stack(fields: Fields, sizes: Record<string, unknown>): DecoderConfig {
  return decoderConfig({
    model_type: "llama",
    vocab_size: byteVocabSize,
    rms_norm_eps: fields["rms_norm_eps"] ?? 1e-5,
    rope_theta: fields["rope_theta"] ?? 10_000,
    max_position_embeddings: fields["max_position_embeddings"] ?? 2048,
    hidden_act: "silu",
    tie_word_embeddings: false,
    bos_token_id: documentId,
    eos_token_id: documentId,
    ...sizes,
  } as unknown as ModelConfig);
}
