import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { openProbe, probeParameterShapes, voteKey } from "./decipher.ts";
import { countNgrams, sampleChain, sampleFromChain } from "./reproduction-language.ts";
import { foldText, letters } from "./reproduction-training.ts";
import { lookupTask, permutationTask } from "./tasks.ts";

describe("voteKey", () => {
  const symbols = 3;
  const meanings = 4;
  const read = (text: number[], scores: number[][], from = 0, to = text.length) =>
    voteKey(Int32Array.from(text), Float32Array.from(scores.flat()), {
      from,
      to,
      symbols,
      meanings,
    });
  const sure = (meaning: number): number[] =>
    Array.from({ length: meanings }, (_, at) => (at === meaning ? -0.1 : -4));

  test("takes the majority of a symbol's positions, and -1 where it did not come", () => {
    const key = read([0, 2, 0, 0], [sure(1), sure(3), sure(2), sure(1)]);
    expect([...key.meanings]).toEqual([1, -1, 3]);
    expect(key.confidence[0]![1]).toBeGreaterThan(key.confidence[0]![2]!);
    expect([...key.confidence[1]!]).toEqual([0.25, 0.25, 0.25, 0.25]);
  });

  test("looks at its window alone", () => {
    const scores = [sure(1), sure(1), sure(2), sure(3)];
    expect(read([0, 0, 0, 1], scores, 2).meanings[0]).toBe(2);
    expect(read([0, 0, 0, 1], scores, 0, 2).meanings[1]).toBe(-1);
  });

  test("gives a tie to the meaning that is more probable on average", () => {
    const weak = [-1.3, -1.4, -1.5, -1.5];
    expect(read([0, 0], [sure(2), weak]).meanings[0]).toBe(2);
    expect(read([0, 0], [weak, sure(2)]).meanings[0]).toBe(2);
  });
});

test("a probe gives log-probabilities of meanings for rows of activations", async () => {
  const shapes = probeParameterShapes({ width: 6, inner: 5, meanings: 4 });
  const random = createRandom(2);
  const parameters = new Map(
    [...shapes].map(([name, shape]) => {
      const count = shape.reduce((a, b) => a * b, 1);
      return [name, { shape, data: Float32Array.from({ length: count }, () => random.normal()) }];
    }),
  );
  await using probe = await openProbe(parameters, { threads: 1 });
  const hidden = Float32Array.from({ length: 18 }, () => random.normal());
  const found = await probe.read(hidden);
  expect(found).toHaveLength(12);
  for (let row = 0; row < 3; row++) {
    const own = found.subarray(row * 4, row * 4 + 4);
    expect(own.reduce((total, value) => total + Math.exp(value), 0)).toBeCloseTo(1, 5);
    const alone = await probe.read(hidden.slice(row * 6, row * 6 + 6));
    for (const [at, value] of alone.entries()) expect(value).toBeCloseTo(own[at]!, 4);
  }
});

describe("tasks", () => {
  const symbols = Array.from({ length: 10 }, (_, id) => id + 5);

  test("a table holds every key once, and its answer", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 10 }), (seed, entries) => {
        const random = createRandom(seed);
        const task = lookupTask({ random, symbols, entries, arrow: [1], separator: [0] });
        const { prompt, answer } = task;
        expect(prompt).toHaveLength(4 * entries + 2);
        const pairs = Array.from({ length: entries }, (_, at) =>
          prompt.subarray(4 * at, 4 * at + 4),
        );
        for (const pair of pairs) expect([pair[1], pair[3]]).toEqual([1, 0]);
        expect(new Set(pairs.map(([key]) => key)).size).toBe(entries);
        const asked = pairs.find(([key]) => key === prompt.at(-2))!;
        expect([...answer]).toEqual([asked[2]]);
      }),
    );
  });

  test("every demonstration and the answer are reordered in the same way", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 2, max: 5 }), (seed, length) => {
        const random = createRandom(seed);
        const options = { random, symbols, length, arrow: [1], separator: [0] };
        const { prompt, answer } = permutationTask({ ...options, demonstrations: 3 });
        const size = 2 * length + 2;
        expect(prompt).toHaveLength(3 * size + length + 1);
        const whole = [...prompt, ...answer];
        const orders = [0, 1, 2, 3].map((shown) => {
          const first = whole.slice(shown * size, shown * size + length);
          const second = whole.slice(shown * size + length + 1, shown * size + 2 * length + 1);
          return second.map((symbol) => first.indexOf(symbol)).join();
        });
        expect(new Set(orders).size).toBe(1);
        expect(orders[0]).not.toContain("-1");
      }),
    );
  });
});

describe("small languages", () => {
  test("n-grams are distributions that come near what was counted", () => {
    const random = createRandom(4);
    const chain = sampleChain(4, 0.5, random);
    for (const row of chain.rows) expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 10);
    const text = sampleFromChain(chain, 1, 20_000, random).ids;
    const model = countNgrams(text, 4, 3);
    for (const prefix of [[], [2], [1, 3], [0, 2, 1, 3]]) {
      const next = Array.from(model(prefix));
      expect(next.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 10);
      expect(Math.min(...next)).toBeGreaterThan(0);
      if (prefix.length === 0) continue;
      const truth = chain.next(prefix);
      for (const [id, value] of next.entries())
        expect(Math.abs(value - truth[id]!)).toBeLessThan(0.05);
    }
  });

  test("texts fold into letters and single spaces", () => {
    const folded = foldText("To be, or NOT\n\nto be?");
    expect(Array.from(folded, (id) => letters[id]).join("")).toBe("to be or not to be ");
  });
});
