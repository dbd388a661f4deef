/**
 * The classes of characters that the reference implementation tests by hand-written predicates.
 */

import { formatDisagreement, punctuationDisagreement } from "./unicode-versions.ts";

/** Unicode White_Space, which differs from JavaScript's `\s` by U+0085 (in) and U+FEFF (out). */
export const whitespaceClass =
  "\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

export function isWhitespace(codePoint: number): boolean {
  if (codePoint < 0x80) return codePoint === 32 || (codePoint >= 9 && codePoint <= 13);
  return (
    codePoint === 0x85 ||
    codePoint === 0xa0 ||
    codePoint === 0x1680 ||
    (codePoint >= 0x2000 && codePoint <= 0x200a) ||
    codePoint === 0x2028 ||
    codePoint === 0x2029 ||
    codePoint === 0x202f ||
    codePoint === 0x205f ||
    codePoint === 0x3000
  );
}

const punctuation: RegExp = /^\p{P}$/u;
const numeric: RegExp = /^\p{N}$/u;
const wordCharacter: RegExp = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const otherCharacter: RegExp = /^[\p{Cc}\p{Cf}\p{Co}]$/u;

/** Punctuation of Unicode or any ASCII character that is neither letter, digit, space nor control. */
export function isPunctuation(codePoint: number): boolean {
  if (codePoint < 0x80) {
    return (
      (codePoint >= 33 && codePoint <= 47) ||
      (codePoint >= 58 && codePoint <= 64) ||
      (codePoint >= 91 && codePoint <= 96) ||
      (codePoint >= 123 && codePoint <= 126)
    );
  }
  const current = punctuation.test(String.fromCodePoint(codePoint));
  return current !== punctuationDisagreement.has(codePoint);
}

/** Any number: decimal digits, letters and others (², Ⅷ, ½). */
export function isNumeric(codePoint: number): boolean {
  if (codePoint < 0x80) return codePoint >= 48 && codePoint <= 57;
  return numeric.test(String.fromCodePoint(codePoint));
}

/** A word character in the sense of UTS #18. */
export function isWordCharacter(codePoint: number): boolean {
  return wordCharacter.test(String.fromCodePoint(codePoint));
}

/** Control, format and private characters. */
export function isOther(codePoint: number): boolean {
  const current = otherCharacter.test(String.fromCodePoint(codePoint));
  return current !== formatDisagreement.has(codePoint);
}

/** The ideographs that BERT sets apart. */
export function isIdeograph(codePoint: number): boolean {
  return (
    (codePoint >= 0x4e00 && codePoint <= 0x9fff) ||
    (codePoint >= 0x3400 && codePoint <= 0x4dbf) ||
    (codePoint >= 0x20000 && codePoint <= 0x2a6df) ||
    (codePoint >= 0x2a700 && codePoint <= 0x2b73f) ||
    (codePoint >= 0x2b740 && codePoint <= 0x2b81f) ||
    (codePoint >= 0x2b920 && codePoint <= 0x2ceaf) ||
    (codePoint >= 0xf900 && codePoint <= 0xfaff) ||
    (codePoint >= 0x2f800 && codePoint <= 0x2fa1f)
  );
}
