import fc from "fast-check";
import { expect, test } from "vitest";
import { createNgramModel } from "./ngram-model.ts";

const symbols = 5;
const texts = fc.array(fc.integer({ min: 0, max: symbols - 1 }), { maxLength: 200 });

test.each([1, 2, 5])(
  "order %i: what may come next sums to one, and all of it is possible",
  (order) => {
    fc.assert(
      fc.property(texts, (text) => {
        const model = createNgramModel({ order, symbols });
        for (const symbol of text) model.learn(symbol);
        const chances = Array.from({ length: symbols }, (_, symbol) => model.probability(symbol));
        expect(chances.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
        for (const chance of chances) expect(chance).toBeGreaterThan(0);
      }),
    );
  },
);

test("a bigram by hand", () => {
  // a b a b a: after a comes b twice; b has one left neighbour, a has one (the first has none).
  const model = createNgramModel({ order: 2, symbols: 2 });
  for (const symbol of [0, 1, 0, 1, 0]) model.learn(symbol);
  // Bigrams ab 2, ba 2: nothing counted once, so the discount is 1/2. Unigrams: a 2 (start and after b), b 1.
  const discount = 1 / (1 + 2 * 1);
  const unigramB = (1 - discount + discount * 2 * 0.5) / 3;
  expect(model.probability(1)).toBeCloseTo((2 - 0.5 + 0.5 * 1 * unigramB) / 2, 12);
});

test("what repeats becomes cheap", () => {
  const model = createNgramModel({ order: 5, symbols: 256 });
  for (let at = 0; at < 2000; at++) model.learn(at % 7);
  expect(model.probability(2000 % 7)).toBeGreaterThan(0.99);
});
