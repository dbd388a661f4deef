import { expect, test } from "vitest";
import { charactersBetween } from "./characters-between.ts";

test.each([
  [0x61, 0x63, "abc"],
  [0x1f600, 0x1f601, "😀😁"],
  // No byte order mark is taken away, and surrogates are no characters.
  [0xfeff, 0xff01, "\ufeff\uff00！"],
  [0xd7ff, 0xd801, "\ud7ff\ufffd\ufffd"],
])("%i to %i", (first, last, text) => {
  expect(charactersBetween(first, last)).toBe(text);
});

test("whole planes, character by character", () => {
  for (const [first, last] of [
    [0, 0xd7ff],
    [0xe000, 0xffff],
    [0x10000, 0x3ffff],
    [0x100000, 0x10ffff],
  ] as const) {
    const points = Array.from(charactersBetween(first, last), (one) => one.codePointAt(0)!);
    expect(points.length).toBe(last - first + 1);
    expect(points.every((point, at) => point === first + at)).toBe(true);
  }
});
