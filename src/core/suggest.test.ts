import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { editDistance, suggest } from "./suggest.ts";

const word = fc.stringMatching(/^[abc]{0,6}$/);

describe("editDistance", () => {
  test("counts a swap of neighbours once", () => {
    expect(editDistance("tokenzie", "tokenize")).toBe(1);
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(editDistance("", "run")).toBe(3);
  });

  test("is zero for equal words alone, symmetric, and grows slowly with edits", () => {
    fc.assert(
      fc.property(word, word, fc.nat(), fc.constantFrom("a", "b", "c", "d"), (a, b, at, letter) => {
        const distance = editDistance(a, b);
        expect(distance === 0).toBe(a === b);
        expect(editDistance(b, a)).toBe(distance);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
        const place = at % (b.length + 1);
        const edited = b.slice(0, place) + letter + b.slice(place);
        // The restricted distance breaks the triangle inequality (a part is edited once), but it is
        // at least half of Levenshtein's, which keeps it.
        expect(editDistance(b, edited)).toBe(1);
        expect(editDistance(a, edited)).toBeLessThanOrEqual(2 * distance + 1);
        expect(editDistance(letter + a, letter + b)).toBeLessThanOrEqual(distance);
      }),
    );
  });
});

describe("suggest", () => {
  const commands = ["run", "serve", "score", "tokenize", "inspect", "systems"];
  test.each([
    ["tokenise", "tokenize"],
    ["inspcet", "inspect"],
    ["rnu", "run"],
    ["Serve", "serve"],
    ["token", "tokenize"],
    ["sys", "systems"],
  ])("%s means %s", (written, meant) => expect(suggest(written, commands)).toBe(meant));

  test.each(["", "s", "xyzzy", "runtime-environment"])("%s means nothing", (written) =>
    expect(suggest(written, commands)).toBeUndefined(),
  );
});
