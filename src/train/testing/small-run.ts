/** Runs that train within a second, and what is read of them. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll } from "vitest";
import type { ModelConfig } from "../../checkpoint/index.ts";
import { createRandom } from "../../core/index.ts";
import { saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import type { TrainLanguageModelOptions } from "../language-model-options.ts";
import type { LogEntry } from "../run/run-folder.ts";

export let root = "";
export let tokenizer = "";
export let corpora: TrainLanguageModelOptions["corpora"] = [];

const words = "the cat dog sat ran on under a mat tree and then it saw green hills far away".split(
  " ",
);

export function prose(seed: number, sentences: number): string {
  const random = createRandom(seed, "prose");
  const sentence = (): string =>
    Array.from({ length: 4 + random.integer(6) }, () => words[random.integer(words.length)]).join(
      " ",
    );
  return Array.from({ length: sentences }, () => `${sentence()}.`).join("\n");
}

/** `config.json` of a model that trains in seconds. */
export const smallConfig: ModelConfig = {
  model_type: "llama",
  hidden_size: 16,
  intermediate_size: 32,
  num_attention_heads: 2,
  num_hidden_layers: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
  tie_word_embeddings: true,
};

export function optionsFor(
  name: string,
  more: Partial<TrainLanguageModelOptions> = {},
): TrainLanguageModelOptions & { checkpointEvery: number } {
  return {
    folder: join(root, name),
    config: smallConfig,
    tokenizer,
    corpora,
    steps: 30,
    batch: 4,
    sequenceLength: 24,
    threads: 2,
    seed: 3,
    checkpointEvery: 10,
    dtype: "F32",
    name: "tiny",
    ...more,
  } satisfies TrainLanguageModelOptions;
}

export function weightsDigest(name: string): string {
  const bytes = readFileSync(join(root, name, "model/model.safetensors"));
  return createHash("sha256").update(bytes).digest("hex");
}

export function readLog(name: string): LogEntry[] {
  const lines = readFileSync(join(root, name, "log.jsonl"), "utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line) => JSON.parse(line) as LogEntry);
}

/** A folder with a tokenizer and two corpora for the tests of a file. */
export function useSmallCorpora(): void {
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "jeton-train-"));
    const lines = Array.from({ length: 40 }, (_, i) => JSON.stringify({ text: prose(i, 3) }));
    writeFileSync(join(root, "stories.jsonl.gz"), gzipSync(lines.join("\n")));
    writeFileSync(join(root, "book.txt"), prose(99, 120));
    tokenizer = join(root, "tokenizer");
    const trained = await trainTokenizer({
      kind: "byte-level-bpe",
      texts: [prose(1, 50)],
      vocabSize: 300,
      specialTokens: ["<|endoftext|>"],
    });
    await saveTokenizer(tokenizer, trained);
    const settings = { eos_token: "<|endoftext|>" };
    writeFileSync(join(tokenizer, "tokenizer_config.json"), JSON.stringify(settings));
    corpora = [
      { files: [join(root, "stories.jsonl.gz")], weight: 2 },
      { files: [join(root, "book.txt")] },
    ];
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));
}
