/** A random checkpoint over bytes, for tests. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { boundaryToken, byteTokenizerJson } from "./byte-tokenizer.ts";

export interface ByteCheckpointOptions {
  /** Default 512. */
  readonly contextLength?: number;
  /** Default 64. */
  readonly width?: number;
  /** Default 2. */
  readonly layers?: number;
  /** Default: no chat template. */
  readonly chatTemplate?: string;
}

/** Writes a Llama checkpoint with random weights and a byte-level tokenizer. */
export function createByteCheckpoint(folder: string, options: ByteCheckpointOptions = {}): void {
  const { contextLength = 512, width = 64, layers = 2, chatTemplate } = options;
  createRandomCheckpoint(folder, { family: "llama", seed: 5, vocabulary: 257, width, layers });
  writeFileSync(join(folder, "tokenizer.json"), byteTokenizerJson());
  const tokenizerConfig = {
    eos_token: boundaryToken.content,
    ...(chatTemplate !== undefined && { chat_template: chatTemplate }),
  };
  writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(tokenizerConfig));
  const path = join(folder, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8"));
  const changed = {
    ...config,
    max_position_embeddings: contextLength,
    bos_token_id: boundaryToken.id,
    eos_token_id: boundaryToken.id,
  };
  writeFileSync(path, JSON.stringify(changed));
  const special = { bos_token_id: boundaryToken.id, eos_token_id: boundaryToken.id };
  writeFileSync(join(folder, "generation_config.json"), JSON.stringify(special));
}
