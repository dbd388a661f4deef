import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../testing/code-of.ts";
import { testData } from "../../testing/test-data.ts";
import { decodeKinds } from "./decode-kinds.ts";
import { type SplitWordsOptions, splitWords } from "./split-words.ts";
import { findWordBreaks } from "./word-breaks.ts";
import { kindOf } from "./word-properties.ts";

/** Words as text; only for texts whose words are whole characters. */
function wordsOf(text: string, options: SplitWordsOptions = {}): string[] {
  const bytes = new TextEncoder().encode(text);
  let start = 0;
  return [...splitWords(text, options)].map((end) => {
    const word = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(start, end));
    start = end;
    return word;
  });
}

/** A text with `÷` at the word boundaries of UAX #29. */
function boundaries(text: string): string {
  const characters = [...text];
  const breaks = findWordBreaks(characters.map((one) => kindOf(one.codePointAt(0)!)));
  return characters.map((one, at) => (at > 0 && breaks[at] === 1 ? `÷${one}` : one)).join("");
}

describe("word boundaries of UAX #29, rule by rule", () => {
  // Worked by hand from the text of the rules.
  test.each([
    ["WB3", "a\r\nb", "a÷\r\n÷b"],
    ["WB3a, WB3b", "a\n\u0308b\u2028\u2028", "a÷\n÷\u0308÷b÷\u2028÷\u2028"],
    ["WB3c", "👩\u200d💻 a\u200d💻", "👩\u200d💻÷ ÷a\u200d💻"],
    ["WB3d", "a  \u2003b\t\tc", "a÷  \u2003÷b÷\t÷\t÷c"],
    ["WB4", "e\u0301\u00adx, e\u0301", "e\u0301\u00adx÷,÷ ÷e\u0301"],
    ["WB4 after a space", "a \u0308b", "a÷ \u0308÷b"],
    ["WB5", "naïve Straße", "naïve÷ ÷Straße"],
    ["WB6, WB7", "can't a.b a:b a.,b a.", "can't÷ ÷a.b÷ ÷a:b÷ ÷a÷.÷,÷b÷ ÷a÷."],
    ["WB6 across WB4", "can\u2019\u0308t", "can\u2019\u0308t"],
    ["WB7a", "א' א'1", "א'÷ ÷א'÷1"],
    ["WB7b, WB7c", 'א"א א"b', 'א"א÷ ÷א÷"÷b'],
    ["WB8", "3210", "3210"],
    ["WB9, WB10", "A3a 3A3", "A3a÷ ÷3A3"],
    ["WB11, WB12", "3.14 1,000;5 3,a 1.", "3.14÷ ÷1,000;5÷ ÷3÷,÷a÷ ÷1÷."],
    ["WB13", "カタカナひら漢字", "カタカナ÷ひ÷ら÷漢÷字"],
    ["WB13a, WB13b", "a_1_カ__ _", "a_1_カ__÷ ÷_"],
    ["WB15", "🇩🇪🇫🇷🇬", "🇩🇪÷🇫🇷÷🇬"],
    ["WB16", "a🇩🇪🇫b🇩\u200d🇪🇫", "a÷🇩🇪÷🇫÷b÷🇩\u200d🇪÷🇫"],
    ["WB999", "a+b=ก", "a÷+÷b÷=÷ก"],
  ])("%s", (_, text, expected) => expect(boundaries(text)).toBe(expected));

  test("letters of scripts that need a dictionary stand alone; their digits and marks do not", () => {
    expect(boundaries("ภาษา ๑๒")).toBe("ภ÷า÷ษ÷า÷ ÷๑๒");
    expect(boundaries("한국어 русский עברית عربي")).toBe("한국어÷ ÷русский÷ ÷עברית÷ ÷عربي");
  });
});

describe("words", () => {
  test.each([
    ["Hello, world!", ["Hello,", " world!"]],
    ["howAreYou", ["how", "Are", "You"]],
    ["how_are_you", ["how_", "are_", "you"]],
    ["can't", ["can'", "t"]],
    ["a  b\tc \nd", ["a", "  ", "b", "\t", "c", " ", "\n", "d"]],
    ["(x) = 3.14", ["(", "x)", " =", " 3.", "14"]],
    ["", []],
  ])("unicode: %j", (text, expected) => expect(wordsOf(text)).toEqual(expected));

  test("whitespace belongs to the word before it", () => {
    const options = { rule: "whitespace" } as const;
    expect(wordsOf("the cat,  sat\n\n on", options)).toEqual(["the ", "cat,  ", "sat\n\n ", "on"]);
    expect(wordsOf("  the", options)).toEqual(["  ", "the"]);
  });

  test("fixed pieces and the limit of bytes", () => {
    expect(wordsOf("abcdefgh", { rule: { fixed: 3 } })).toEqual(["abc", "def", "gh"]);
    expect(wordsOf("verylongword", { maxBytes: 10 })).toEqual(["verylongwo", "rd"]);
    expect(wordsOf("für", { maxBytes: 2 })).toEqual(["f", "ü", "r"]);
    expect([...splitWords("€", { maxBytes: 2 })]).toEqual([2, 3]);
  });

  test("what cannot be followed is refused", async () => {
    for (const options of [{ rule: { fixed: 0 } }, { rule: "words" }, { maxBytes: 0.5 }]) {
      const code = await codeOf(() => splitWords("a", options as SplitWordsOptions));
      expect(code).toBe("word-rule-invalid");
    }
  });
});

const rules: readonly SplitWordsOptions[] = [
  {},
  { rule: "whitespace" },
  { rule: { fixed: 8 } },
  { maxBytes: 5 },
  { rule: "whitespace", maxBytes: 7 },
];

/** No byte is lost, and each prefix has the words of the whole, the last one perhaps shorter. */
function expectStable(bytes: Uint8Array, cuts: Iterable<number>, options: SplitWordsOptions): void {
  const whole = splitWords(bytes, options);
  expect(whole.at(-1) ?? 0).toBe(bytes.length);
  expect(whole.every((end, at) => end > (whole[at - 1] ?? 0))).toBe(true);
  for (const cut of cuts) {
    const prefix = splitWords(bytes.subarray(0, cut), options);
    const own = [...prefix.slice(0, -1)];
    expect(own).toEqual([...whole.subarray(0, own.length)]);
    expect(whole[own.length] ?? 0).toBeGreaterThanOrEqual(prefix.at(-1) ?? 0);
  }
}

describe("lossless and stable under prefixes", () => {
  // Characters that the rules treat in different ways, drawn more often than chance would.
  const special = fc.constantFrom(
    ..."aB3_'\".,:;() \t\n\r-é€",
    ..."\u00ad\u0308\u200d\u200b\u2019\u2044\u3000\u00a0\u2028",
    ...["א", "カ", "ひ", "漢", "ก", "🇩", "💻", "👩", "ß", "١"],
  );
  const text = fc.array(fc.oneof(special, fc.string({ unit: "grapheme", maxLength: 3 })), {
    maxLength: 24,
  });

  test.each(rules)("random Unicode, %j", (options) => {
    fc.assert(
      fc.property(text, (parts) => {
        const bytes = new TextEncoder().encode(parts.join(""));
        const { starts } = decodeKinds(bytes);
        expectStable(bytes, starts, options);
      }),
      { numRuns: 400 },
    );
  });

  test("bytes that are no text keep their number", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        for (const options of rules)
          expect(splitWords(bytes, options).at(-1) ?? 0).toBe(bytes.length);
      }),
    );
  });

  const folder = testData("text/pud");
  for (const language of ["ar", "de", "en", "hi", "ko", "ru", "th", "zh"]) {
    test.skipIf(folder.skip !== undefined)(`${language} of text/pud`, () => {
      const bytes = new Uint8Array(readFileSync(`${folder.folder}/${language}.txt`)).subarray(
        0,
        20_000,
      );
      const { starts } = decodeKinds(bytes);
      const end = starts.at(-1)!;
      const cuts = [...starts].filter((_, at) => at % 97 === 0).concat(end);
      for (const options of rules) expectStable(bytes.subarray(0, end), cuts, options);
    });
  }
});
