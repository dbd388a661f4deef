import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeForm, normalizeForm, type UnicodeForm } from "./unicode-forms.ts";

const forms: readonly UnicodeForm[] = ["NFC", "NFD", "NFKC", "NFKD"];
/** Letters, composites, compatibility forms, Hangul, and marks of several classes. */
const characters = [
  ..."aeÅéﬁ한ᄒ\u1161\u11ab\u0338\u0327\u035d\u0315\u0300\u05ae\u0316\u0301\u3099",
];
const texts = fc
  .array(fc.constantFrom(...characters), { maxLength: 60 })
  .map((all) => all.join(""));

describe.each(forms)("%s", (form) => {
  test("character by character as the engine normalizes the whole", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const { codePoints } = describeForm(text, form);
        expect(String.fromCodePoint(...codePoints)).toBe(text.normalize(form));
      }),
    );
  });

  test("the same for texts with more marks than the engine is asked to order", () => {
    fc.assert(
      fc.property(texts, texts, (before, after) => {
        const text = `${before}${"\u0301\u0316".repeat(600)}${after}`;
        expect(normalizeForm(text, form)).toBe(text.normalize(form));
      }),
      { numRuns: 10 },
    );
  });

  test("two hundred thousand marks in the wrong order are no attack", () => {
    const text = `a${"\u0301\u0316".repeat(100_000)}`;
    const normalized = normalizeForm(text, form);
    // One of them may have become a part of the letter.
    expect(normalized.replace("á", "a")).toMatch(/^a\u0316{100000}\u0301{99999,100000}$/);
    expect(describeForm(text, form).changes.length).toBe(normalized.length);
  });
});
