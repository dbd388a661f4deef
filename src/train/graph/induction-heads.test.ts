import { expect, test } from "vitest";
import type { ModelConfig } from "../../checkpoint/index.ts";
import { createRandom } from "../../core/index.ts";
import { decoderConfig } from "../../model/index.ts";
import { referenceForward } from "../../testing/reference-decoder.ts";
import { initializeDecoder } from "./parameters.ts";

const vocabulary = 200;
const shape = {
  model_type: "llama",
  vocab_size: vocabulary,
  hidden_size: 256,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 64,
  max_position_embeddings: 512,
  rope_theta: 1_000_000,
  rms_norm_eps: 1e-5,
  hidden_act: "silu",
  tie_word_embeddings: false,
};
const identity = { deviation: 0.05, headDeviation: 0.02, outputDeviation: 0 };

/** How often the most probable token is the right one, in the second half of `a b a b`-like sequences. */
function shareCopied(inductionHeads: boolean, length: number): number {
  const parameters = initializeDecoder(decoderConfig(shape as unknown as ModelConfig), 5, {
    ...identity,
    inductionHeads,
  });
  const tensors = new Map(
    [...parameters].map(([name, value]) => [
      name,
      { dtype: "F32" as const, shape: [...value.shape], data: Float64Array.from(value.data) },
    ]),
  );
  const random = createRandom(7, "passage");
  const passage = Array.from({ length }, () => random.integer(vocabulary));
  const ids = [...passage, ...passage];
  const logits = referenceForward(shape, tensors, ids);
  let right = 0;
  // Two tokens of the second half are needed to know the place.
  for (let at = length + 1; at < 2 * length - 1; at++) {
    const row = logits.subarray(at * vocabulary, (at + 1) * vocabulary);
    if (row.indexOf(Math.max(...row)) === ids[at + 1]) right++;
  }
  return right / (length - 2);
}

test("a passage of tokens that the model has never seen is copied before any training", () => {
  expect(shareCopied(true, 100)).toBeGreaterThan(0.95);
  expect(shareCopied(false, 100)).toBeLessThan(0.1);
});

test.each([
  ["tied tables", { tie_word_embeddings: true }],
  ["one layer", { num_hidden_layers: 1 }],
  ["one key head", { num_key_value_heads: 1 }],
  ["narrow heads", { head_dim: 16 }],
  ["a narrow residual stream", { hidden_size: 64, head_dim: 64 }],
  ["norms of queries", { model_type: "qwen3" }],
])("%s cannot hold induction heads", (_, change) => {
  const config = decoderConfig({ ...shape, ...change } as unknown as ModelConfig);
  expect(() => initializeDecoder(config, 1, { ...identity, inductionHeads: true })).toThrow(
    expect.objectContaining({
      code: "option-invalid",
      details: expect.objectContaining({ option: "inductionHeads" }),
    }),
  );
});
