/**
 * The classes of characters that the reference implementation tests by hand-written predicates.
 */

import { formatDisagreement, punctuationDisagreement } from "../normalizers/unicode-versions.ts";

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

/** A test that remembers its answers for the basic plane. */
export function rememberTest(test: (codePoint: number) => boolean): (codePoint: number) => boolean {
  const unknown = 0;
  const no = 1;
  const yes = 2;
  let answers: Uint8Array | undefined;
  return (codePoint) => {
    if (codePoint > 0xffff) return test(codePoint);
    answers ??= new Uint8Array(0x10000);
    const answer = answers[codePoint]!;
    if (answer !== unknown) return answer === yes;
    const found = test(codePoint);
    answers[codePoint] = found ? yes : no;
    return found;
  };
}

/** Punctuation of Unicode or any ASCII character that is neither letter, digit, space nor control. */
export const isPunctuation: (codePoint: number) => boolean = rememberTest((codePoint) => {
  if (codePoint < 0x80) return /[!-/:-@[-`{-~]/.test(String.fromCodePoint(codePoint));
  const current = punctuation.test(String.fromCodePoint(codePoint));
  return current !== punctuationDisagreement.has(codePoint);
});

/** Any number: decimal digits, letters and others (², Ⅷ, ½). */
export const isNumeric: (codePoint: number) => boolean = rememberTest((codePoint) =>
  numeric.test(String.fromCodePoint(codePoint)),
);

/** A word character in the sense of UTS #18. */
export const isWordCharacter: (codePoint: number) => boolean = rememberTest((codePoint) =>
  wordCharacter.test(String.fromCodePoint(codePoint)),
);

/** Control, format and private characters. */
export const isOther: (codePoint: number) => boolean = rememberTest((codePoint) => {
  const current = otherCharacter.test(String.fromCodePoint(codePoint));
  return current !== formatDisagreement.has(codePoint);
});

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
