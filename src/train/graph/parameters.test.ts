import { expect, test } from "vitest";
import { decoderConfig, decoderNames } from "../../model/index.ts";
import { initializeDecoder } from "./parameters.ts";

const config = decoderConfig({
  model_type: "llama",
  vocab_size: 300,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  tie_word_embeddings: false,
} as never);

function deviation(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

test("every part of the model spreads as it is told to, and no other", () => {
  const told = { deviation: 0.05, embeddingDeviation: 1, headDeviation: 0.01, outputDeviation: 0 };
  const values = initializeDecoder(config, 1, told);
  const of = (name: string): number => deviation(values.get(name)!.data);
  const layer = decoderNames.layer(1);
  expect(of(decoderNames.embedding)).toBeCloseTo(1, 1);
  expect(of(decoderNames.head)).toBeCloseTo(0.01, 3);
  expect(of(`${layer}.self_attn.q_proj.weight`)).toBeCloseTo(0.05, 2);
  expect(of(`${layer}.mlp.up_proj.weight`)).toBeCloseTo(0.05, 2);
  expect(of(`${layer}.self_attn.o_proj.weight`)).toBe(0);
  expect(of(`${layer}.mlp.down_proj.weight`)).toBe(0);
  expect(of(decoderNames.finalNorm)).toBe(1);
});

test("without being told: 0.02, and less where layers write", () => {
  const values = initializeDecoder(config, 1);
  const of = (name: string): number => deviation(values.get(name)!.data);
  expect(of(decoderNames.embedding)).toBeCloseTo(0.02, 3);
  expect(of(decoderNames.head)).toBeCloseTo(0.02, 3);
  expect(of(`${decoderNames.layer(0)}.self_attn.o_proj.weight`)).toBeCloseTo(0.01, 3);
});

test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])("a deviation of %d is refused", (found) => {
  expect(() => initializeDecoder(config, 1, { headDeviation: found })).toThrow(
    expect.objectContaining({
      code: "option-invalid",
      details: expect.objectContaining({ found }),
    }),
  );
});
