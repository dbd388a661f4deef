import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findMatches } from "./pattern.ts";
import { splitBefore } from "./pre-tokenizers.ts";
import { compilePattern } from "./regex.ts";
import { createRunScanner, findScanner, knownPatterns, type Scanner } from "./scanners.ts";

/** Text in which every branch of the patterns is common. */
const splitText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "\u00a0",
        "\u3000",
        "\u0085",
        "'",
        "'s",
        "'RE",
      ),
      fc.constantFrom("'ſ", "'ll", "'v", "/", "/\n", "!", "?!", "_", "1", "1234", "٣", "²", "Ⅷ"),
      fc.constantFrom(
        "a",
        "b",
        "A",
        "BC",
        "Ab",
        "aB",
        "ǅ",
        "ʰ",
        "中",
        "한",
        "é",
        "e\u0301",
        "\u0301",
      ),
      fc.constantFrom(
        "😀",
        "𝒜",
        "𝐚",
        "𝟘",
        "𐐀",
        "𐐨",
        "\u{1e8d0}",
        "▁",
        "▁▁",
        "\ufeff",
        "\u200d",
        "\0",
      ),
      fc.string({ unit: "binary", maxLength: 3 }),
    ),
    { maxLength: 14 },
  )
  .map((parts) => parts.join("").replace(/\p{Surrogate}/gu, "\ufffd"));

function scanAll(scan: Scanner, text: string): number[] {
  const units = Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  const bounds: number[] = [];
  for (let at = 0; at < text.length; ) {
    const end = scan(units, at, text.length);
    bounds.push(at, end);
    expect(end).toBeGreaterThan(at);
    at = end;
  }
  return bounds;
}

describe.each(Object.entries(knownPatterns))("scanner of %s", (_, pattern) => {
  const scan = findScanner(pattern)!;
  const expression = compilePattern(pattern);

  test("cuts as the regular expression does", () => {
    fc.assert(
      fc.property(splitText, (text) => {
        expect(scanAll(scan, text)).toEqual(findMatches(expression, text));
      }),
      { numRuns: 3000 },
    );
  });

  test("classifies every single character as the regular expression does", () => {
    const wrong: string[] = [];
    for (let codePoint = 1; codePoint < 0x30000; codePoint += codePoint < 0x3000 ? 1 : 7) {
      if (codePoint >= 0xd800 && codePoint < 0xe000) continue;
      const text = `a${String.fromCodePoint(codePoint)}B1`;
      const found = findMatches(expression, text);
      if (JSON.stringify(scanAll(scan, text)) !== JSON.stringify(found)) wrong.push(text);
    }
    expect(wrong).toEqual([]);
  });
});

test("other spellings of a pattern have its scanner, other patterns none", () => {
  const possessive =
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";
  const scan = findScanner(possessive)!;
  const expression = compilePattern(possessive);
  fc.assert(
    fc.property(splitText, (text) => {
      expect(scanAll(scan, text)).toEqual(findMatches(expression, text));
    }),
    { numRuns: 1000 },
  );
  expect(findScanner("\\p{L}+")).toBeUndefined();
});

test("the scanner for runs of spaces cuts as the split before them", () => {
  const scan = createRunScanner("▁".charCodeAt(0));
  fc.assert(
    fc.property(fc.stringMatching(/^[▁ab]{0,20}$/), (text) => {
      const pieces: number[] = [];
      splitBefore("▁", true).split(text, (start, end) => pieces.push(start, end));
      expect(scanAll(scan, text)).toEqual(pieces);
      const single: number[] = [];
      const each = splitBefore("▁", false);
      each.split(text, (start, end) => single.push(start, end));
      expect(scanAll(each.scan!, text)).toEqual(single);
    }),
  );
});
