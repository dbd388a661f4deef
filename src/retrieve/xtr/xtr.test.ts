import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import "../../testing/code-matchers.ts";
import { createIndex } from "../open-index.ts";
import { dotAt } from "../tokens/products.ts";
import { maxSim } from "../tokens/token-search.ts";
import { retrieveTokens, scoreRetrieved, type TokenProducts } from "./xtr.ts";

// Three documents with the tokens A: 0, 1; B: 2; C: 3, and two query tokens.
const hand: TokenProducts = {
  products: Float32Array.of(1, 0, 0.5, -1, 0, 0.75, 0.25, 0),
  documentOf: Uint32Array.of(0, 0, 1, 2),
  documents: 3,
};

describe("by hand", () => {
  test("the last retrieved score stands for what was not retrieved", () => {
    // Both retrieve A's best and B's token; C is not found.
    expect([...scoreRetrieved(hand, { candidates: 2 })]).toEqual([0.875, 0.375, Number.NaN]);
    // The first token retrieves A alone, whose last score is 1: that is what B and C would get.
    expect([...scoreRetrieved(hand, { candidates: 1 })]).toEqual([0.875, Number.NaN, Number.NaN]);
    expect(retrieveTokens(hand, 1).map((found) => [...found])).toEqual([[0], [1]]);
  });

  test("ties at the last score are all retrieved", () => {
    // The second query token has 0 for A's first and for C.
    expect([...scoreRetrieved(hand, { candidates: 3 })]).toEqual([0.875, 0.375, 0]);
    expect(retrieveTokens(hand, 3).map((found) => [...found])).toEqual([
      [0, 1, 2],
      [0, 1, 2, 3],
    ]);
  });

  test("nothing, or the highest score, in the place of the last", () => {
    const others: TokenProducts = { ...hand, documentOf: Uint32Array.of(0, 1, 2, 2) };
    // One each: the first finds document 0 with 1, the second document 1 with 0.75.
    expect([...scoreRetrieved(others, { candidates: 1, missing: "zero" })]).toEqual([
      0.5,
      0.375,
      Number.NaN,
    ]);
    expect([...scoreRetrieved(others, { candidates: 2, missing: "first" })]).toEqual([
      (1 + 0.75) / 2,
      (1 + 0.75) / 2,
      (0.5 + 0.25) / 2,
    ]);
  });

  test("what cannot be is rejected", () => {
    expect(() => scoreRetrieved(hand, { candidates: 0 })).toThrowCode("xtr-option-invalid");
    expect(() => scoreRetrieved(hand, { candidates: 1, missing: "none" as never })).toThrowCode(
      "xtr-option-invalid",
    );
  });
});

describe("over a random corpus", () => {
  const dim = 8;
  const random = createRandom(4, "xtr");
  const unit = (): Float32Array => {
    const row = Float32Array.from({ length: dim }, () => random.normal());
    const length = Math.hypot(...row);
    return row.map((value) => value / length);
  };
  const join = (rows: readonly Float32Array[]): Float32Array =>
    Float32Array.from(rows.flatMap((row) => [...row]));
  const documents = Array.from({ length: 30 }, () =>
    Array.from({ length: 1 + random.integer(6) }, unit),
  );
  const query = join(Array.from({ length: 5 }, unit));
  const corpus = join(documents.flat());
  const tokens = documents.flat().length;
  const products: TokenProducts = {
    products: Float32Array.from({ length: 5 * tokens }, (_, i) =>
      dotAt(query, Math.floor(i / tokens) * dim, corpus, (i % tokens) * dim, dim),
    ),
    documentOf: Uint32Array.from(documents.flatMap((rows, at) => rows.map(() => at))),
    documents: documents.length,
  };

  test("all tokens as candidates: MaxSim; fewer: upper bounds that fall", () => {
    const exact = documents.map((rows) => maxSim(query, join(rows), dim));
    const all = scoreRetrieved(products, { candidates: tokens });
    let before: Float64Array | undefined;
    for (const [at, score] of all.entries()) expect(score).toBeCloseTo(exact[at]!, 6);
    for (const candidates of [1, 5, 20, 60]) {
      const scores = scoreRetrieved(products, { candidates });
      for (const [at, score] of scores.entries()) {
        if (Number.isNaN(score)) continue;
        expect(score).toBeGreaterThanOrEqual(exact[at]! - 1e-6);
        if (before !== undefined && !Number.isNaN(before[at]!)) {
          expect(score).toBeLessThanOrEqual(before[at]! + 1e-9);
        }
      }
      before = scores;
    }
  });

  test("the index gives the same scores, from one segment or from many", async () => {
    for (const flushes of [1, 30]) {
      const index = createIndex();
      for (let at = 0; at < documents.length; at += documents.length / flushes) {
        await index.put(
          documents.slice(at, at + documents.length / flushes).map((rows, i) => ({
            id: String(at + i),
            text: "",
            tokens: { dim, vectors: join(rows) },
          })),
        );
        await index.search({ text: "sealed" });
      }
      for (const candidates of [1, 7, 40, 1000]) {
        const expected = scoreRetrieved(products, { candidates });
        const hits = await index.search({
          tokens: { dim, vectors: query },
          tokenSearch: { candidates },
          k: 100,
        });
        expect(hits).toHaveLength(expected.filter((score) => !Number.isNaN(score)).length);
        for (const { id, score } of hits) expect(score).toBeCloseTo(expected[Number(id)]!, 5);
      }
    }
  });
});
