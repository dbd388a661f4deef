/** Families without files of expected values, against the float64 program of `testing/reference-encoder.ts`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type ModelConfig, writeShardedSafetensors } from "../../checkpoint/index.ts";
import { createRandom } from "../../core/index.ts";
import { activate } from "../../testing/reference-activation.ts";
import {
  encodeReference,
  linear,
  norm,
  ReferenceWeights,
} from "../../testing/reference-encoder/reference-encoder.ts";
import { referenceEncoders } from "../../testing/reference-encoder/reference-encoder-families.ts";
import { saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { modelKind } from "../model-kind.ts";
import type { WeightFormat } from "../types.ts";
import { encoderConfig } from "./config.ts";
import { loadEncoder } from "./load-encoder.ts";
import { encoderParameterShapes } from "./parameter-shapes.ts";

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

const texts = [9, 23, 2].map((length) => {
  const random = createRandom(length, "text");
  return Array.from({ length }, () => 5 + random.integer(90));
});

async function writeFolder(
  config: Record<string, unknown>,
  weights: ReferenceWeights,
  rename: (name: string) => string = (name) => name,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "jeton-family-"));
  made.push(folder);
  const tensors = [...weights.tensors].map(([name, { shape, data }]) => ({
    name: rename(name),
    dtype: "F32" as const,
    shape,
    data,
  }));
  await writeShardedSafetensors(folder, tensors);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  await saveTokenizer(
    folder,
    await trainTokenizer({ kind: "wordpiece", texts: ["a b c"], vocabSize: 20 }),
  );
  return folder;
}

function difference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length);
  return Array.from(expected).reduce(
    (most, value, at) => Math.max(most, Math.abs(value - found[at]!)),
    0,
  );
}

describe.each(Object.keys(referenceEncoders))("%s", (name) => {
  test("states equal those of the float64 program, alone and beside others", async () => {
    const { config, plan } = referenceEncoders[name]!();
    const weights = new ReferenceWeights(7);
    const expected = texts.map((ids) => encodeReference(plan, weights, ids));
    const folder = await writeFolder(config, weights);
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const run = (ids: number[]) => model.run({ ids, outputs: ["states"] });
    const together = await Promise.all(texts.map(run));
    for (const [index, ids] of texts.entries()) {
      const wanted = expected[index]!.flatMap((x) => [...x]);
      expect(difference(together[index]!.states!.data, wanted)).toBeLessThan(1e-4);
      expect(await run(ids)).toEqual(together[index]);
    }
  });

  test.each<WeightFormat>(["int8", "int8-channel", "int4"])(
    "%s: neighbours change nothing",
    async (format) => {
      const { config, plan } = referenceEncoders[name]!();
      const weights = new ReferenceWeights(8);
      encodeReference(plan, weights, texts[1]!);
      const folder = await writeFolder(config, weights);
      await using model = await loadEncoder(folder, { inline: true, threads: 1, format });
      const run = (ids: number[]) => model.run({ ids, outputs: ["states"] });
      const together = await Promise.all(texts.map(run));
      for (const [index, ids] of texts.entries()) expect(await run(ids)).toEqual(together[index]);
    },
  );
});

describe("heads", () => {
  const classes = ["O", "B-X", "I-X"];
  const id2label = Object.fromEntries(classes.map((label, id) => [id, label]));

  test("classes of tokens under names of TensorFlow, gamma and beta", async () => {
    const { plan, config } = referenceEncoders["roberta"]!();
    const weights = new ReferenceWeights(9);
    const [ids] = texts;
    const states = encodeReference(plan, weights, ids!);
    const expected = states.flatMap((x) => [...linear(weights, "classifier", x, 3, true)]);
    const architectures = ["RobertaForTokenClassification"];
    const folder = await writeFolder({ ...config, architectures, id2label }, weights, (stored) =>
      stored
        .replace(/LayerNorm\.weight$/, "LayerNorm.gamma")
        .replace(/LayerNorm\.bias$/, "LayerNorm.beta"),
    );
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const { tokens } = await model.run({ ids: ids!, outputs: ["tokens"] });
    expect(difference(tokens!.data, expected)).toBeLessThan(5e-4);
  });

  // T5ForTokenClassification of transformers 5.18.0.
  test("T5's classes of tokens, with the class's name in front of the encoder", async () => {
    const sizes = { vocab_size: 96, d_model: 32, d_kv: 8, d_ff: 40, num_layers: 2, num_heads: 4 };
    const config = { model_type: "t5", ...sizes, architectures: ["T5EncoderModel"] };
    const weights = new ReferenceWeights(16);
    const shapes = encoderParameterShapes(encoderConfig(config as never));
    for (const [name, shape] of shapes) weights.get(name, ...shape);
    const options = { inline: true, threads: 1, format: "f32" } as const;
    await using plain = await loadEncoder(await writeFolder(config, weights), options);
    const { states } = await plain.run({ ids: texts[0]!, outputs: ["states"] });
    const rowOf = (at: number) => states!.data.subarray(at * 32, (at + 1) * 32);
    const expected = texts[0]!.flatMap((_, at) => [
      ...linear(weights, "classifier", Float64Array.from(rowOf(at)), 3, true),
    ]);
    const architectures = ["T5ForTokenClassification"];
    const folder = await writeFolder({ ...config, architectures, id2label }, weights, (stored) =>
      stored.startsWith("classifier.") ? stored : `transformer.${stored}`,
    );
    expect(modelKind({ ...config, architectures } as never)).toBe("encoder");
    await using model = await loadEncoder(folder, options);
    const { tokens } = await model.run({ ids: texts[0]!, outputs: ["tokens"] });
    expect(difference(tokens!.data, expected)).toBeLessThan(5e-4);
  });

  test("DeBERTa's pooler and classes, and spans", async () => {
    const { plan, config } = referenceEncoders["deberta-v2 with buckets"]!();
    const weights = new ReferenceWeights(10);
    const [ids] = texts;
    const states = encodeReference(plan, weights, ids!);
    const dense = linear(weights, "deberta.pooler.dense", states[0]!, 32, true);
    const pooled = dense.map((value) => activate(value, "gelu"));
    // ContextPooler belongs to the class with the head, whose names have no prefix.
    const own = new ReferenceWeights(10);
    for (const [name, tensor] of weights.tensors)
      own.tensors.set(name.replace("deberta.pooler", "pooler"), tensor);
    const expected = linear(own, "classifier", pooled, 3, true);
    const architectures = ["DebertaV2ForSequenceClassification"];
    const folder = await writeFolder({ ...config, architectures, id2label }, own);
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const { sequence } = await model.run({ ids: ids!, outputs: ["sequence"] });
    expect(difference(sequence!.data, expected)).toBeLessThan(5e-4);
  });

  test("ALBERT's masked tokens read the narrow table", async () => {
    const { plan, config } = referenceEncoders["albert"]!();
    const weights = new ReferenceWeights(11);
    const [ids] = texts;
    const states = encodeReference(plan, weights, ids!);
    const dense = linear(weights, "predictions.dense", states[3]!, 16, true);
    const active = dense.map((value) => activate(value, "gelu-tanh"));
    const x = norm(weights, "predictions.LayerNorm", active, 1e-12);
    const table = weights.get("albert.embeddings.word_embeddings.weight", 96, 16);
    const bias = weights.get("predictions.bias", 96);
    const expected = Float64Array.from(bias, (shift, id) =>
      x.reduce((sum, value, at) => sum + value * table[id * 16 + at]!, shift),
    );
    const folder = await writeFolder({ ...config, architectures: ["AlbertForMaskedLM"] }, weights);
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const { masked } = await model.run({ ids: ids!, outputs: ["masked"], rows: [3] });
    expect(difference(masked!.data, expected)).toBeLessThan(5e-4);
  });

  test("a stored output matrix and bias count before the tied ones", async () => {
    const { plan, config } = referenceEncoders["roberta"]!();
    const weights = new ReferenceWeights(12);
    const [ids] = texts;
    const states = encodeReference(plan, weights, ids!);
    const dense = linear(weights, "lm_head.dense", states[3]!, 32, true);
    const active = dense.map((value) => activate(value, "gelu"));
    const x = norm(weights, "lm_head.layer_norm", active, 1e-5);
    weights.get("lm_head.bias", 96);
    const expected = linear(weights, "lm_head.decoder", x, 96, true);
    const folder = await writeFolder(
      { ...config, architectures: ["RobertaForMaskedLM"], tie_word_embeddings: true },
      weights,
    );
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const { masked } = await model.run({ ids: ids!, outputs: ["masked"], rows: [3] });
    expect(difference(masked!.data, expected)).toBeLessThan(5e-4);
  });

  test("nomic-bert's masked tokens: silu, layer_norm, no biases", async () => {
    const { plan, config } = referenceEncoders["nomic_bert"]!();
    const weights = new ReferenceWeights(13);
    const [ids] = texts;
    const states = encodeReference(plan, weights, ids!);
    const predictions = "cls.predictions";
    const dense = linear(weights, `${predictions}.transform.dense`, states[3]!, 32, false);
    const active = dense.map((value) => activate(value, "silu"));
    const x = norm(weights, `${predictions}.transform.layer_norm`, active, 1e-12);
    const expected = linear(weights, `${predictions}.decoder`, x, 96, false);
    const architectures = ["NomicBertForPreTraining"];
    const folder = await writeFolder({ ...config, architectures }, weights);
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const { masked } = await model.run({ ids: ids!, outputs: ["masked"], rows: [3] });
    expect(difference(masked!.data, expected)).toBeLessThan(5e-4);
  });

  test("DeBERTa's heads of another width than the hidden size gives them are refused", () => {
    const { config } = referenceEncoders["deberta-v2 with buckets"]!();
    const file = (size: number) => ({ ...config, attention_head_size: size }) as ModelConfig;
    expect(() => encoderConfig(file(8))).not.toThrow();
    expect(() => encoderConfig(file(16))).toThrow(
      expect.objectContaining({ code: "model-config-invalid" }),
    );
  });

  // NomicBertAttention and compute_default_rope_parameters of transformers 5.18.0.
  test("nomic-bert's class reads head_dim, and no partial_rotary_factor", () => {
    const { config } = referenceEncoders["nomic_bert of transformers"]!();
    const rope = { rope_type: "default", rope_theta: 1000, partial_rotary_factor: 0.5 };
    const file = { ...config, head_dim: 16, rope_parameters: rope } as ModelConfig;
    const { headDim, ropes, attentionScale } = encoderConfig(file);
    expect([headDim, ropes[0]!.rotaryDim, attentionScale]).toEqual([16, 16, 0.25]);
  });

  // DisentangledSelfAttention of transformers 5.18.0: scale_factor counts what pos_att_type names.
  test("DeBERTa divides scores by the parts that are named, also without relative attention", () => {
    const { config } = referenceEncoders["deberta-v2 with buckets"]!();
    for (const [kinds, parts] of [
      ["p2c|c2p", 3],
      [["c2p"], 2],
      [undefined, 1],
    ] as const) {
      const own = { relative_attention: false, pos_att_type: kinds };
      const { attentionScale, headDim } = encoderConfig({ ...config, ...own } as ModelConfig);
      expect(attentionScale).toBeCloseTo((headDim * parts) ** -0.5, 12);
    }
  });

  // As scaled_dot_product_attention has it: rows that are masked as a whole are zeros.
  test("filling that sees no token behind a window does not depend on texts beside it", async () => {
    const { plan, config } = referenceEncoders["modernbert with biases"]!();
    const weights = new ReferenceWeights(15);
    const ids = Array.from({ length: 16 }, (_, at) => 3 + at);
    encodeReference(plan, weights, ids);
    const own = { ...config, local_attention: 4 };
    await using model = await loadEncoder(await writeFolder(own, weights), {
      ...{ inline: true, threads: 1, format: "f32" },
    });
    const attended = ids.map((_, at) => (at < 3 ? 1 : 0));
    const run = () => model.run({ ids, attended, outputs: ["states"] });
    const alone = await run();
    const longer = Array.from({ length: 40 }, (_, at) => 3 + at);
    const [beside] = await Promise.all([run(), model.run({ ids: longer, outputs: ["states"] })]);
    expect(difference(beside!.states!.data, alone.states!.data)).toBeLessThan(1e-5);
  });

  test("MPNet's buckets are 32, as its class has them", () => {
    const { config } = referenceEncoders["mpnet"]!();
    const file = { ...config, relative_attention_num_buckets: 64 } as ModelConfig;
    expect(() => encoderConfig(file)).toThrow(
      expect.objectContaining({ code: "model-config-invalid" }),
    );
  });

  test("token types of a pair are not read where there is no table of them", async () => {
    const { plan, config } = referenceEncoders["distilbert"]!();
    const weights = new ReferenceWeights(14);
    encodeReference(plan, weights, texts[2]!);
    const folder = await writeFolder(config, weights);
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const run = (types: number[]) => model.run({ ids: texts[2]!, types, outputs: ["states"] });
    expect(await run([0, 1])).toEqual(await run([0, 0]));
  });
});
