import fc from "fast-check";
import { describe, expect, test } from "vitest";
import "../testing/code-matchers.ts";
import { characterNgrams, compareBags } from "./character-ngrams.ts";
import { createMinHash, createMinHashIndex, estimateJaccard } from "./min-hash.ts";

describe("character n-grams", () => {
  test("by hand", () => {
    expect([...characterNgrams("banana", { n: 2 })]).toEqual([
      ["ba", 1],
      ["an", 2],
      ["na", 2],
    ]);
    expect([...characterNgrams("ab", { n: 2, pad: "_" }).keys()]).toEqual(["_a", "ab", "b_"]);
    expect([...characterNgrams("a😀b", { n: 2 }).keys()]).toEqual(["a😀", "😀b"]);
    expect([...characterNgrams("ab", { n: 3 }).keys()]).toEqual(["ab"]);
    expect(characterNgrams("").size).toBe(0);
  });

  test("similarities by hand, symmetric and 1 for equals", () => {
    const [a, b] = [characterNgrams("anna", { n: 1 }), characterNgrams("nan", { n: 1 })];
    // a: a 2, n 2; b: n 2, a 1.
    expect(compareBags(a, b)).toBe(3 / 4);
    expect(compareBags(a, b, "dice")).toBe(6 / 7);
    expect(compareBags(a, b, "cosine")).toBeCloseTo(6 / Math.sqrt(8 * 5), 12);
    const measure = fc.constantFrom("jaccard", "dice", "cosine");
    fc.assert(
      fc.property(fc.string(), fc.string(), measure, (x, y, kind) => {
        const [bagX, bagY] = [characterNgrams(x), characterNgrams(y)];
        const similarity = compareBags(bagX, bagY, kind);
        expect(compareBags(bagY, bagX, kind)).toBeCloseTo(similarity, 12);
        expect(similarity).toBeGreaterThanOrEqual(0);
        expect(similarity).toBeLessThanOrEqual(1 + 1e-12);
        expect(compareBags(bagX, bagX, kind)).toBeCloseTo(1, 12);
      }),
    );
  });

  test("elements that occur 0 times count for nothing", () => {
    const [none, one] = [new Map([["a", 0]]), new Map([["b", 1]])];
    for (const measure of ["jaccard", "dice", "cosine"] as const) {
      expect(compareBags(none, new Map(), measure)).toBe(1);
      expect(compareBags(none, one, measure)).toBe(0);
    }
  });

  test("options are checked", () => {
    expect(() => characterNgrams("a", { n: 0 })).toThrowCode("ngram-option-invalid");
    expect(() => characterNgrams("a", { pad: "ab" })).toThrowCode("ngram-option-invalid");
    const wrong = [{ size: 2 }, null, { pad: 5 }] as object[];
    for (const options of wrong) {
      expect(() => characterNgrams("a", options)).toThrowCode("ngram-option-invalid");
    }
    expect(() => characterNgrams(5 as unknown as string)).toThrowCode("ngram-option-invalid");
    expect(() => characterNgrams("ab", { n: 1e10, pad: "_" })).toThrowCode("ngram-option-invalid");
    for (const bag of [{}, null, "text", new Map([["a", -1]]), new Map([["a", Number.NaN]])]) {
      const wrong = bag as Map<string, number>;
      expect(() => compareBags(wrong, new Map())).toThrowCode("bag-invalid");
      expect(() => compareBags(new Map(), wrong)).toThrowCode("bag-invalid");
    }
    const overlap = "overlap" as "dice";
    expect(() => compareBags(new Map(), new Map(), overlap)).toThrowCode("ngram-option-invalid");
  });
});

describe("MinHash", () => {
  const numbers = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `element ${from + i}`);

  test("the share of equal numbers estimates the Jaccard similarity", () => {
    const minHash = createMinHash({ hashes: 1024, seed: 3 });
    for (const common of [0, 20, 50, 80, 100]) {
      const a = minHash.signature(numbers(0, 100));
      const b = minHash.signature(numbers(100 - common, 200 - common));
      const jaccard = common / (200 - common);
      // Four standard deviations.
      const tolerance = 4 * Math.sqrt((jaccard * (1 - jaccard)) / 1024);
      expect(Math.abs(estimateJaccard(a, b) - jaccard)).toBeLessThanOrEqual(tolerance);
    }
  });

  test("buckets find a similar set as often as the formula says", () => {
    const trials = 400;
    for (const [bands, rows, common] of [
      [8, 4, 50],
      [16, 2, 20],
      [4, 8, 80],
      [32, 1, 6],
    ] as const) {
      let found = 0;
      for (let trial = 0; trial < trials; trial++) {
        const minHash = createMinHash({ hashes: bands * rows, seed: trial });
        const index = createMinHashIndex({ bands, rows });
        index.add(minHash.signature(numbers(0, 50 + common / 2)));
        const other = minHash.signature(numbers(50 - common / 2, 100));
        found += index.candidates(other).length;
      }
      const chance = 1 - (1 - (common / 100) ** rows) ** bands;
      const deviation = Math.sqrt((chance * (1 - chance)) / trials);
      expect(Math.abs(found / trials - chance)).toBeLessThanOrEqual(4 * deviation);
    }
  });

  test("order and repetition change nothing; another seed does", () => {
    const minHash = createMinHash();
    const one = minHash.signature(["a", "b", "c"]);
    expect(minHash.signature(["c", "a", "b", "a"])).toEqual(one);
    expect(createMinHash({ seed: 1 }).signature(["a", "b", "c"])).not.toEqual(one);
    expect(minHash.signature([])).toEqual(new Uint32Array(128).fill(0xffffffff));
  });

  test("signatures in a common bucket are candidates", () => {
    const minHash = createMinHash({ hashes: 64 });
    const index = createMinHashIndex({ bands: 32, rows: 2 });
    const sets = [numbers(0, 50), numbers(2, 52), numbers(1000, 1050)];
    expect(sets.map((set) => index.add(minHash.signature(set)))).toEqual([0, 1, 2]);
    expect(index.candidates(minHash.signature(sets[0]!))).toEqual([0, 1]);
    expect(index.candidates(minHash.signature(sets[2]!))).toEqual([2]);
  });

  test("what does not fit is rejected", () => {
    expect(() => createMinHash({ hashes: 0 })).toThrowCode("min-hash-option-invalid");
    expect(() => createMinHashIndex({ bands: 1, rows: 0.5 })).toThrowCode(
      "min-hash-option-invalid",
    );
    for (const options of [{ permutations: 64 }, { seed: "a" }, { seed: 0.5 }, null] as object[]) {
      expect(() => createMinHash(options)).toThrowCode("min-hash-option-invalid");
    }
    expect(() => createMinHash({ hashes: 1e10 })).toThrowCode("min-hash-option-invalid");
    const huge = { bands: 1e10, rows: 1 };
    expect(() => createMinHashIndex(huge)).toThrowCode("min-hash-option-invalid");
    // Numbers have no characters: all of them would be one element.
    for (const elements of [[1, 2], null, 5, [undefined]] as unknown as string[][]) {
      const code = "min-hash-element-invalid";
      expect(() => createMinHash().signature(elements)).toThrowCode(code);
    }
    const index = createMinHashIndex({ bands: 2, rows: 2 });
    for (const signature of [[1, 2, 3, 4], null, new Float64Array(4)] as unknown as Uint32Array[]) {
      expect(() => index.add(signature)).toThrowCode("min-hash-length");
      expect(() => index.candidates(signature)).toThrowCode("min-hash-length");
      expect(() => estimateJaccard(signature, new Uint32Array(4))).toThrowCode("min-hash-length");
      expect(() => estimateJaccard(new Uint32Array(4), signature)).toThrowCode("min-hash-length");
    }
    const none = new Uint32Array(0);
    expect(() => estimateJaccard(none, none)).toThrowCode("min-hash-length");
    expect(() => index.add(new Uint32Array(3))).toThrowCode("min-hash-length");
    expect(() => estimateJaccard(new Uint32Array(3), new Uint32Array(4))).toThrowCode(
      "min-hash-length",
    );
  });
});
