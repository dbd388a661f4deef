/** Strings as Python sees them: sequences of code points, with Python's white space. */

const highSurrogate = /[\ud800-\udbff]/;
/** Characters that `str.strip()` removes and `str.isspace()` knows. */
export const whitespaceClass: string =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const leadingSpace = new RegExp(`^[${whitespaceClass}]+`);
const whitespace = new RegExp(`[${whitespaceClass}]`);
const allSpace = new RegExp(`^[${whitespaceClass}]+$`);
const spaces = new RegExp(`[${whitespaceClass}]+`);
const lineBreak = /\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/g;

/** True when every UTF-16 unit of the text is a code point, so that JavaScript's indices are Python's. */
export function isBasic(text: string): boolean {
  return !highSurrogate.test(text);
}

/** The text as an array of its code points. */
export function codePoints(text: string): string[] {
  return isBasic(text) ? text.split("") : Array.from(text);
}

/** Length in code points. */
export function codePointLength(text: string): number {
  if (isBasic(text)) return text.length;
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** The part between two code point indices, `0 <= start`, `end` at most the length. */
export function sliceCodePoints(text: string, start: number, end: number): string {
  if (isBasic(text)) return text.slice(start, Math.max(start, end));
  return Array.from(text).slice(start, Math.max(start, end)).join("");
}

/** Index in code points of an index in UTF-16 units; -1 stays -1. */
export function toCodePointIndex(text: string, index: number): number {
  return index <= 0 ? index : codePointLength(text.slice(0, index));
}

/** Order by code points: negative when `a` comes first. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a.charCodeAt(i) === b.charCodeAt(i)) continue;
    // Inside a pair, the units before are equal, so comparing from here on is comparing code points.
    return a.codePointAt(i)! - b.codePointAt(i)!;
  }
  return a.length - b.length;
}

export function isSpace(text: string): boolean {
  return allSpace.test(text);
}

/** `str.lstrip`, with the characters to remove or null for white space. */
export function stripStart(text: string, characters: string | null): string {
  if (characters === null) return text.replace(leadingSpace, "");
  const removed = new Set(codePoints(characters));
  let start = 0;
  for (const character of text) {
    if (!removed.has(character)) break;
    start += character.length;
  }
  return text.slice(start);
}

/** `str.rstrip`, with the characters to remove or null for white space. */
export function stripEnd(text: string, characters: string | null): string {
  let end = text.length;
  if (characters === null) {
    while (end > 0 && whitespace.test(text[end - 1]!)) end--;
    return text.slice(0, end);
  }
  const removed = new Set(codePoints(characters));
  while (end > 0) {
    const last = lastCodePoint(text, end);
    if (!removed.has(last)) break;
    end -= last.length;
  }
  return text.slice(0, end);
}

/** `str.strip`. */
export function strip(text: string, characters: string | null = null): string {
  return stripEnd(stripStart(text, characters), characters);
}

function lastCodePoint(text: string, end: number): string {
  const pair = end >= 2 ? text.slice(end - 2, end) : "";
  return /^[\ud800-\udbff][\udc00-\udfff]$/.test(pair) ? pair : text[end - 1]!;
}

/** `str.split()` without separator: the words between white space. */
export function splitWords(text: string): string[] {
  const stripped = strip(text);
  return stripped === "" ? [] : stripped.split(spaces);
}

/** `str.splitlines`. */
export function splitLines(text: string, keepEnds = false): string[] {
  const lines: string[] = [];
  let start = 0;
  for (const match of text.matchAll(lineBreak)) {
    const end = match.index + match[0].length;
    lines.push(text.slice(start, keepEnds ? end : match.index));
    start = end;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}
