/** Word boundaries of UAX #29 by its rules alone: no dictionary, no locale. */
import { classBits, flags, type WordBreakClass, wordBreakClasses } from "./word-properties.ts";

const numbers = Object.fromEntries(
  wordBreakClasses.map((name, index) => [name, index]),
) as Readonly<Record<WordBreakClass, number>>;

/** One bit for each class, so that a set of classes is one number. */
const setOf = (...names: readonly WordBreakClass[]): number =>
  names.reduce((set, name) => set | (1 << numbers[name]), 0);

const newline = setOf("CR", "LF", "Newline");
const skipped = setOf("Extend", "Format", "ZWJ");
const letter = setOf("ALetter", "HebrewLetter");
const number = setOf("Numeric");
const midLetter = setOf("MidLetter", "MidNumLet", "SingleQuote");
const midNumber = setOf("MidNum", "MidNumLet", "SingleQuote");
const hebrew = setOf("HebrewLetter");
const katakana = setOf("Katakana");
const connector = setOf("ExtendNumLet");
const connected = setOf("ALetter", "HebrewLetter", "Numeric", "Katakana");
const regional = setOf("RegionalIndicator");
const doubleQuote = setOf("DoubleQuote");
const singleQuote = setOf("SingleQuote");
const segmentSpace = setOf("WSegSpace");

const bit = (kind: number): number => 1 << (kind & classBits);

/**
 * Where words begin and end by the default rules of UAX #29 (WB1 to WB999).
 *
 * @param kinds of the code points, as `kindOf` gives them
 * @returns for each code point 1 where a boundary stands before it
 */
export function findWordBreaks(kinds: ArrayLike<number>): Uint8Array {
  const breaks = new Uint8Array(kinds.length);
  // Classes of the last two code points that are not ignored, as sets of one.
  let last = 0;
  let beforeLast = 0;
  let regionals = 0;
  for (let at = 0; at < kinds.length; at++) {
    const here = bit(kinds[at]!);
    const previous = at === 0 ? 0 : bit(kinds[at - 1]!);
    if (at === 0 || (previous | here) & newline) {
      // WB1, WB3 to WB3b.
      const isPair = previous === setOf("CR") && here === setOf("LF");
      breaks[at] = isPair ? 0 : 1;
      [beforeLast, last] = [0, here];
      regionals = here & regional ? 1 : 0;
      continue;
    }
    // WB4: extending characters belong to what they follow.
    if (here & skipped) continue;
    const joins =
      joinsAdjacent(kinds, at, previous, here) ||
      joinsWords(beforeLast, last, here, () => nextClass(kinds, at)) ||
      // WB15 and WB16: flags are pairs.
      ((last & here & regional) !== 0 && regionals % 2 === 1);
    breaks[at] = joins ? 0 : 1;
    regionals = here & regional ? (last & regional ? regionals + 1 : 1) : 0;
    [beforeLast, last] = [last, here];
  }
  return breaks;
}

/** WB3c and WB3d, which read the very neighbour. */
function joinsAdjacent(
  kinds: ArrayLike<number>,
  at: number,
  previous: number,
  here: number,
): boolean {
  if (previous & setOf("ZWJ")) return (kinds[at]! & flags.pictographic) !== 0;
  return (previous & here & segmentSpace) !== 0;
}

/** WB5 to WB13b. `next` is the class after `here`, which is read only where a rule asks for it. */
function joinsWords(beforeLast: number, last: number, here: number, next: () => number): boolean {
  if (last & letter) {
    if (here & (letter | number)) return true; // WB5, WB9
    if (here & midLetter && next() & letter) return true; // WB6
    if (last & hebrew) {
      if (here & singleQuote) return true; // WB7a
      if (here & doubleQuote && next() & hebrew) return true; // WB7b
    }
  }
  if (last & midLetter && beforeLast & letter && here & letter) return true; // WB7
  if (last & doubleQuote && beforeLast & hebrew && here & hebrew) return true; // WB7c
  if (last & number) {
    if (here & (number | letter)) return true; // WB8, WB10
    if (here & midNumber && next() & number) return true; // WB12
  }
  if (last & midNumber && beforeLast & number && here & number) return true; // WB11
  if (last & here & katakana) return true; // WB13
  if (here & connector) return (last & (connected | connector)) !== 0; // WB13a
  return (last & connector) !== 0 && (here & connected) !== 0; // WB13b
}

/** Class of the next code point that is not ignored; 0 at the end. */
function nextClass(kinds: ArrayLike<number>, at: number): number {
  for (let next = at + 1; next < kinds.length; next++) {
    const found = bit(kinds[next]!);
    if (!(found & skipped)) return found;
  }
  return 0;
}
