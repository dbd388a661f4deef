import { describe, expect, test } from "vitest";
import { encoderConfig } from "../../model/index.ts";
import { openArchitecture } from "../architectures.ts";
import { planEncoder } from "./encoder-plans.ts";

const sizes = {
  ...{ vocab_size: 64, hidden_size: 16, intermediate_size: 24 },
  ...{ num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 2 },
};

describe.each([
  { model_type: "eurobert", ...sizes },
  { model_type: "gemma3_text", ...sizes, head_dim: 8, use_bidirectional_attention: true },
  { model_type: "qwen2", ...sizes, is_causal: false },
])("an encoder over a decoder's layers is not trained: $model_type", (file) => {
  const refused = expect.objectContaining({
    code: "model-family-unknown",
    message: expect.stringContaining(file.model_type),
  });

  test("by masked tokens", () => {
    expect(() => openArchitecture(file as never)).toThrow(refused);
  });

  test("for vectors", () => {
    const config = encoderConfig(file as never);
    const plan = () => planEncoder(config, { objective: { kind: "contrastive" } });
    expect(plan).toThrow(refused);
  });
});
