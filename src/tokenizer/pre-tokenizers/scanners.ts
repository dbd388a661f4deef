/**
 * Hand-written scanners for the split patterns that most byte-level tokenizers use.
 *
 * A scanner finds the end of the piece that starts at a position, exactly as the regular expression
 * would, from a table of character classes instead of by backtracking. The patterns in question
 * match every text completely, so pieces follow one another without gaps. Tests compare each scanner
 * with its expression on random text.
 */

import { isPunctuation, isWhitespace } from "./character-classes.ts";
import { charactersBetween } from "./characters-between.ts";

/** The end of the piece that starts at `at` in `units[0, length)`, UTF-16 without lone surrogates. */
export type Scanner = (units: Uint16Array, at: number, length: number) => number;

const letter = 1;
const number = 2;
const space = 4;
const newline = 8;
/** Lu, Lt, Lm, Lo, M: what may begin a word in the o200k pattern. */
const upper = 16;
/** Ll, Lm, Lo, M: what may end one. */
const lower = 32;

const classes: readonly (readonly [string, number])[] = [
  ["\\p{L}", letter],
  ["\\p{N}", number],
  ["\\p{White_Space}", space],
  ["[\\r\\n]", newline],
  ["[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", upper],
  ["[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]", lower],
];

const anyClass = new RegExp(classes.map(([source]) => source).join("|"), "u");

/** Class bits of the characters of one plane of 65,536. Surrogates have none. */
function classifyPlane(plane: number): Uint8Array {
  const table = new Uint8Array(0x10000);
  const text = charactersBetween(plane * 0x10000, plane * 0x10000 + 0xffff);
  // Most planes hold no character of any class.
  if (!anyClass.test(text)) return table;
  const width = plane === 0 ? 1 : 2;
  for (const [source, bit] of classes) {
    for (const match of text.matchAll(new RegExp(`${source}+`, "gu"))) {
      const start = match.index / width;
      const end = start + match[0].length / width;
      for (let i = start; i < end; i++) table[i]! |= bit;
    }
  }
  return table;
}

/**
 * Class bits of the basic plane, filled when the first scanner is asked for. Scanners are plain
 * functions over this one table rather than closures: the engine optimizes them once, not anew for
 * each tokenizer.
 */
let table: Uint8Array = new Uint8Array(0);
const otherPlanes: (Uint8Array | undefined)[] = [];

function codePointAt(units: Uint16Array, at: number): number {
  const unit = units[at]!;
  if (!isHighSurrogate(unit)) return unit;
  return ((unit - 0xd800) << 10) + (units[at + 1]! - 0xdc00) + 0x10000;
}

/** Class bits of the surrogate pair at `at`. */
function pairClasses(units: Uint16Array, at: number): number {
  const codePoint = codePointAt(units, at);
  const plane = codePoint >> 16;
  let bits = otherPlanes[plane];
  if (bits === undefined) {
    bits = classifyPlane(plane);
    otherPlanes[plane] = bits;
  }
  return bits[codePoint & 0xffff]!;
}

function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

/** The end of the run of characters from `at` whose class bits meet `wanted`. */
function runWith(units: Uint16Array, at: number, length: number, wanted: number): number {
  while (at < length) {
    const unit = units[at]!;
    if (isHighSurrogate(unit)) {
      if ((pairClasses(units, at) & wanted) === 0) break;
      at += 2;
    } else {
      if ((table[unit]! & wanted) === 0) break;
      at++;
    }
  }
  return at;
}

/** The end of the run of characters from `at` that are neither space, letter nor number. */
function runOfOthers(units: Uint16Array, at: number, length: number): number {
  const unwanted = space | letter | number;
  while (at < length) {
    const unit = units[at]!;
    if (isHighSurrogate(unit)) {
      if ((pairClasses(units, at) & unwanted) !== 0) break;
      at += 2;
    } else {
      if ((table[unit]! & unwanted) !== 0) break;
      at++;
    }
  }
  return at;
}

function classesAt(units: Uint16Array, at: number): number {
  const unit = units[at]!;
  return isHighSurrogate(unit) ? pairClasses(units, at) : table[unit]!;
}

/** `\s+(?!\S)|\s+`: a run of white space leaves its last character to what follows. */
function endOfSpaces(units: Uint16Array, at: number, length: number): number {
  const end = runWith(units, at, length, space);
  return end === length || end === at + 1 ? end : end - 1;
}

/** `\s*[\r\n]+|\s+(?!\S)|\s+`: a run of white space up to its last line break, where it has one. */
function endOfLines(units: Uint16Array, at: number, length: number): number {
  const end = runWith(units, at, length, space);
  for (let i = end; i > at; i--) if ((table[units[i - 1]!]! & newline) !== 0) return i;
  return end === length || end === at + 1 ? end : end - 1;
}

/** After an apostrophe at `at`: the end of `'s|'t|'re|'ve|'m|'ll|'d`, or -1. */
function endOfContraction(units: Uint16Array, at: number, length: number, fold: boolean): number {
  if (at + 1 >= length) return -1;
  let first = units[at + 1]!;
  // The long s folds to s.
  if (fold) first = first === 0x17f ? 0x73 : first | 0x20;
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return at + 2;
  if (at + 2 >= length) return -1;
  const second = fold ? units[at + 2]! | 0x20 : units[at + 2]!;
  if (first === 0x72 || first === 0x76) return second === 0x65 ? at + 3 : -1;
  return first === 0x6c && second === 0x6c ? at + 3 : -1;
}

const apostrophe = 0x27;
const blank = 0x20;

/** The split of GPT-2. */
function scanGpt2(units: Uint16Array, at: number, length: number): number {
  const unit = units[at]!;
  if (unit === apostrophe) {
    const end = endOfContraction(units, at, length, false);
    if (end >= 0) return end;
  }
  const start = unit === blank && at + 1 < length ? at + 1 : at;
  const kind = classesAt(units, start);
  if ((kind & letter) !== 0) return runWith(units, start, length, letter);
  if ((kind & number) !== 0) return runWith(units, start, length, number);
  if ((kind & space) === 0) return runOfOthers(units, start, length);
  return endOfSpaces(units, at, length);
}

/** The split of cl100k and Llama 3: up to three digits together. */
function scanCl100k(units: Uint16Array, at: number, length: number): number {
  return scanWords(units, at, length, 3);
}

/** The split of Qwen 2: every digit by itself. */
function scanQwen2(units: Uint16Array, at: number, length: number): number {
  return scanWords(units, at, length, 1);
}

function scanWords(units: Uint16Array, at: number, length: number, digits: number): number {
  const unit = units[at]!;
  if (unit === apostrophe) {
    const end = endOfContraction(units, at, length, true);
    if (end >= 0) return end;
  }
  const kind = classesAt(units, at);
  if ((kind & letter) !== 0) return runWith(units, at, length, letter);
  if ((kind & number) !== 0) return runOfNumbers(units, at, length, digits);
  if ((kind & newline) === 0) {
    const next = at + (isHighSurrogate(unit) ? 2 : 1);
    if (next < length && (classesAt(units, next) & letter) !== 0) {
      return runWith(units, next, length, letter);
    }
  }
  return endOfOthersOrSpaces(units, at, length, false);
}

function runOfNumbers(units: Uint16Array, at: number, length: number, digits: number): number {
  for (let i = 0; i < digits && at < length; i++) {
    if ((classesAt(units, at) & number) === 0) break;
    at += isHighSurrogate(units[at]!) ? 2 : 1;
  }
  return at;
}

/** ` ?[^\s\p{L}\p{N}]+[\r\n]*` (with `slashes`: `[\r\n/]*`), then white space. */
function endOfOthersOrSpaces(
  units: Uint16Array,
  at: number,
  length: number,
  slashes: boolean,
): number {
  const start = units[at] === blank ? at + 1 : at;
  let end = runOfOthers(units, start, length);
  if (end === start) return endOfLines(units, at, length);
  while (end < length) {
    const unit = units[end]!;
    if ((table[unit]! & newline) === 0 && !(slashes && unit === 0x2f)) break;
    end++;
  }
  return end;
}

/** The split of o200k. */
function scanO200k(units: Uint16Array, at: number, length: number): number {
  const unit = units[at]!;
  const kind = classesAt(units, at);
  if ((kind & number) !== 0) return runOfNumbers(units, at, length, 3);
  const isPrefix = (kind & (letter | newline)) === 0;
  const next = isPrefix ? at + (isHighSurrogate(unit) ? 2 : 1) : at;
  let end = endOfLowerWord(units, next, length);
  if (end < 0 && isPrefix) end = endOfLowerWord(units, at, length);
  if (end < 0) {
    end = runWith(units, next, length, upper);
    if (end === next) end = isPrefix ? runWith(units, at, length, upper) : at;
    if (end === at || (isPrefix && end === next && (kind & upper) === 0)) end = -1;
  }
  if (end < 0) return endOfOthersOrSpaces(units, at, length, true);
  if (end < length && units[end] === apostrophe) {
    const contraction = endOfContraction(units, end, length, true);
    if (contraction >= 0) return contraction;
  }
  return end;
}

/**
 * `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`: upper then lower. Where no lower
 * letter follows the first run, it gives back up to its last character that is both. -1: no match.
 */
function endOfLowerWord(units: Uint16Array, at: number, length: number): number {
  let i = at;
  let both = -1;
  while (i < length) {
    const kind = classesAt(units, i);
    if ((kind & upper) === 0) break;
    i += isHighSurrogate(units[i]!) ? 2 : 1;
    if ((kind & lower) !== 0) both = i;
  }
  const end = runWith(units, i, length, lower);
  return end > i ? end : both;
}

/** A word with one `▁` before it; a longer run of these keeps the others to itself. */
function scanMetaspace(units: Uint16Array, at: number, length: number): number {
  const mark = 0x2581;
  let end = at;
  while (end < length && units[end] === mark) end++;
  if (end - at > 1) return end === length ? end : end - 1;
  while (end < length && units[end] !== mark) end++;
  return end;
}

const contractions = "'s|'t|'re|'ve|'m|'ll|'d";
const cl100kTail = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const upperClass = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const lowerClass = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";

/** The names of the patterns that have scanners. */
export type KnownPattern = "gpt2" | "cl100k" | "qwen2" | "o200k" | "metaspace";

/** The patterns that have scanners, by name. */
export const knownPatterns: Readonly<Record<KnownPattern, string>> = {
  gpt2: `${contractions}| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+`,
  cl100k: `(?i:${contractions})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|${cl100kTail}`,
  qwen2: `(?i:${contractions})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|${cl100kTail}`,
  o200k:
    `[^\\r\\n\\p{L}\\p{N}]?${upperClass}*${lowerClass}+(?i:${contractions})?|` +
    `[^\\r\\n\\p{L}\\p{N}]?${upperClass}+${lowerClass}*(?i:${contractions})?|` +
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  /** Words with the space before them, where spaces are written `▁`. */
  metaspace: "▁?[^▁]+|▁+(?![^▁])|▁+",
};

const scanners: ReadonlyMap<string, Scanner> = new Map<string, Scanner>([
  [knownPatterns.gpt2, scanGpt2],
  [knownPatterns.cl100k, scanCl100k],
  [knownPatterns.qwen2, scanQwen2],
  [knownPatterns.o200k, scanO200k],
  [knownPatterns.metaspace, scanMetaspace],
]);

/** Other spellings of the same patterns, as published files have them. */
const spellings: ReadonlyMap<string, string> = new Map([
  [
    `'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+`,
    knownPatterns.cl100k,
  ],
  [
    `'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+`,
    knownPatterns.gpt2,
  ],
]);

/** The scanner that cuts as the pattern does, or undefined for a pattern that has none. */
export function findScanner(pattern: string): Scanner | undefined {
  const scanner = scanners.get(spellings.get(pattern) ?? pattern);
  if (scanner !== undefined && table.length === 0) table = classifyPlane(0);
  return scanner;
}

/** Whether a scanner tells cases of letters, marks and slashes apart; others know letters, digits, white space and the rest. */
export function seesCases(scanner: Scanner): boolean {
  return scanner === scanO200k;
}

/** Cuts before each run of `mark`, a single unit. */
export function createRunScanner(mark: number): Scanner {
  return (units, at, length) => {
    while (at < length && units[at] === mark) at++;
    while (at < length && units[at] !== mark) at++;
    return at;
  };
}

/** Cuts before each `mark`, a single unit. */
export function createMarkScanner(mark: number): Scanner {
  return (units, at, length) => {
    at++;
    while (at < length && units[at] !== mark) at++;
    return at;
  };
}

/** Runs of white space, and the words between them. */
export function scanSpacedWords(units: Uint16Array, at: number, length: number): number {
  const isSpace = isWhitespace(units[at]!);
  at++;
  while (at < length && isWhitespace(units[at]!) === isSpace) at++;
  return at;
}

/** Runs of white space, single punctuation characters, and the words between them. */
export function scanBertWords(units: Uint16Array, at: number, length: number): number {
  if (isWhitespace(units[at]!)) return scanSpacedWords(units, at, length);
  let end = at;
  while (end < length && !isWhitespace(units[end]!)) {
    const codePoint = codePointAt(units, end);
    if (isPunctuation(codePoint)) break;
    end += codePoint > 0xffff ? 2 : 1;
  }
  return end > at ? end : at + (isHighSurrogate(units[at]!) ? 2 : 1);
}
