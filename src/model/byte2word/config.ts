/** From a `config.json` to the description of a byte2word encoder. */
import type { ModelConfig } from "../../checkpoint/text-config.ts";
import { type Fields, given, invalid, positive } from "../decoder/config-fields.ts";
import { type EncoderConfig, encoderConfig } from "../encoder/config.ts";

/** Everything about a byte2word encoder that is not a weight. */
export interface Byte2WordConfig {
  /** Layers over words, as in BERT; its table of tokens is not used. */
  readonly encoder: EncoderConfig;
  /** Width of the embeddings of bytes, the paper's d_b. */
  readonly byteSize: number;
  /** Heads of the pooling attention. */
  readonly poolingHeads: number;
  /** Bytes of a word; longer ones are cut into several. The paper's l_max. */
  readonly maxWordBytes: number;
  /** Pieces of the target vocabulary that a word may have, its end included. */
  readonly maxWordPieces: number;
  /** Pieces that masked words are predicted in; needed in training only. */
  readonly pieceVocabSize: number;
  /** What a word is made of: its bytes, or pieces of the target vocabulary (a baseline). */
  readonly units: "bytes" | "pieces";
  /** How a word's bytes become its vector: attention of a learned query, or their mean (a baseline). */
  readonly pooling: "attention" | "mean";
  /** Names of the classes of a classification head, by index; empty without one. */
  readonly labels: readonly string[];
  /** Longest text in words, `[CLS]` and `[SEP]` included. */
  readonly contextLength: number;
}

/** Whether a `config.json` describes a byte2word encoder. */
export function isByte2Word(file: ModelConfig): boolean {
  return file["model_type"] === "byte2word";
}

/**
 * Describes the encoder of a `config.json`: BERT's keys, and `byte_size` (default `hidden_size`),
 * `pooling_heads` (default `num_attention_heads`), `max_word_bytes` (32), `max_word_pieces` (8), `units`
 * (`"bytes"`), `pooling` (`"attention"`) and `labels` (none). `vocab_size` is that of the target pieces.
 *
 * @throws JetonError `model-config-invalid`
 */
export function byte2WordConfig(file: ModelConfig): Byte2WordConfig {
  const fields: Fields = {
    max_word_bytes: 32,
    max_word_pieces: 8,
    pooling: "attention",
    units: "bytes",
    ...file,
  };
  const count = (name: string): number => positive(fields, name, Number.isSafeInteger);
  const encoder = encoderConfig({
    ...file,
    model_type: "bert",
    vocab_size: 1,
    type_vocab_size: 0,
    layer_norm_eps: fields["layer_norm_eps"] ?? 1e-12,
  } as unknown as ModelConfig);
  const poolingHeads = given(fields["pooling_heads"])
    ? count("pooling_heads")
    : encoder.numAttentionHeads;
  if (encoder.hiddenSize % poolingHeads !== 0) {
    throw invalid("pooling_heads", poolingHeads, `a divisor of ${encoder.hiddenSize}`);
  }
  const { pooling, units, labels = [] } = fields;
  if (units !== "bytes" && units !== "pieces") {
    throw invalid("units", units, '"bytes" or "pieces"');
  }
  if (pooling !== "attention" && pooling !== "mean") {
    throw invalid("pooling", pooling, '"attention" or "mean"');
  }
  if (!Array.isArray(labels) || labels.some((label) => typeof label !== "string")) {
    throw invalid("labels", labels, "a list of names");
  }
  return {
    encoder,
    byteSize: given(fields["byte_size"]) ? count("byte_size") : encoder.hiddenSize,
    poolingHeads,
    maxWordBytes: count("max_word_bytes"),
    maxWordPieces: count("max_word_pieces"),
    pieceVocabSize: count("vocab_size"),
    units,
    pooling,
    labels: labels as string[],
    contextLength: encoder.contextLength,
  };
}
