/** Checkpoints of small models of words with random weights. */
import { join } from "node:path";
import type { ModelConfig } from "../../../checkpoint/index.ts";
import { writeByteTokenizer } from "../../../train/data/byte-tokenizer.ts";
import { exportModel, initializeWordModel } from "../../../train/index.ts";
import { wordModelConfig } from "../word-config.ts";

/** `config.json` of a model with two layers over words and one in each local part. */
export function smallWordConfig(family: string, more: Record<string, unknown> = {}): ModelConfig {
  return {
    model_type: family,
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    max_position_embeddings: 256,
    local_hidden_size: family === "word-pooled" ? 16 : 8,
    local_intermediate_size: 12,
    local_num_attention_heads: 2,
    num_encoder_layers: 1,
    num_decoder_layers: 2,
    num_word_prefixes: family === "word-pooled" ? 3 : 1,
    max_word_bytes: 12,
    vocab_size: 256,
    bos_token_id: 193,
    eos_token_id: 193,
    ...more,
  } as unknown as ModelConfig;
}

/** Writes a checkpoint whose predictions differ clearly from place to place. */
export async function writeSmallWordModel(
  folder: string,
  config: ModelConfig,
  seed = 1,
): Promise<string> {
  const tokenizer = join(folder, "tokenizer");
  await writeByteTokenizer(tokenizer);
  const parameters = initializeWordModel(wordModelConfig(config), seed, {
    deviation: 0.4,
    outputDeviation: 0.4,
    embeddingDeviation: 1,
  });
  const model = join(folder, "model");
  await exportModel(model, { config, parameters, tokenizer, dtype: "F32", card: "# test\n" });
  return model;
}
