import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete, createPromptLookupDrafter, generate, score } from "../../generate/index.ts";
import { errorOf } from "../../testing/code-of.ts";
import { loadModel } from "../load-model.ts";
import type { LoadedModel } from "../types.ts";
import { byteVocabSize, documentId, wordEndId } from "./byte-vocabulary.ts";
import { smallWordConfig, writeSmallWordModel } from "./testing/small-word-model.ts";

const text =
  "The cat sat on a mat; élan, ein Haus im Regen: 漢字とかな, verylongwordindeed 3.14!\n";

/** Logits of every token, in one step or in steps of these sizes. */
async function read(
  model: LoadedModel,
  ids: readonly number[],
  sizes: readonly number[] = [ids.length],
): Promise<Float32Array> {
  const sequence = await model.openSequence();
  const all: number[] = [];
  let start = 0;
  for (let turn = 0; start < ids.length; turn++) {
    const end = Math.min(ids.length, start + sizes[turn % sizes.length]!);
    const result = await sequence.step({ ids: ids.slice(start, end), results: "all" });
    all.push(...result.logits!);
    start = end;
  }
  await sequence.release();
  return Float32Array.from(all);
}

function largestDifference(a: Float32Array, b: Float32Array, from = 0, to = a.length): number {
  let largest = 0;
  for (let i = from; i < to; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

describe.each(["word-pooled", "hierarchical-transformer"])("%s", (family) => {
  let root = "";
  let model: LoadedModel;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "jeton-words-"));
    const folder = await writeSmallWordModel(root, smallWordConfig(family));
    model = await loadModel(folder, { inline: true, threads: 1 });
  });
  afterAll(async () => {
    await model.close();
    rmSync(root, { recursive: true, force: true });
  });

  test("a prompt is bytes with word ends, and leaves the last word open", () => {
    const { tokenizer } = model;
    const ids = [...tokenizer.encodeIds("Hi, you")];
    const bytes = (part: string): number[] => [...new TextEncoder().encode(part)];
    expect(ids).toEqual([documentId, ...bytes("Hi,"), wordEndId, ...bytes(" you")]);
    expect(tokenizer.decode(ids)).toBe("Hi, you");
    const { tokens, offsets, ids: same } = tokenizer.encode("é a");
    expect([...same]).toEqual([documentId, 0xc3, 0xa9, wordEndId, 0x20, 0x61]);
    expect(tokens[3]).toBe("<|word|>");
    expect(offsets[3]).toEqual([1, 1]);
  });

  test("what is cached equals what is computed anew, in steps of any size", async () => {
    const ids = [...model.tokenizer.encodeIds(text)];
    const whole = await read(model, ids);
    expect(whole.length).toBe(ids.length * byteVocabSize);
    for (const sizes of [[1], [2, 7], [5, 1, 30]]) {
      expect(largestDifference(whole, await read(model, ids, sizes))).toBeLessThan(2e-4);
    }
  });

  test("changing a token changes nothing before it, and something after it", async () => {
    const ids = [...model.tokenizer.encodeIds(text)].slice(0, 60);
    const whole = await read(model, ids);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: ids.length - 2 }),
        fc.integer({ min: 0, max: 191 }),
        async (at, byte) => {
          fc.pre(byte !== ids[at]);
          const changed = await read(model, ids.with(at, byte));
          const place = at * byteVocabSize;
          expect(largestDifference(whole, changed, 0, place)).toBeLessThan(1e-4);
          expect(largestDifference(whole, changed, place)).toBeGreaterThan(1e-3);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("what was forgotten leaves nothing behind", async () => {
    const ids = [...model.tokenizer.encodeIds(text)];
    const whole = await read(model, ids);
    for (const kept of [0, 1, 5, 8, 23, 40]) {
      const sequence = await model.openSequence();
      await sequence.step({ ids: ids.slice(0, kept + 15), results: "none" });
      await sequence.truncate(kept);
      expect(sequence.length).toBe(kept);
      const { logits } = await sequence.step({ ids: ids.slice(kept), results: "all" });
      const expected = whole.subarray(kept * byteVocabSize);
      expect(largestDifference(expected, logits!)).toBeLessThan(2e-4);
      await sequence.release();
    }
  });

  test("a draft tree gives each node what its own path gives", async () => {
    const ids = [...model.tokenizer.encodeIds("one two")];
    const sequence = await model.openSequence();
    await sequence.step({ ids, results: "none" });
    const tree = { ids: [wordEndId, 0x20, 0x73, 0x61, 0x62], parents: [-1, 0, -1, 1, 1] };
    const { logits } = await sequence.step({ ...tree, results: "all", commit: false });
    for (const path of [[0, 1, 3], [0, 1, 4], [2]]) {
      const own = await read(model, [...ids, ...path.map((node) => tree.ids[node]!)]);
      const place = path.at(-1)! * byteVocabSize;
      const row = logits!.subarray(place, place + byteVocabSize);
      expect(largestDifference(row, own.subarray(-byteVocabSize))).toBeLessThan(2e-4);
    }
    await sequence.accept([0, 1, 4]);
    expect(sequence.length).toBe(ids.length + 3);
    const next = await sequence.step({ ids: [0x63] });
    const own = await read(model, [...ids, wordEndId, 0x20, 0x62, 0x63]);
    expect(largestDifference(next.logits!, own.subarray(-byteVocabSize))).toBeLessThan(2e-4);
    await sequence.release();
  });

  test("rows of an uncommitted step are kept as accepted, refused where there are none, and forgotten otherwise", async () => {
    const ids = [...model.tokenizer.encodeIds("one two")];
    const draft = [wordEndId, 0x20, 0x73, 0x61];
    const sequence = await model.openSequence();
    await sequence.step({ ids, results: "none" });
    expect(await errorOf(sequence.accept([0]))).toMatchObject({ code: "model-nothing-pending" });
    const expectNext = async (before: readonly number[]): Promise<void> => {
      const { logits } = await sequence.step({ ids: [0x63] });
      const own = await read(model, [...before, 0x63]);
      expect(largestDifference(logits!, own.subarray(-byteVocabSize))).toBeLessThan(2e-4);
    };
    await sequence.step({ ids: draft, results: "all", commit: false });
    await expectNext(ids);
    await sequence.truncate(ids.length);
    await sequence.step({ ids: draft, results: "all", commit: false });
    expect(await errorOf(sequence.accept([0, 4]))).toMatchObject({ code: "model-row-invalid" });
    await sequence.accept([0, 1, 2]);
    expect(sequence.length).toBe(ids.length + 3);
    await expectNext([...ids, ...draft.slice(0, 3)]);
    await sequence.release();
  });

  test("a document may begin without its sign, and ends the word before it", async () => {
    const ids = [...new TextEncoder().encode("abc")];
    const given = await read(model, [documentId, ...ids]);
    const left = await read(model, ids);
    expect(largestDifference(given.subarray(byteVocabSize), left)).toBeLessThan(1e-5);
    const ended = await read(model, [...ids, wordEndId, documentId, 0x61]);
    const cut = await read(model, [...ids, documentId, 0x61]);
    const rows = 2 * byteVocabSize;
    expect(largestDifference(ended.subarray(-rows), cut.subarray(-rows))).toBeLessThan(1e-5);
  });

  test("generates, scores and drafts like any other model", async () => {
    const options = { maxTokens: 40, seed: 4, ignoreEos: true } as const;
    const first = await complete(model, "Once upon", options);
    expect(first.ids).toHaveLength(40);
    expect((await complete(model, "Once upon", options)).text).toBe(first.text);
    const drafted = await complete(model, "Once upon", {
      ...{ maxTokens: 40, greedy: true, ignoreEos: true },
      drafter: createPromptLookupDrafter(),
    });
    const plain = await complete(model, "Once upon", {
      ...{ maxTokens: 40, greedy: true, ignoreEos: true },
    });
    expect(drafted.ids).toEqual(plain.ids);
    const { bitsPerByte, bytes, scoredTokens } = await score(model, text);
    const ids = model.tokenizer.encodeIds(text);
    expect([bytes, scoredTokens]).toEqual([new TextEncoder().encode(text).length, ids.length - 1]);
    const logits = await read(model, [...ids]);
    let sum = 0;
    for (let at = 0; at < ids.length - 1; at++) {
      const row = logits.subarray(at * byteVocabSize, (at + 1) * byteVocabSize);
      const largest = Math.max(...row);
      const mass = row.reduce((total, value) => total + Math.exp(value - largest), 0);
      sum += row[ids[at + 1]!]! - largest - Math.log(mass);
    }
    expect(bitsPerByte).toBeCloseTo(-sum / Math.LN2 / bytes, 4);
    expect(model.openSequences).toBe(0);
  });

  test("sampling options that need whole rows or candidates work", async () => {
    for (const sampling of [
      { topK: 5 },
      { topP: 0.9 },
      { minP: 0.1 },
      { repetitionPenalty: 1.2 },
    ]) {
      const { ids } = await complete(model, "a", { maxTokens: 5, ignoreEos: true, ...sampling });
      expect(ids).toHaveLength(5);
    }
  });

  test.each(["int8", "int8-channel", "int4"] as const)(
    "%s: cached equals computed anew, and a token changes nothing before it",
    async (format) => {
      const options = { format, inline: true, threads: 1, cacheFolder: join(root, "cache") };
      await using packed = await loadModel(join(root, "model"), options);
      expect(packed.format).toBe(format);
      const ids = [...packed.tokenizer.encodeIds(text)].slice(0, 48);
      const whole = await read(packed, ids);
      // Some processors round the activations of a lone row in int4 otherwise than those of several.
      const tolerance = format === "int4" ? 0.1 : 2e-4;
      for (const sizes of [[1], [5, 1, 30]]) {
        expect(largestDifference(whole, await read(packed, ids, sizes))).toBeLessThan(tolerance);
      }
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: ids.length - 2 }),
          fc.integer({ min: 0, max: 191 }),
          async (at, byte) => {
            fc.pre(byte !== ids[at]);
            const changed = await read(packed, ids.with(at, byte));
            const place = at * byteVocabSize;
            expect(largestDifference(whole, changed, 0, place)).toBeLessThan(1e-4);
            expect(largestDifference(whole, changed, place)).toBeGreaterThan(1e-3);
          },
        ),
        { numRuns: 8 },
      );
    },
  );

  test("weights of eight bits predict nearly the same", async () => {
    const ids = [...model.tokenizer.encodeIds(text)].slice(0, 40);
    const cacheFolder = join(root, "cache");
    const options = { format: "int8", inline: true, cacheFolder } as const;
    await using quantized = await loadModel(join(root, "model"), options);
    expect(quantized.format).toBe("int8");
    const [exact, rounded] = [await read(model, ids), await read(quantized, ids)];
    const size = Math.sqrt(exact.reduce((sum, value) => sum + value * value, 0));
    const error = Math.sqrt(exact.reduce((sum, value, at) => sum + (value - rounded[at]!) ** 2, 0));
    expect(error / size).toBeGreaterThan(0);
    // Random weights are far from those of a trained model; wrong ones would differ by more than 1.
    expect(error / size).toBeLessThan(0.5);
  });

  test("asks that a model of words cannot answer are refused", async () => {
    const sequence = await model.openSequence();
    const error = await errorOf(sequence.step({ ids: [1], hidden: true }));
    expect([error.code, error.details]).toEqual([
      "model-request-unsupported",
      { request: "hidden", family },
    ]);
    await sequence.release();
    const embeddings = new Float32Array(16);
    const generation = generate(model, "a", { promptEmbeddings: embeddings });
    expect((await errorOf(generation.next())).code).toBe("model-request-unsupported");
  });
});
