import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import { sparsemax } from "./focus.ts";
import { trainSubwordVectors } from "./subword-vectors.ts";

describe("sparsemax", () => {
  test("by hand: what lies more than 1 below the largest counts nothing", () => {
    expect(sparsemax([3, 0])).toEqual([1, 0]);
    expect(sparsemax([0.5, 0.5, -2])).toEqual([0.5, 0.5, 0]);
    const [a, b] = sparsemax([0.6, 0.4]);
    expect([a, b]).toEqual([expect.closeTo(0.6), expect.closeTo(0.4)]);
  });

  test("sums to 1, keeps the order, and is nearer than any other such point", () => {
    const list = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(list, fc.nat(1000), (values, seed) => {
        const found = sparsemax(values);
        expect(found.reduce((a, b) => a + b)).toBeCloseTo(1, 9);
        const distance = (point: readonly number[]): number =>
          point.reduce((sum, value, i) => sum + (value - values[i]!) ** 2, 0);
        const random = createRandom(seed);
        const other = values.map(() => -Math.log(1 - random.uniform()));
        const total = other.reduce((a, b) => a + b);
        expect(distance(found)).toBeLessThanOrEqual(
          distance(other.map((value) => value / total)) + 1e-9,
        );
      }),
    );
  });
});

describe("trainSubwordVectors", () => {
  // Two kinds of tokens that never stand beside each other.
  const forms = ["Ġcat", "Ġdog", "Ġhorse", "Ġred", "Ġblue", "Ġgreen", undefined];
  const random = createRandom(4);
  const texts = Array.from({ length: 300 }, (_, at) =>
    Array.from({ length: 8 }, () => 3 * (at % 2) + random.integer(3)),
  );
  const width = 12;
  const options = { width, epochs: 4, buckets: 64, subsample: 1, seed: 1 };
  const vectors = trainSubwordVectors(texts, forms, options);
  const cosine = (a: number, b: number): number => {
    const row = (id: number) => vectors.subarray(id * width, (id + 1) * width);
    const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, v, i) => sum + v * y[i]!, 0);
    return dot(row(a), row(b)) / Math.sqrt(dot(row(a), row(a)) * dot(row(b), row(b)));
  };

  test("brings together what occurs together, and apart what does not", () => {
    for (const id of [0, 1, 2]) {
      expect(cosine(id, (id + 1) % 3)).toBeGreaterThan(cosine(id, 3 + ((id + 1) % 3)) + 0.3);
    }
  });

  test("repeats with its seed; a token that never occurs has no vector", () => {
    expect(trainSubwordVectors(texts, forms, options)).toEqual(vectors);
    expect(trainSubwordVectors(texts, forms, { ...options, seed: 2 })).not.toEqual(vectors);
    expect([...vectors.subarray(6 * width)]).toEqual(new Array(width).fill(0));
  });
});
