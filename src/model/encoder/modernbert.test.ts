/** ModernBERT's configurations, and its head for answers. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openCheckpoint, writeShardedSafetensors } from "../../checkpoint/index.ts";
import { testData } from "../../testing/test-data.ts";
import { encoderConfig } from "./config.ts";
import { loadEncoder } from "./load-encoder.ts";
import { findSpans } from "./tasks/classify.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-modernbert-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("rotations and kinds of layers", () => {
  const read = (more: Record<string, unknown>) =>
    encoderConfig({ model_type: "modernbert", num_hidden_layers: 2, ...more } as never);
  const thetas = (more: Record<string, unknown>) => {
    const { layers, ropes } = read(more);
    return layers.map(({ rope }) => ropes[rope!]!.theta);
  };

  test("a rotation without a base has its kind's own", () => {
    expect(thetas({})).toEqual([160000, 10000]);
    const plain = { rope_type: "default" };
    const rope_parameters = { full_attention: plain, sliding_attention: plain };
    expect(thetas({ rope_parameters })).toEqual([160000, 10000]);
    const own = { full_attention: { ...plain, rope_theta: 5000 } };
    expect(thetas({ rope_parameters: own })).toEqual([5000, 10000]);
  });

  test("named kinds hold before the period", () => {
    const layer_types = ["sliding_attention", "full_attention"];
    expect(read({ layer_types }).layers.map(({ window }) => window)).toEqual([64, undefined]);
  });

  test.each([
    ["rope_type", { rope_parameters: { full_attention: { rope_type: "yarn", factor: 2 } } }],
    ["rope_type", { rope_scaling: { type: "linear", factor: 2 } }],
    ["layer_types", { layer_types: ["full_attention", "chunked_attention"] }],
    ["layer_types", { layer_types: ["full_attention"] }],
  ])("%s that would be read as another is refused: %j", (name, more) => {
    expect(() => read(more)).toThrow(
      expect.objectContaining({
        code: "model-config-invalid",
        details: expect.objectContaining({ name }),
      }),
    );
  });
});

const { folder, skip } = testData("models/families/modernbert-sequence-classification");

/** The classifier with two classes, as a model of another task: all of them call the layer `classifier`. */
async function asTask(task: string): Promise<string> {
  const copy = mkdtempSync(join(root, "task-"));
  cpSync(folder, copy, { recursive: true });
  await using checkpoint = await openCheckpoint(folder);
  const tensors = await Promise.all(
    [...checkpoint.tensors].map(async ([name, { shape }]) => {
      const data = await checkpoint.readFloat32(name);
      if (!/^classifier\./.test(name)) return { name, dtype: "F32" as const, shape, data };
      const rows = [2, ...shape.slice(1)];
      const size = rows.reduce((a, b) => a * b, 1);
      return { name, dtype: "F32" as const, shape: rows, data: data.slice(0, size) };
    }),
  );
  await writeShardedSafetensors(copy, tensors);
  const path = join(copy, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  const architectures = [`ModernBert${task}`];
  const id2label = { 0: "a", 1: "b" };
  writeFileSync(path, JSON.stringify({ ...config, architectures, id2label, label2id: undefined }));
  return copy;
}

test.skipIf(skip)("the head for answers gives what the same layer gives for tokens", async () => {
  const options = { inline: true, threads: 1, format: "f32" } as const;
  await using answers = await loadEncoder(await asTask("ForQuestionAnswering"), options);
  await using tokens = await loadEncoder(await asTask("ForTokenClassification"), options);
  expect(answers.heads).toContain("span");
  const ids = answers.tokenizer.encode("the king", { pair: "in his castle" }).ids;
  const { span } = await answers.run({ ids, outputs: ["span"] });
  const classes = await tokens.run({ ids, outputs: ["tokens"] });
  expect(span).toEqual(classes.tokens);
  expect(await findSpans(answers, "Where is the king?", "In his castle.")).toHaveLength(1);
});
