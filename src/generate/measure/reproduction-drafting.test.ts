import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lengthWithoutLoop } from "./reproduction-drafting.ts";

describe("the length of a text without its loop", () => {
  test("is that of the text before its end becomes periodic", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(1000), { minLength: 0, maxLength: 40 }),
        fc.uniqueArray(fc.integer({ min: 2000, max: 3000 }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 12, max: 20 }),
        fc.nat(19),
        (before, stretch, times, rest) => {
          const loop = Array.from({ length: times }, () => stretch).flat();
          const text = [...before, ...loop, ...stretch.slice(0, rest % stretch.length)];
          expect(lengthWithoutLoop(text)).toBe(before.length + stretch.length);
        },
      ),
    );
  });

  test("is the whole length of a text that does not end in a loop", () => {
    expect(lengthWithoutLoop([])).toBe(0);
    expect(lengthWithoutLoop([1, 2, 1, 2, 1, 2])).toBe(6);
    const looped = Array.from({ length: 30 }, (_, at) => at % 3);
    expect(lengthWithoutLoop([...looped, 7])).toBe(31);
    expect(lengthWithoutLoop([...looped, 0, 1])).toBe(3);
  });
});
