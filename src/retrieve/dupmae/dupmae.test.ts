/** DupMAE's representation by hand, and in an index against the plain products. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import type { HybridVector } from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { createIndex } from "../open-index.ts";
import { hybridTerms, scoreHybrid } from "./dupmae.ts";

const vector = (dense: number[], terms: Record<number, number>): HybridVector => ({
  dense: Float32Array.from(dense),
  ids: Uint32Array.from(Object.keys(terms), Number),
  weights: Float32Array.from(Object.values(terms)),
});

/** The document's words, all of them or the `count` with the largest weights. */
function randomVector(seed: number, vocabSize: number, count = vocabSize): HybridVector {
  const random = createRandom(seed, "hybrid");
  const weights = Float32Array.from({ length: vocabSize }, () => random.normal());
  const order = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]!);
  const ids = Uint32Array.from(order.slice(0, count)).sort();
  return {
    dense: Float32Array.from({ length: 4 }, () => random.normal()),
    ids,
    weights: Float32Array.from(ids, (id) => weights[id]!),
  };
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, at) => sum + value * b[at]!, 0);

test("by hand: two dense numbers and three words", () => {
  const query = vector([1, -2], { 0: 0.5, 3: 2, 7: -1 });
  const document = vector([3, 1], { 3: 4, 7: 1 });
  // 3 - 2, and 2 · 4 - 1 · 1.
  expect(scoreHybrid(query, document)).toBe(8);
  expect([...hybridTerms(document, 10).ids]).toEqual([3, 7, 10, 11]);
  expect([...hybridTerms(document, 10).weights]).toEqual([4, 1, 3, 1]);
});

describe("the score", () => {
  test("of documents that keep every word is the product of the whole vectors", () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const [query, document] = [randomVector(seed, 12), randomVector(seed + 1, 12)];
        const whole = dot(query.dense, document.dense) + dot(query.weights, document.weights);
        expect(scoreHybrid(query, document)).toBeCloseTo(whole, 4);
      }),
    );
  });

  test("of others is that product at the document's words alone", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 12 }), (seed, count) => {
        const [query, document] = [randomVector(seed, 12), randomVector(seed + 1, 12, count)];
        const at = [...document.ids].map((id) => query.weights[id]!);
        const restricted = dot(query.dense, document.dense) + dot(document.weights, at);
        expect(scoreHybrid(query, document)).toBeCloseTo(restricted, 4);
      }),
    );
  });
});

test("an index ranks by the score, dense numbers and negative weights among them", async () => {
  const vocabSize = 30;
  const documents = Array.from({ length: 20 }, (_, at) => randomVector(at, vocabSize, 8));
  await using index = createIndex();
  await index.put(
    documents.map((document, at) => ({
      id: `document ${at}`,
      text: "",
      sparse: hybridTerms(document, vocabSize),
    })),
  );
  const query = randomVector(100, vocabSize);
  const hits = await index.search({ sparse: hybridTerms(query, vocabSize), k: 20 });
  const expected = documents
    .map((document, at) => ({ id: `document ${at}`, score: scoreHybrid(query, document) }))
    .sort((a, b) => b.score - a.score);
  expect(hits.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
  for (const [at, { score }] of hits.entries()) expect(score).toBeCloseTo(expected[at]!.score, 4);
});

test("a word outside of the vocabulary is refused", async () => {
  expect(await codeOf(() => hybridTerms(vector([1], { 9: 1 }), 9))).toBe("dupmae-term-unknown");
});
