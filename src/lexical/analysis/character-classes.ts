/** What kind of character a UTF-16 unit is, as a table that fills while texts are read. */

import { hashEnd, hashStart, hashStep, hashUnits } from "./hash-units.ts";

/** Separates words. */
export const separator = 1;
/** Belongs to a word: letters, digits and the marks on them. */
export const wordCharacter = 2;
/** Of a script that puts no spaces between words: two neighbours make a term. */
export const unspacedCharacter = 3;

/** Classes of the UTF-16 units; 0 where a unit has not been looked up yet. */
export interface CharacterClasses {
  readonly units: Uint8Array;
  /** The class of a code point. */
  classOf(codePoint: number): number;
}

const word = /[\p{L}\p{N}\p{M}]/u;
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/** Letters A to Z, a to z and digits 0 to 9 alone are words. */
export function createAsciiClasses(extra = ""): CharacterClasses {
  const units = new Uint8Array(0x10000).fill(separator);
  const letters = `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789${extra}`;
  for (const letter of letters) units[letter.charCodeAt(0)] = wordCharacter;
  return { units, classOf: (codePoint) => units[codePoint] ?? separator };
}

/** Letters, digits and marks of all scripts. */
export function createUnicodeClasses(): CharacterClasses {
  const units = new Uint8Array(0x10000);
  const classOf = (codePoint: number): number => {
    const known = codePoint < 0x10000 ? units[codePoint]! : 0;
    if (known !== 0) return known;
    const character = String.fromCodePoint(codePoint);
    let found = separator;
    if (word.test(character)) found = unspaced.test(character) ? unspacedCharacter : wordCharacter;
    if (codePoint < 0x10000) units[codePoint] = found;
    return found;
  };
  return { units, classOf };
}

let scratch: Uint16Array = new Uint16Array(4096);

/**
 * The UTF-16 units of a text, in memory that the next call overwrites: a table is read several times as fast
 * as a string, and indexing looks at every unit more than once.
 */
export function toUnits(text: string): Uint16Array {
  const { length } = text;
  if (length > scratch.length) scratch = new Uint16Array(2 * length);
  const units = scratch;
  for (let at = 0; at < length; at++) units[at] = text.charCodeAt(at);
  return units.subarray(0, length);
}

/** Takes the range of a word, and its hash as `hashUnits` gives it. */
export type VisitWord = (start: number, end: number, hash: number) => void;

/** Calls `visit` with each word. */
export function scanWords(text: Uint16Array, classes: CharacterClasses, visit: VisitWord): void {
  const { units } = classes;
  const { length } = text;
  let start = -1;
  let hash = hashStart;
  for (let at = 0; at < length; at++) {
    const unit = text[at]!;
    let found = units[unit]!;
    let width = 1;
    if (found === 0 || (unit >= 0xd800 && unit < 0xdc00)) {
      const codePoint = codePointAt(text, at);
      width = codePoint > 0xffff ? 2 : 1;
      found = classes.classOf(codePoint);
    }
    if (found === wordCharacter) {
      if (start < 0) start = at;
      hash = hashStep(hash, unit);
      if (width === 2) hash = hashStep(hash, text[at + 1]!);
    } else {
      if (start >= 0) visit(start, at, hashEnd(hash));
      start = -1;
      hash = hashStart;
      if (found === unspacedCharacter) {
        at = scanUnspaced(text, at, classes, visit) - 1;
        continue;
      }
    }
    at += width - 1;
  }
  if (start >= 0) visit(start, length, hashEnd(hash));
}

function codePointAt(text: Uint16Array, at: number): number {
  const unit = text[at]!;
  const next = text[at + 1] ?? 0;
  const isPair = unit >= 0xd800 && unit < 0xdc00 && next >= 0xdc00 && next < 0xe000;
  return isPair ? 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00) : unit;
}

/** Pairs of neighbours of a run without spaces; a run of one character is a word. Gives the run's end. */
function scanUnspaced(
  text: Uint16Array,
  from: number,
  classes: CharacterClasses,
  visit: VisitWord,
): number {
  let before = -1;
  let at = from;
  let count = 0;
  while (at < text.length) {
    const codePoint = codePointAt(text, at);
    if (classes.classOf(codePoint) !== unspacedCharacter) break;
    const end = at + (codePoint > 0xffff ? 2 : 1);
    if (before >= 0) visit(before, end, hashUnits(text, before, end));
    before = at;
    at = end;
    count++;
  }
  if (count === 1) visit(from, at, hashUnits(text, from, at));
  return at;
}
