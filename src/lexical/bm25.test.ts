import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testData } from "../testing/test-data.ts";
import "../testing/code-matchers.ts";
import { type Bm25Options, createBm25Index } from "./bm25.ts";
import { type Bm25VariantName, bm25Variants } from "./bm25-formula.ts";

const variants = Object.keys(bm25Variants) as Bm25VariantName[];

const texts = { a: "cat cat dog", b: "dog", c: "bird bird bird bird dog", d: "" };

function createSmall(options: Bm25Options = {}) {
  const index = createBm25Index(options);
  for (const [id, text] of Object.entries(texts)) index.add(id, text);
  return index;
}

test.each<[string, () => unknown]>([
  ["an unknown option", () => createBm25Index({ k: 3 } as Bm25Options)],
  ["an unknown option of a search", () => createSmall().search("cat", { limit: 1 } as object)],
  ["options that are none", () => createBm25Index(null as unknown as Bm25Options)],
  ["no variant", () => createBm25Index({ variant: null } as unknown as Bm25Options)],
  ["no analyzer", () => createBm25Index({ analyzer: null } as unknown as Bm25Options)],
  ["a query that is no text", () => createSmall().search(5 as unknown as string)],
  ["a document that is no text", () => createSmall().add("z", 5 as unknown as string)],
])("%s ends in bm25-option-invalid", (_, act) => {
  expect(act).toThrow(expect.objectContaining({ code: "bm25-option-invalid" }));
});

describe("BM25", () => {
  test("two terms by hand", () => {
    // N = 4, L = 9/4; "cat" is in one document, "dog" in three.
    const [first, ...rest] = createSmall().search("cat dog dog");
    const lengthFactor = 0.25 + (0.75 * 3) / 2.25;
    const cat = Math.log(1 + 3.5 / 1.5) * (2 / (2 + 1.2 * lengthFactor));
    const dog = 2 * Math.log(1 + 1.5 / 3.5) * (1 / (1 + 1.2 * lengthFactor));
    expect(first!.id).toBe("a");
    expect(first!.score).toBeCloseTo(cat + dog, 12);
    expect(rest.map(({ id }) => id)).toEqual(["b", "c"]);
  });

  test("a term in most documents weighs nothing for Robertson, in all nothing for ATIRE", () => {
    expect(createSmall({ variant: "robertson" }).search("dog")).toEqual([]);
    const index = createBm25Index({ variant: "atire" });
    index.add("a", "x y");
    index.add("b", "x");
    expect(index.search("x")).toEqual([]);
    expect(index.search("y")).toHaveLength(1);
  });

  test("equal scores: by id downwards in code points, or in the order of adding", () => {
    const ids = ["10", "9", "\uff5e", "\u{1f600}", "a"];
    const make = (ties: "id" | "position") => {
      const index = createBm25Index({ ties });
      for (const id of ids) index.add(id, "same");
      return index.search("same").map(({ id }) => id);
    };
    expect(make("id")).toEqual(["\u{1f600}", "\uff5e", "a", "9", "10"]);
    expect(make("position")).toEqual(ids);
  });

  test.each(variants)("%s with k1 = 0: documents tie however often they hold a term", (variant) => {
    for (let weights = 1; weights < 40; weights++) {
      const index = createBm25Index({ variant, k1: 0 });
      for (let i = 1; i <= 9; i++) index.add(`d${i}`, `${"cat ".repeat(i)} dog`);
      for (let i = 0; i < 10 + weights; i++) index.add(`e${i}`, "bird");
      const found = index.search("cat");
      expect(new Set(found.map(({ score }) => score)).size).toBe(1);
      expect(found.map(({ id }) => id)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1].map((i) => `d${i}`));
    }
  });

  test("documents may be added between searches; only accepted ones are found", () => {
    const index = createBm25Index();
    expect(index.search("cat")).toEqual([]);
    index.add("a", "cat");
    expect(index.search("cat").map(({ id }) => id)).toEqual(["a"]);
    index.add("b", "cat cat");
    expect(index.search("cat").map(({ id }) => id)).toEqual(["b", "a"]);
    const accept = (id: string) => id === "a";
    expect(index.search("cat", { accept }).map(({ id }) => id)).toEqual(["a"]);
    expect(index.search("cat", { k: 1 }).map(({ id }) => id)).toEqual(["b"]);
    expect(index.size).toBe(2);
  });

  test("any documents and query: equal to the formulas written out, in any order of adding", () => {
    const word = fc.constantFrom("a", "b", "c", "dd", "e");
    const text = fc.array(word, { maxLength: 12 }).map((words) => words.join(" "));
    fc.assert(
      fc.property(
        fc.array(text, { minLength: 1, maxLength: 30 }),
        text,
        fc.constantFrom(...variants),
        fc.integer({ min: 1, max: 40 }),
        (documents, query, variant, k) => {
          const entries = documents.map((document, i) => [`d${i}`, document] as const);
          const expected = writeOut(entries, query, variant).slice(0, k);
          for (const order of [entries, entries.toReversed()]) {
            const index = createBm25Index({ variant });
            for (const [id, document] of order) index.add(id, document);
            const found = index.search(query, { k });
            expect(found.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
            for (const [i, { score }] of found.entries()) {
              expect(score).toBeCloseTo(expected[i]!.score, 10);
            }
          }
        },
      ),
    );
  });

  test("what cannot be is rejected", () => {
    const index = createSmall();
    expect(() => index.add("a", "again")).toThrowCode("bm25-document-repeated", {
      found: "a",
    });
    expect(() => index.search("x", { k: 0 })).toThrowCode("bm25-option-invalid");
    const make = (options: object) => () => createBm25Index(options as Bm25Options);
    for (const options of [
      { variant: "okapi" },
      { variant: { weight: "lucene", saturation: "none" } },
      { k1: -1 },
      { b: 1.5 },
      { k1: Number.NaN },
      { variant: "plus", delta: -1 },
      { delta: 1 },
      { ties: "none" },
    ]) {
      expect(make(options)).toThrowCode("bm25-option-invalid");
    }
    expect(make({ analyzer: { words: "x" } })).toThrowCode("analyzer-option-invalid");
  });
});

/** The formulas as the literature writes them, document by document; ties by id downwards. */
function writeOut(
  documents: readonly (readonly [string, string])[],
  query: string,
  variant: Bm25VariantName,
): { id: string; score: number }[] {
  const words = (text: string) => text.split(" ").filter((word) => word !== "");
  const { k1, b, delta } = bm25Variants[variant];
  const mean = documents.reduce((sum, [, text]) => sum + words(text).length, 0) / documents.length;
  const N = documents.length;
  const found = documents.map(([id, text]) => {
    let score = 0;
    for (const term of words(query)) {
      const f = words(text).filter((word) => word === term).length;
      const n = documents.filter(([, other]) => words(other).includes(term)).length;
      if (f === 0) continue;
      const B = 1 - b + (b * words(text).length) / mean;
      const usual = ((k1 + 1) * f) / (f + k1 * B);
      const c = f / B;
      const table: Record<Bm25VariantName, () => number> = {
        lucene: () => Math.log(1 + (N - n + 0.5) / (n + 0.5)) * (f / (f + k1 * B)),
        "lucene-0.9-0.4": () => Math.log(1 + (N - n + 0.5) / (n + 0.5)) * (f / (f + k1 * B)),
        robertson: () => Math.max(0, Math.log((N - n + 0.5) / (n + 0.5))) * usual,
        atire: () => Math.log(N / n) * usual,
        plus: () => Math.log((N + 1) / n) * (delta + usual),
        l: () => (Math.log((N + 1) / (n + 0.5)) * ((k1 + 1) * (c + delta))) / (k1 + c + delta),
      };
      score += table[variant]();
    }
    return { id, score: Math.round(score * 1e12) / 1e12 };
  });
  return found
    .filter(({ score }) => score > 0)
    .sort((x, y) => y.score - x.score || (x.id < y.id ? 1 : -1));
}

const oracle = testData("retrieval/bm25/expected.json.gz");
const corpus = testData("retrieval/scifact/corpus.jsonl.gz");

interface Oracle {
  documents: string[];
  lengths: number[];
  queries: { id: string; text: string }[];
  variants: Record<Bm25VariantName, { top: [string, number][][] }>;
}

describe.skipIf(oracle.skip ?? corpus.skip)("BM25 on abstracts of SciFact", () => {
  const read = (path: string) => gunzipSync(readFileSync(path)).toString("utf8");

  test.each(variants)("%s: the scores and the order of an independent program", (variant) => {
    const expected = JSON.parse(read(oracle.folder)) as Oracle;
    const wanted = new Set(expected.documents);
    const index = createBm25Index({ variant, analyzer: { words: "ascii" } });
    for (const line of read(join(corpus.folder)).trimEnd().split("\n")) {
      const { _id, title, text } = JSON.parse(line) as Record<"_id" | "title" | "text", string>;
      if (wanted.has(_id)) index.add(_id, `${title} ${text}`);
    }
    expect(index.size).toBe(300);
    for (const [query, { text }] of expected.queries.entries()) {
      const found = index.search(text, { k: 20 });
      const top = expected.variants[variant].top[query]!;
      expect(found.map((hit) => hit.id)).toEqual(top.map(([document]) => document));
      for (const [i, { score }] of found.entries()) expect(score).toBeCloseTo(top[i]![1], 8);
    }
  });
});
