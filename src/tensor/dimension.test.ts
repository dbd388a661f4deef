/** Polynomials over named sizes: what holds for numbers holds for them. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addDimensions,
  canonicalDimension,
  type Dimension,
  dimensionNames,
  divideDimensions,
  evaluateDimension,
  formatShape,
  isDimensionName,
  multiplyDimensions,
  subtractDimensions,
} from "./dimension.ts";

const sizes = fc.record({
  batch: fc.integer({ min: 0, max: 9 }),
  past: fc.integer({ min: 0, max: 9 }),
  time: fc.integer({ min: 0, max: 9 }),
});

const dimension: fc.Arbitrary<Dimension> = fc
  .array(
    fc.record({
      coefficient: fc.integer({ min: 1, max: 5 }),
      names: fc.array(fc.constantFrom("batch", "past", "time"), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((terms) =>
    addDimensions(
      ...terms.map(({ coefficient, names }) => multiplyDimensions(coefficient, ...names)),
    ),
  );

const value = (of: Dimension, at: Record<string, number>): number =>
  evaluateDimension(of, new Map(Object.entries(at)));

describe("dimensions", () => {
  test("sums, differences and products are those of the values", () => {
    fc.assert(
      fc.property(dimension, dimension, sizes, (a, b, at) => {
        expect(value(addDimensions(a, b), at)).toBe(value(a, at) + value(b, at));
        expect(value(multiplyDimensions(a, b), at)).toBe(value(a, at) * value(b, at));
        expect(value(subtractDimensions(addDimensions(a, b), b), at)).toBe(value(a, at));
      }),
    );
  });

  test("equal dimensions are spelt alike, however they came about", () => {
    fc.assert(
      fc.property(dimension, dimension, dimension, (a, b, c) => {
        expect(addDimensions(a, b)).toBe(addDimensions(b, a));
        expect(multiplyDimensions(a, b)).toBe(multiplyDimensions(b, a));
        expect(multiplyDimensions(a, addDimensions(b, c))).toBe(
          addDimensions(multiplyDimensions(a, b), multiplyDimensions(a, c)),
        );
        expect(subtractDimensions(a, a)).toBe(0);
        expect(canonicalDimension(a)).toBe(a);
      }),
    );
  });

  test("a quotient is exact, or there is none", () => {
    fc.assert(
      fc.property(dimension, dimension, (a, b) => {
        const quotient = divideDimensions(a, b);
        if (quotient !== undefined) expect(multiplyDimensions(quotient, b)).toBe(a);
      }),
    );
    fc.assert(
      fc.property(
        dimension,
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom("batch", "past"),
        (a, n, name) => {
          const b = multiplyDimensions(n, name);
          expect(divideDimensions(multiplyDimensions(a, b), b)).toBe(a);
        },
      ),
    );
    expect(divideDimensions("batch+1", "batch")).toBeUndefined();
    expect(divideDimensions("3*batch", 2)).toBeUndefined();
    expect(divideDimensions(6, 0)).toBeUndefined();
  });

  test("are written as people write them", () => {
    expect(canonicalDimension("time*batch*2+past")).toBe("2*batch*time+past");
    expect(canonicalDimension("time-1")).toBe("time-1");
    expect(canonicalDimension("time-time+3")).toBe(3);
    expect(dimensionNames("2*batch*time+past+1")).toEqual(["batch", "time", "past"]);
    expect(formatShape(["batch", 3])).toBe("[batch, 3]");
    expect(isDimensionName("time")).toBe(true);
    expect(isDimensionName("time+1")).toBe(false);
    expect(isDimensionName(3)).toBe(false);
  });

  test.each(["", "2time", "time+", "a b", "time/2", "-", "*time", -1, 1.5, Number.NaN])(
    "%j is none",
    (wrong) => {
      expect(() => canonicalDimension(wrong)).toThrow(
        expect.objectContaining({ code: "tensor-dimension-invalid" }),
      );
    },
  );

  test("a name without a value has none", () => {
    expect(() => evaluateDimension("time+1", new Map())).toThrow(
      expect.objectContaining({ code: "tensor-dimension-unknown" }),
    );
  });
});
