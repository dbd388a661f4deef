import { describe, expect, test } from "vitest";
import type { ModelConfig } from "../../checkpoint/index.ts";
import type { JetonError } from "../../core/index.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { createTokenizer, loadTokenizer, type Tokenizer } from "../../tokenizer/index.ts";
import { resolveModelConfig } from "./model-config.ts";

const sizes: ModelConfig = {
  model_type: "llama",
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
};

const tokenizer = await loadTokenizer(bundledModel);

function resolve(fields: object, of: Tokenizer = tokenizer) {
  const warnings: JetonError[] = [];
  const config = resolveModelConfig({ ...sizes, ...fields }, of, {
    onWarning: (warning) => warnings.push(warning),
  });
  return { config, warnings: warnings.map(({ code, details }) => ({ code, ...details })) };
}

describe("the configuration of a model to train", () => {
  test("takes vocabulary, BOS and EOS from the tokenizer", () => {
    const { config, warnings } = resolve({});
    const start = tokenizer.bosTokenId ?? tokenizer.eosTokenId;
    expect(config).toMatchObject({
      vocab_size: tokenizer.vocabSize,
      bos_token_id: start,
      eos_token_id: tokenizer.eosTokenId ?? start,
    });
    expect(warnings).toEqual([]);
  });

  test("warns of rows that no token reaches", () => {
    const { config, warnings } = resolve({ vocab_size: tokenizer.vocabSize + 24 });
    expect(config["vocab_size"]).toBe(tokenizer.vocabSize + 24);
    expect(warnings).toEqual([
      {
        code: "train-rows-unused",
        found: tokenizer.vocabSize + 24,
        expected: tokenizer.vocabSize,
        rows: 24,
      },
    ]);
  });

  test("warns of an end that training never shows", () => {
    const { config, warnings } = resolve({ eos_token_id: 5 });
    expect(config["eos_token_id"]).toBe(5);
    const expected = tokenizer.eosTokenId;
    expect(warnings).toEqual([
      { code: "train-special-token-unused", field: "eos_token_id", found: 5, expected },
    ]);
    expect(resolve({ eos_token_id: [5, expected] }).warnings).toEqual([]);
    expect(resolve({ eos_token_id: null }).warnings).toEqual([]);
  });

  test("warns of documents that nothing separates", () => {
    const bare = createTokenizer({
      model: { type: "WordLevel", vocab: { a: 0, b: 1, "[UNK]": 2 }, unk_token: "[UNK]" },
    });
    const { config, warnings } = resolve({}, bare);
    expect(config).not.toHaveProperty("eos_token_id");
    expect(warnings.map(({ code }) => code)).toEqual(["train-documents-unseparated"]);
  });

  test("refuses what cannot be", () => {
    expect(() => resolve({ vocab_size: tokenizer.vocabSize - 1 })).toThrowCode(
      "train-vocabulary-too-small",
    );
    for (const id of [tokenizer.vocabSize, -1, 1.5, "</s>"]) {
      expect(() => resolve({ eos_token_id: id })).toThrowCode("train-special-token-missing");
      expect(() => resolve({ bos_token_id: id })).toThrowCode("train-special-token-missing");
    }
  });
});
