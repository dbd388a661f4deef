import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTokenizer, type Tokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { ignoredTarget } from "../graph/language-model-graph.ts";
import { type Corpus, type DocumentPart, readDocuments } from "./corpus.ts";
import { documentTokens, openBatchSource, prepareTokens, type TokenStore } from "./token-store.ts";

let folder = "";
let tokenizer: Tokenizer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jeton-corpus-"));
  const { json } = await trainTokenizer({
    kind: "byte-level-bpe",
    texts: ["one two three one two"],
    vocabSize: 270,
    specialTokens: ["<|endoftext|>"],
  });
  tokenizer = createTokenizer(json);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function collect(files: readonly string[], field?: string): Promise<DocumentPart[]> {
  const parts: DocumentPart[] = [];
  for await (const part of readDocuments({ files, ...(field && { field }) })) parts.push(part);
  return parts;
}

describe("readDocuments", () => {
  test("documents come back as they were written, plain or packed", async () => {
    const text = fc.string({ minLength: 1, unit: "grapheme" });
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 8 }), async (texts) => {
        const lines = texts.map((value) => JSON.stringify({ body: value })).join("\n");
        writeFileSync(join(folder, "a.jsonl"), lines);
        writeFileSync(join(folder, "a.jsonl.gz"), gzipSync(`${lines}\n`));
        const expected = texts.map((value) => ({ text: value, isStart: true }));
        expect(await collect([join(folder, "a.jsonl")], "body")).toEqual(expected);
        expect(await collect([join(folder, "a.jsonl.gz")], "body")).toEqual(expected);
      }),
      { numRuns: 20 },
    );
  });

  test("a long text comes in parts that begin at visible characters", async () => {
    const text = Array.from({ length: 40_000 }, (_, i) => `line ${i} é${"\n".repeat(1 + (i % 3))}`);
    const file = join(folder, "long.txt.gz");
    writeFileSync(file, gzipSync(text.join("")));
    const parts = await collect([file]);
    expect(parts.length).toBeGreaterThan(3);
    expect(parts.map((part) => part.text).join("")).toBe(text.join(""));
    expect(parts.map(({ isStart }) => isStart)).toEqual(parts.map((_, index) => index === 0));
    for (const part of parts.slice(1)) expect(part.text).toMatch(/^\S/);
  });

  test.each([
    ["{", /:2 is not JSON/],
    ['{"other": "x"}', /:2 has no text in "text"/],
    ["17", /:2 has no text/],
  ])("the line %s is refused with its number", async (line, message) => {
    writeFileSync(join(folder, "bad.jsonl"), `{"text":"fine"}\n${line}\n`);
    await expect(collect([join(folder, "bad.jsonl")])).rejects.toThrow(message);
  });

  test.each([
    ["words", "word and 😀 word ", /^ /],
    ["nothing to cut at", "词😀", /^[词😀]/u],
  ])("a text of one line comes in parts too: %s", async (_name, unit, start) => {
    const file = join(folder, "one-line.txt");
    const text = unit.repeat(Math.ceil(2_500_000 / unit.length));
    writeFileSync(file, text);
    const parts = await collect([file]);
    expect(parts.map((part) => part.text).join("") === text).toBe(true);
    expect(parts.length).toBeGreaterThan(1);
    for (const [index, part] of parts.entries()) {
      expect(part.isStart).toBe(index === 0);
      expect(part.text.length).toBeLessThan(1_500_000);
      if (index > 0) expect(part.text).toMatch(start);
      // No character is cut in two.
      expect(part.text).not.toMatch(/[\ud800-\udbff]$/);
    }
  });

  test("a broken archive is an error, not an end", async () => {
    writeFileSync(join(folder, "cut.txt.gz"), gzipSync("word ".repeat(5000)).subarray(0, 40));
    await expect(collect([join(folder, "cut.txt.gz")])).rejects.toThrow(
      /cut.txt.gz cannot be read/,
    );
  });
});

test("a text that spells a special token is text, unless its corpus allows the token", async () => {
  const file = join(folder, "spelled.jsonl");
  writeFileSync(file, JSON.stringify("one<|endoftext|>two"));
  const store = async (name: string, allowedSpecial?: Corpus["allowedSpecial"]) => {
    const corpus = { files: [file], ...(allowedSpecial && { allowedSpecial }) };
    const { path, tokens } = await prepareTokens(join(folder, name), corpus, tokenizer);
    const bytes = readFileSync(path);
    return Array.from({ length: tokens }, (_, i) => bytes.readUInt16LE(2 * i));
  };
  const [special] = tokenizer.encodeIds("<|endoftext|>", { allowedSpecial: "all" });
  const inside = (ids: number[]) => ids.slice(1, -1).filter((id) => id === special).length;
  const spelled = await store("text.tokens");
  expect(inside(spelled)).toBe(0);
  expect(tokenizer.decode(spelled.slice(1, -1))).toBe("one<|endoftext|>two");
  expect(inside(await store("none.tokens", "none"))).toBe(0);
  expect(inside(await store("other.tokens", []))).toBe(0);
  for (const allowed of ["all", ["<|endoftext|>"]] as const) {
    const ids = await store(`${allowed}.tokens`, allowed);
    expect(inside(ids)).toBe(1);
    expect(ids.length).toBeLessThan(spelled.length);
  }
});

describe("openBatchSource", () => {
  let stores: TokenStore[] = [];
  beforeAll(async () => {
    stores = [];
    for (const [index, count] of [50, 23].entries()) {
      const texts = Array.from({ length: count }, (_, i) => `one two ${index} ${i} three`);
      const file = join(folder, `part-${index}.jsonl`);
      writeFileSync(file, texts.map((text) => JSON.stringify(text)).join("\n"));
      const store = join(folder, `part-${index}.tokens`);
      stores.push(await prepareTokens(store, { files: [file] }, tokenizer));
    }
  });
  const separator = 0;
  const settings = {
    sequenceLength: 12,
    batch: 3,
    seed: 1,
    documents: { start: separator, end: undefined },
  };

  test("the position alone decides what is read", async () => {
    await using source = await openBatchSource(stores, settings);
    await using other = await openBatchSource(stores, settings);
    let position = source.start;
    const positions = [position];
    const batches = [];
    for (let i = 0; i < 40; i++) {
      const { batch, next } = await source.read(position);
      batches.push(batch);
      positions.push(next);
      position = next;
    }
    for (const i of [39, 3, 20, 0]) {
      expect((await other.read(positions[i]!)).batch).toEqual(batches[i]);
    }
  });

  test("an epoch visits every sequence once, and the next in another order", async () => {
    await using source = await openBatchSource([stores[0]!], { ...settings, batch: 1 });
    const count = source.sequences[0]!;
    const epochs: string[][] = [[], []];
    let position = source.start;
    for (let i = 0; i < 2 * count; i++) {
      const { batch, next } = await source.read(position);
      epochs[Math.floor(i / count)]!.push(batch.ids.join());
      position = next;
    }
    expect(new Set(epochs[0]).size).toBe(count);
    expect([...epochs[1]!].sort()).toEqual([...epochs[0]!].sort());
    expect(epochs[1]).not.toEqual(epochs[0]);
  });

  test("corpora get their shares at every moment", async () => {
    await using source = await openBatchSource(stores, { ...settings, weights: [3, 1] });
    let position = source.start;
    for (let i = 0; i < 30; i++) {
      position = (await source.read(position)).next;
      const [first, second] = position as [number, number];
      expect(Math.abs(first - (3 * (first + second)) / 4)).toBeLessThanOrEqual(1);
    }
  });

  test("targets are the tokens that follow, segments count documents", async () => {
    await using source = await openBatchSource([stores[0]!], settings);
    const { batch } = await source.read(source.start);
    for (let row = 0; row < 3; row++) {
      for (let at = 1; at < 12; at++) {
        const here = row * 12 + at;
        expect(batch.targets[here - 1]).toBe(batch.ids[here]);
        const isNew = batch.ids[here] === separator ? 1 : 0;
        expect(batch.segments![here]! - batch.segments![here - 1]!).toBe(isNew);
      }
    }
  });

  test("with both tokens the step from an end to a beginning is not learned", async () => {
    const end = tokenizer.encodeIds("three")[0]!;
    const documents = { start: separator, end };
    await using source = await openBatchSource([stores[0]!], { ...settings, documents });
    const { batch } = await source.read(source.start);
    expect(batch.targets).toContain(ignoredTarget);
    expect(batch.targets).not.toContain(separator);
  });

  test("a store that is cut short or too short is refused", async () => {
    await expect(
      openBatchSource(stores, { ...settings, sequenceLength: 1e6 }),
    ).rejects.toMatchObject({ code: "corpus-too-short" });
    truncateSync(stores[1]!.path, 10);
    await expect(openBatchSource(stores, settings)).rejects.toMatchObject({
      code: "token-store-truncated",
    });
  });

  test("what stands around documents follows from the special tokens", () => {
    const given = (ids: Partial<Tokenizer>, template: number[] = []) =>
      documentTokens({ encodeIds: () => Uint32Array.from(template), ...ids } as Tokenizer);
    expect(documentTokens(tokenizer)).toEqual({ start: separator, end: undefined });
    expect(given({ bosTokenId: 1, eosTokenId: 2 })).toEqual({ start: 1, end: 2 });
    expect(given({ eosTokenId: 2 })).toEqual({ start: 2, end: undefined });
    expect(given({})).toEqual({ start: undefined, end: undefined });
    // [CLS] and [SEP] of a template count where no token is named.
    expect(given({}, [7, 8])).toEqual({ start: 7, end: 8 });
    expect(given({ eosTokenId: 2 }, [7, 8])).toEqual({ start: 2, end: undefined });
  });
});
