import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Sampling, TokenDistribution } from "../sampling/sampler.ts";
import { unfilteredSampling } from "../testing/unfiltered-sampling.ts";
import { NgramModel } from "./ngram-draft.ts";

const sampling: Sampling = { ...unfilteredSampling, temperature: 1 };

const symbols = 6;
const texts = fc.array(
  fc.array(fc.integer({ min: 0, max: symbols - 1 }), { minLength: 1, maxLength: 40 }),
  { minLength: 1, maxLength: 4 },
);
const contexts = fc.array(fc.integer({ min: 0, max: symbols }), { maxLength: 6 });
const orders = fc.integer({ min: 1, max: 5 });

function learned(order: number, documents: readonly number[][], candidates = 64): NgramModel {
  const model = new NgramModel({ order, candidates });
  for (const text of documents) model.learn(text);
  return model;
}

const asMap = ({ ids, probabilities }: TokenDistribution): Map<number, number> =>
  new Map(Array.from(ids, (id, at) => [id, probabilities[at]!]));

/** Witten and Bell's interpolation, counting the texts again for every context. */
function bruteForce(order: number, documents: readonly number[][], context: readonly number[]) {
  const followers = (tail: readonly number[]): number[] =>
    documents.flatMap((text) =>
      text.filter(
        (_, at) => at >= tail.length && tail.every((id, k) => text[at - tail.length + k] === id),
      ),
    );
  const distribution = new Map<number, number>();
  for (let id = 0; id < symbols; id++) {
    let probability = 0;
    for (let length = 0; length < order && length <= context.length; length++) {
      const found = followers(context.slice(context.length - length));
      if (found.length === 0) break;
      const count = found.filter((other) => other === id).length;
      const kinds = length === 0 ? 0 : new Set(found).size;
      probability = (count + kinds * probability) / (found.length + kinds);
    }
    if (probability > 0) distribution.set(id, probability);
  }
  return distribution;
}

describe("the n-gram draft", () => {
  test("distributions sum to one over at most the wanted number of distinct tokens, most probable first", () => {
    fc.assert(
      fc.property(texts, contexts, orders, fc.integer({ min: 1, max: 8 }), (...given) => {
        const [documents, context, order, candidates] = given;
        const { ids, probabilities } = learned(order, documents, candidates).distribution(
          context,
          sampling,
        );
        expect(probabilities.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 6);
        expect(new Set(ids).size).toBe(ids.length);
        expect(ids.length).toBeLessThanOrEqual(candidates);
        for (let at = 1; at < ids.length; at++) {
          expect(probabilities[at]).toBeLessThanOrEqual(probabilities[at - 1]!);
        }
      }),
    );
  });

  test("equals Witten and Bell's distribution, by brute force", () => {
    fc.assert(
      fc.property(texts, contexts, orders, (documents, context, order) => {
        const distribution = asMap(learned(order, documents).distribution(context, sampling));
        const expected = bruteForce(order, documents, context);
        expect([...distribution.keys()].sort()).toEqual([...expected.keys()].sort());
        for (const [id, probability] of expected)
          expect(distribution.get(id)).toBeCloseTo(probability, 5);
      }),
    );
  });

  test("depends on its context only, and not on the order of texts", () => {
    fc.assert(
      fc.property(texts, contexts, contexts, orders, (documents, before, context, order) => {
        const model = learned(order, documents);
        const tail = context.slice(Math.max(0, context.length - order + 1));
        if (tail.length === order - 1) {
          expect(model.distribution([...before, ...tail], sampling)).toEqual(
            model.distribution(context, sampling),
          );
        }
        const other = learned(order, [...documents].reverse());
        expect(other.distribution(context, sampling)).toEqual(
          model.distribution(context, sampling),
        );
      }),
    );
  });

  test("applies the request's sampling options", () => {
    const model = learned(2, [[1, 2, 1, 2, 1, 3, 1, 4]]);
    const [best] = model.distribution([1], { ...sampling, topK: 1 }).ids;
    expect(best).toBe(2);
    expect(model.distribution([1], { ...sampling, topK: 2 }).ids).toHaveLength(2);
    const [sharp, flat] = [0.5, 2].map(
      (temperature) => asMap(model.distribution([1], { ...sampling, temperature })).get(2)!,
    );
    expect(sharp).toBeGreaterThan(flat!);
  });

  test("gives distributions below nodes by their paths, and empty ones for unknown contexts", async () => {
    const model = learned(3, [[1, 2, 3, 1, 2, 4]]);
    const distributions = model
      .begin({ promptIds: [], sampling }, sampling)
      .distributionsBelow([5, 1]);
    const tree = { ids: [2, 3], parents: [-1, 0] };
    const [root, second] = await distributions.after([-1, 0], tree);
    expect(root).toEqual(model.distribution([5, 1], sampling));
    expect(second).toEqual(model.distribution([1, 2], sampling));
    const empty = new NgramModel().distribution([1], sampling);
    expect(empty.ids).toHaveLength(0);
    expect(() => new NgramModel({ order: 0 })).toThrow(/expected an integer from 1 to 8/);
  });
});
