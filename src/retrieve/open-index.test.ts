import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import "../testing/code-matchers.ts";
import { createIndex, type IndexSettings, openIndex, type SearchIndex } from "./open-index.ts";
import {
  brief,
  sampleQueries,
  sampleQuery,
  sampleRecords,
  words,
} from "./testing/sample-records.ts";
import type { Hit, IndexRecord, SearchQuery } from "./types.ts";

const folders: string[] = [];
const makeFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "jeton-index-"));
  folders.push(folder);
  return folder;
};
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function fill(
  settings: IndexSettings,
  records: readonly IndexRecord[],
): Promise<SearchIndex> {
  const index = createIndex(settings);
  await index.put(records);
  return index;
}

describe("search by hand", () => {
  test("text, filter and hit", async () => {
    const index = createIndex();
    await index.put([
      { id: "a", text: "The cat sat on the mat.", fields: { page: 1 } },
      { id: "b", text: "A dog and a cat.", fields: { page: 2 } },
      { id: "c", text: "Nothing of that." },
    ]);
    const hits = await index.search({ text: "cat mat" });
    expect(hits.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(hits[0]).toMatchObject({ text: "The cat sat on the mat.", fields: { page: 1 } });
    expect(hits[0]!.parts.bm25).toBe(hits[0]!.score);
    const filtered = await index.search({ text: "cat", filter: { range: ["page", { gt: 1 }] } });
    expect(filtered.map(({ id }) => id)).toEqual(["b"]);
    expect(await index.search({ text: "zebra" })).toEqual([]);
    expect(await index.search({ text: "cat", k: 1000 })).toHaveLength(2);
  });

  test("an explanation names the term and where it stands", async () => {
    const index = createIndex();
    await index.put([{ id: "a", text: "Cat, dog; cat." }]);
    const [hit] = await index.search({ text: "cat bird dog", explain: true });
    expect(hit!.matches!.map(({ term, span, queryToken }) => [term, span, queryToken])).toEqual([
      ["cat", [0, 3], 0],
      ["cat", [10, 13], 0],
      ["dog", [5, 8], 2],
    ]);
    const [first, , third] = hit!.matches!;
    expect(first!.score + third!.score).toBeCloseTo(hit!.score, 10);
  });

  test("token explanations slice to the text, and their mean is the score", async () => {
    const records = sampleRecords(20);
    const index = await fill({}, records);
    const { tokens } = sampleQuery();
    for (const candidates of [5, 1000]) {
      const hits = await index.search({ tokens, explain: true, tokenSearch: { candidates } });
      for (const { matches, text, score } of hits) {
        expect(matches).toHaveLength(3);
        const sum = matches!.reduce((total, match) => total + match.score, 0);
        expect(sum / 3).toBeCloseTo(score, 5);
        for (const { span, imputed } of matches!) {
          expect(imputed).toBe(span === undefined);
          if (span !== undefined) expect(words).toContain(text.slice(...span));
        }
      }
    }
  });
});

describe("one answer, however the records came", () => {
  const records = sampleRecords(120);
  const answers = async (index: SearchIndex) =>
    Promise.all(sampleQueries().map(async (query) => brief(await index.search(query))));

  test("order, batches, replacing and deleting change nothing", async () => {
    const expected = await answers(await fill({}, records));
    expect(expected.every((hits) => hits.length === 10)).toBe(true);
    const shuffled = createRandom(3).shuffle([...records]);
    expect(await answers(await fill({}, shuffled))).toEqual(expected);
    const index = createIndex();
    await index.put(sampleRecords(150, 2));
    for (let i = 0; i < shuffled.length; i += 7) {
      await index.put(shuffled.slice(i, i + 7));
      await index.search({ text: "king" });
    }
    const others = index.ids().filter((id) => id >= "r0120");
    expect(await index.delete([...others, "none", ...others])).toBe(30);
    expect(index.size).toBe(120);
    expect(await answers(index)).toEqual(expected);
  });

  test("a folder: flushed, merged, closed and opened again", async () => {
    const expected = await answers(await fill({}, records));
    const folder = await makeFolder();
    let index = await openIndex(folder, { flushAt: 16 });
    for (let i = 0; i < 120; i += 10) await index.put(records.slice(i, i + 10));
    expect(await answers(index)).toEqual(expected);
    await index.close();
    index = await openIndex(folder);
    expect(index.size).toBe(120);
    expect(await answers(index)).toEqual(expected);
    await index.merge();
    expect(index.segments).toBe(1);
    expect(await answers(index)).toEqual(expected);
    await index.close();
    const reader = await openIndex(folder, { readOnly: true });
    expect(await answers(reader)).toEqual(expected);
    expect(reader.get("r0007")).toEqual((await fill({}, records)).get("r0007"));
    await expect(reader.put([])).toRejectWithCode("index-read-only");
    await reader.close();
  });

  test("inverted files with exact vectors and all clusters give the same", async () => {
    const settings = { invertFrom: 50, residuals: "exact" } as const;
    const folder = await makeFolder();
    const index = await openIndex(folder, { ...settings, flushAt: 40 });
    for (let i = 0; i < 120; i += 20) await index.put(records.slice(i, i + 20));
    await index.flush();
    const { tokens } = sampleQuery();
    const query: SearchQuery = { tokens, tokenSearch: { scoring: "exact" } };
    const expected = brief(await (await fill({}, records)).search(query));
    expect(brief(await index.search(query))).toEqual(expected);
    await index.merge();
    expect(brief(await index.search(query))).toEqual(expected);
    const filtered: SearchQuery = { ...query, filter: { eq: ["part", 2] }, k: 100 };
    expect(await index.search(filtered)).toHaveLength(30);
    await index.close();
  });

  test("64 searches while records come", async () => {
    const index = createIndex();
    const { text, tokens } = sampleQuery();
    const searches: Promise<Hit[]>[] = [];
    for (let i = 0; i < 64; i++) {
      void index.put(records.slice(i, i + 1));
      searches.push(index.search({ text, tokens }));
    }
    for (const hits of await Promise.all(searches)) {
      expect(new Set(hits.map(({ id }) => id)).size).toBe(hits.length);
    }
    await index.put(records.slice(64));
    expect(await answers(index)).toEqual(await answers(await fill({}, records)));
  });
});

describe("an index's end", () => {
  test("closed twice at once, files and lock are freed once", async () => {
    const folder = await makeFolder();
    const index = await openIndex(folder, { flushAt: 2 });
    await index.put(sampleRecords(5));
    const search = index.search({ text: "king", k: 5 });
    await Promise.all([index.close(), index.close(), index[Symbol.asyncDispose]()]);
    await index.close();
    expect((await search).length).toBeGreaterThan(0);
    const again = await openIndex(folder);
    expect(again.size).toBe(5);
    await again.close();
  });

  test("where the last flush fails, the folder is free and the log has every change", async () => {
    const folder = await makeFolder();
    const index = await openIndex(folder);
    await index.put(sampleRecords(5));
    // A folder where the segment would stand: the flush cannot put its file there.
    await mkdir(join(folder, "segment-1.jeton", "in the way"), { recursive: true });
    await expect(index.close()).rejects.toThrow(expect.objectContaining({ name: "JetonError" }));
    await rm(join(folder, "segment-1.jeton"), { recursive: true });
    const again = await openIndex(folder);
    expect(again.size).toBe(5);
    await again.close();
  });
});

describe("settings that a folder keeps", () => {
  test("no inverted file, ever, is one of them", async () => {
    const folder = await makeFolder();
    const settings = { invertFrom: Number.POSITIVE_INFINITY, flushAt: 10 };
    const records = sampleRecords(40);
    for (const part of [records.slice(0, 20), records.slice(20)]) {
      const index = await openIndex(folder, settings);
      await index.put(part);
      await index.close();
    }
    const index = await openIndex(folder, settings);
    expect(index.settings.invertFrom).toBe(Number.POSITIVE_INFINITY);
    const kept = index.get("r0030")!.tokens!.vectors;
    const memory = await fill({}, records);
    // Bit by bit: four bits a number would change them.
    expect(kept).toEqual(memory.get("r0030")!.tokens!.vectors);
    await index.close();
  });

  test("the order in which they are written is none", async () => {
    const folder = await makeFolder();
    await (await openIndex(folder, { bm25: { k1: 1.4, b: 0.5 } })).close();
    await (await openIndex(folder, { bm25: { b: 0.5, k1: 1.4 } })).close();
    const other = openIndex(folder, { bm25: { b: 0.4, k1: 1.4 } });
    await expect(other).toRejectWithCode("index-settings");
  });

  test("fields of any name come back", async () => {
    const folder = await makeFolder();
    const fields = JSON.parse('{"__proto__": "x", "constructor": ["y"]}') as Record<string, string>;
    const index = await openIndex(folder);
    await index.put([{ id: "a", text: "b", fields }]);
    await index.close();
    const again = await openIndex(folder);
    expect(Object.entries(again.fields("a")!)).toEqual(Object.entries(fields));
    const found = await again.search({ text: "b", filter: { eq: ["__proto__", "x"] } });
    expect(found).toHaveLength(1);
    await again.close();
  });
});

describe("what cannot be is rejected", () => {
  const record = sampleRecords(1)[0]!;

  test("records", async () => {
    const index = await fill({}, [record]);
    const put = (change: object) => index.put([{ ...record, id: "x", ...change } as IndexRecord]);
    const code = "record-invalid";
    for (const change of [
      { id: "" },
      { id: 7 },
      { text: undefined },
      { dense: new Float32Array(5) },
      { dense: Float32Array.of(1, 2, 3, 4, 5, Number.NaN) },
      { tokens: { dim: 7, vectors: new Float32Array(7) } },
      { tokens: { dim: 8, vectors: new Float32Array(9) } },
      { tokens: { dim: 8, vectors: new Float32Array(8), spans: Uint32Array.of(0, 10_000) } },
      { sparse: { ids: Uint32Array.of(1, 1), weights: Float32Array.of(1, 1) } },
      { sparse: { ids: Uint32Array.of(1), weights: Float32Array.of(Number.NaN) } },
      { fields: { id: "y" } },
      { fields: { a: null } },
      { fields: { a: Number.NaN } },
    ]) {
      await expect(put(change), JSON.stringify(change)).toRejectWithCode(code);
    }
    expect(index.size).toBe(1);
    expect(index.has("x")).toBe(false);
  });

  test("queries, settings and closed indexes", async () => {
    const index = await fill({}, [record]);
    const search = (query: object) => index.search(query as SearchQuery);
    for (const query of [
      {},
      { text: "a", k: 0 },
      { dense: new Float32Array(5) },
      { tokens: { dim: 7, vectors: new Float32Array(7) } },
      { tokens: { dim: 8, vectors: new Float32Array(0) } },
      { text: "a", tokenSearch: { candidates: 0 } },
      { text: "a", tokenSearch: { scoring: "some" } },
      { text: "a", tokenSearch: { scoring: "refined", refine: 9 } },
    ]) {
      await expect(search(query), JSON.stringify(query)).toRejectWithCode("search-query-invalid");
    }
    await expect(search({ text: "a", filter: { eq: ["a"] } })).toRejectWithCode("filter-invalid");
    await expect(search({ text: "a", fusion: { method: "best" } })).toRejectWithCode(
      "fusion-invalid",
    );
    expect(() => createIndex({ invertFrom: 0 })).toThrowCode("index-option-invalid");
    await index.close();
    await expect(index.search({ text: "a" })).toRejectWithCode("index-closed");
    await expect(index.put([record])).toRejectWithCode("index-closed");
  });

  test("folders", async () => {
    const folder = await makeFolder();
    await expect(openIndex(folder, { readOnly: true })).toRejectWithCode("index-not-found");
    const file = join(await makeFolder(), "a-file");
    await writeFile(file, "text");
    for (const readOnly of [true, false]) {
      await expect(openIndex(file, { readOnly })).toRejectWithCode("index-not-found");
    }
    const index = await openIndex(folder, { bm25: { variant: "plus" } });
    await expect(openIndex(folder)).toRejectWithCode("index-locked");
    await index.close();
    const other = { bm25: { variant: "l" } } as const;
    await expect(openIndex(folder, other)).toRejectWithCode("index-settings");
    const again = await openIndex(folder);
    expect(again.settings.bm25).toEqual({ variant: "plus" });
    await again.close();
  });
});
