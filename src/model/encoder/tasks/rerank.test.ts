import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openCheckpoint, writeShardedSafetensors } from "../../../checkpoint/index.ts";
import { codeOf } from "../../../testing/code-of.ts";
import { testData } from "../../../testing/test-data.ts";
import { loadEncoder } from "../load-encoder.ts";
import { rerank } from "./rerank.ts";

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** A copy of a classifier with the first classes alone: a cross encoder. */
async function withClasses(folder: string, count: number): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), "jeton-rerank-"));
  made.push(copy);
  cpSync(folder, copy, { recursive: true });
  await using checkpoint = await openCheckpoint(folder);
  const tensors = [];
  for (const [name, { shape }] of checkpoint.tensors) {
    const data = await checkpoint.readFloat32(name);
    const isHead = /^classifier\./.test(name);
    const rows = isHead ? [count, ...shape.slice(1)] : shape;
    const size = rows.reduce((a, b) => a * b, 1);
    tensors.push({ name, dtype: "F32" as const, shape: rows, data: data.slice(0, size) });
  }
  await writeShardedSafetensors(copy, tensors);
  const path = join(copy, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  const id2label = Object.fromEntries(
    Array.from({ length: count }, (_, id) => [id, `class ${id}`]),
  );
  writeFileSync(path, JSON.stringify({ ...config, id2label, label2id: undefined }));
  return copy;
}

interface Pair {
  text: string;
  pair?: string | null;
  classes: number[];
}

describe("a cross encoder", () => {
  const { folder, skip } = testData("models/families/bert-sequence-classification");
  const read = (): Pair[] =>
    (JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as { texts: Pair[] }).texts;

  test.skipIf(skip).each([1, 2])("of %i classes gives the logits of the pairs", async (count) => {
    await using model = await loadEncoder(await withClasses(folder, count), {
      inline: true,
      threads: 1,
      format: "f32",
    });
    const pairs = read().filter(({ pair }) => typeof pair === "string");
    expect(pairs.length).toBeGreaterThan(0);
    for (const { text, pair, classes } of pairs) {
      const ranked = await rerank(model, text, ["something else", pair!]);
      const expected = count === 1 ? classes[0]! : classes[1]! - classes[0]!;
      const found = ranked.find(({ index }) => index === 1)!;
      expect(found.logit).toBeCloseTo(expected, 3);
      expect(found.score).toBeCloseTo(1 / (1 + Math.exp(-expected)), 4);
      expect(ranked[0]!.logit).toBeGreaterThanOrEqual(ranked[1]!.logit);
      const [best, ...others] = await rerank(model, text, ["something else", pair!], { topN: 1 });
      expect([best, others]).toEqual([ranked[0], []]);
    }
  });

  test.skipIf(skip)("of three classes is refused", async () => {
    await using model = await loadEncoder(folder, { inline: true, threads: 1 });
    expect(await codeOf(rerank(model, "a", ["b"]))).toBe("encoder-rerank-classes");
  });
});

describe("a late-interaction model", () => {
  const { folder, skip } = testData("models/families/colbert");
  interface Late {
    queries: { text: string; vectors: number[][] }[];
    documents: { text: string; vectors: number[][] }[];
    maxSim: number[][];
  }

  test.skipIf(skip)("ranks by the expected sums of maxima", async () => {
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as Late;
    const documents = expected.documents.map(({ text }) => text);
    for (const [row, { text, vectors }] of expected.queries.entries()) {
      const ranked = await rerank(model, text, documents);
      const wanted = expected.maxSim[row]!;
      const order = [...wanted.keys()].sort((a, b) => wanted[b]! - wanted[a]!);
      expect(ranked.map(({ index }) => index)).toEqual(order);
      for (const { index, logit, score } of ranked) {
        expect(logit * vectors.length).toBeCloseTo(wanted[index]!, 3);
        expect(score).toBeCloseTo((1 + logit) / 2, 6);
      }
    }
    expect(await codeOf(rerank(model, "a", ["b"], { maxLength: 8 }))).toBe(
      "encoder-option-invalid",
    );
  });
});
