import { expect, test } from "vitest";
import { decoderConfig, promptMemory } from "../../model/index.ts";
import { describePromptMemory } from "./prompt-memory.ts";

const memory = { cache: 600e6, pass: 200e6 };

test("a large prompt is stated, a small one is not", () => {
  const plenty = { total: 16e9, available: 8e9 };
  expect(describePromptMemory(16384, memory, plenty)).toEqual({
    line: "a prompt of 16384 tokens takes about 800 MB of memory (cache 600 MB, a pass up to 200 MB); 8.00 GB are free",
    isWarning: false,
  });
  expect(describePromptMemory(9, { cache: 1e6, pass: 1e6 }, plenty)).toEqual({ isWarning: false });
});

test("one that exceeds what is free is a warning, one that exceeds the machine is refused", () => {
  const { line, isWarning } = describePromptMemory(16384, memory, { total: 2e9, available: 1e8 });
  expect([isWarning, line]).toEqual([true, expect.stringContaining("only 100 MB are free")]);
  expect(() => describePromptMemory(16384, memory, { total: 5e8, available: 1e8 })).toThrow(
    expect.objectContaining({ code: "prompt-memory-exceeded" }),
  );
});

test("the cache of SmolLM2-135M's shape, by hand", () => {
  const config = decoderConfig({
    model_type: "llama",
    vocab_size: 49152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
  } as never);
  // 30 layers, keys and values, 3 heads of 64, 2 bytes each: 23,040 a token.
  expect(promptMemory({ config, format: "int8" }, 16384).cache).toBe(23_040 * 16384);
  expect(promptMemory({ config, format: "f32" }, 16384).cache).toBe(46_080 * 16384);
});
