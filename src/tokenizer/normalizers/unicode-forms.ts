/**
 * The four Unicode normalization forms with the place of every character.
 *
 * The text itself comes from `String.prototype.normalize`. Places need the steps in between:
 * decomposition (the first part replaces, the others are inserted), canonical ordering, and
 * composition (a composed character drops the ones it swallowed). Combining classes are not
 * available in JavaScript, so they are found by asking the normalizer to order a mark against one
 * representative of each class.
 */
import type { Changes } from "./aligned-text.ts";
import { decompositionDisagreement, markDisagreement } from "./unicode-versions.ts";

export type UnicodeForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** A normal form of a text; characters that the reference does not know stay as they are. */
export function normalizeForm(text: string, form: UnicodeForm): string {
  if (text.length > 1000 && manyMarks.test(text)) return textOf(describeForm(text, form));
  const normalized = text.normalize(form);
  if (normalized === text) return text;
  const parts = text.split(decompositionDisagreement.expression);
  if (parts.length === 1) return normalized;
  const unknown = text.match(decompositionDisagreement.expression) ?? [];
  return parts.map((part, i) => part.normalize(form) + (unknown[i] ?? "")).join("");
}

/**
 * Marks in a row that no language needs. The engine orders a run of marks in time that grows with the
 * square of its length, which long texts of nothing else would turn into an attack.
 */
const manyMarks: RegExp = /\p{M}{32}/u;

function textOf({ codePoints }: Changes): string {
  let text = "";
  for (const codePoint of codePoints) text += String.fromCodePoint(codePoint);
  return text;
}

/** The characters of `text.normalize(form)`, each with its change. */
export function describeForm(text: string, form: UnicodeForm): Changes {
  const decomposed = decompose(text, form === "NFKC" || form === "NFKD");
  return form === "NFC" || form === "NFKC" ? compose(decomposed) : decomposed;
}

function decompose(text: string, compatible: boolean): Changes {
  const form = compatible ? "NFKD" : "NFD";
  const codePoints: number[] = [];
  const changes: number[] = [];
  const classes: number[] = [];
  // Marks since the last starter, which canonical ordering sorts by class, stably.
  let firstMark = 0;
  const sortMarks = (): void => {
    let place = firstMark + 1;
    while (place < classes.length && classes[place - 1]! <= classes[place]!) place++;
    if (place >= classes.length) return;
    const marks = Array.from({ length: classes.length - firstMark }, (_, i) => ({
      codePoint: codePoints[firstMark + i]!,
      change: changes[firstMark + i]!,
      combining: classes[firstMark + i]!,
    })).sort((left, right) => left.combining - right.combining);
    for (const [i, { codePoint, change, combining }] of marks.entries()) {
      codePoints[firstMark + i] = codePoint;
      changes[firstMark + i] = change;
      classes[firstMark + i] = combining;
    }
  };
  for (const character of text) {
    let change = 0;
    const isKnown = !decompositionDisagreement.has(character.codePointAt(0)!);
    for (const part of isKnown ? character.normalize(form) : character) {
      const codePoint = part.codePointAt(0)!;
      const combining = combiningClass(codePoint);
      if (combining === 0) sortMarks();
      codePoints.push(codePoint);
      changes.push(change);
      classes.push(combining);
      if (combining === 0) firstMark = codePoints.length;
      change = 1;
    }
  }
  sortMarks();
  return { codePoints, changes, dropped: 0 };
}

function compose(decomposed: Changes): Changes {
  const codePoints: number[] = [];
  const changes: number[] = [];
  let starter = -1; // index of the last starter written
  let lastClass = 0; // class of the last mark written after it
  for (let i = 0; i < decomposed.codePoints.length; i++) {
    const codePoint = decomposed.codePoints[i]!;
    const change = decomposed.changes[i]!;
    const combining = combiningClass(codePoint);
    const adjacent = starter === codePoints.length - 1;
    // No character below U+0300 is the second half of a composite.
    if (codePoint >= 0x300 && starter >= 0 && (adjacent || lastClass < combining)) {
      const composed = composePair(codePoints[starter]!, codePoint);
      if (composed >= 0) {
        codePoints[starter] = composed;
        changes[starter]! += change - 1;
        continue;
      }
    }
    if (combining === 0) {
      starter = codePoints.length;
      lastClass = 0;
    } else {
      lastClass = combining;
    }
    codePoints.push(codePoint);
    changes.push(change);
  }
  return { codePoints, changes, dropped: 0 };
}

/** The primary composite of two characters, or -1. */
function composePair(first: number, second: number): number {
  const left = String.fromCodePoint(first);
  const right = String.fromCodePoint(second);
  const composed = (left + right).normalize("NFC");
  const codePoint = composed.codePointAt(0)!;
  if (composed.length !== (codePoint > 0xffff ? 2 : 1)) return -1;
  return codePoint;
}

/** One mark of each canonical combining class, classes ascending. */
const representatives: readonly (readonly [number, number])[] = [
  [1, 0x334],
  [6, 0x16ff0],
  [7, 0x93c],
  [8, 0x3099],
  [9, 0x94d],
  [10, 0x5b0],
  [11, 0x5b1],
  [12, 0x5b2],
  [13, 0x5b3],
  [14, 0x5b4],
  [15, 0x5b5],
  [16, 0x5b6],
  [17, 0x5b7],
  [18, 0x5b8],
  [19, 0x5b9],
  [20, 0x5bb],
  [21, 0x5bc],
  [22, 0x5bd],
  [23, 0x5bf],
  [24, 0x5c1],
  [25, 0x5c2],
  [26, 0xfb1e],
  [27, 0x64b],
  [28, 0x64c],
  [29, 0x64d],
  [30, 0x64e],
  [31, 0x64f],
  [32, 0x650],
  [33, 0x651],
  [34, 0x652],
  [35, 0x670],
  [36, 0x711],
  [84, 0xc55],
  [91, 0xc56],
  [103, 0xe38],
  [107, 0xe48],
  [118, 0xeb8],
  [122, 0xec8],
  [129, 0xf71],
  [130, 0xf72],
  [132, 0xf74],
  [202, 0x321],
  [214, 0x1dce],
  [216, 0x31b],
  [218, 0x302a],
  [220, 0x316],
  [222, 0x59a],
  [224, 0x302e],
  [226, 0x1d16d],
  [228, 0x5ae],
  [230, 0x300],
  [232, 0x315],
  [233, 0x35c],
  [234, 0x35d],
  [240, 0x345],
];

const mark: RegExp = /^\p{M}$/u;
const knownClasses: Map<number, number> = new Map();

/** The canonical combining class of a character. */
export function combiningClass(codePoint: number): number {
  if (codePoint < 0x300) return 0;
  const known = knownClasses.get(codePoint);
  if (known !== undefined) return known;
  const found = findCombiningClass(codePoint);
  knownClasses.set(codePoint, found);
  return found;
}

function findCombiningClass(codePoint: number): number {
  const character = String.fromCodePoint(codePoint);
  if (!mark.test(character)) return 0;
  // Characters that decompose have no class of their own that matters after decomposition.
  if (character.normalize("NFD") !== character) return 0;
  if (markDisagreement.has(codePoint)) return 0;
  // The class is the highest whose representative does not move behind the character.
  let found = 0;
  let ordered = false;
  for (const [combining, representative] of representatives) {
    const other = String.fromCodePoint(representative);
    const movesFirst = reorders(character, other); // class of character > class of other
    const movesBack = reorders(other, character); // class of other > class of character
    if (movesFirst || movesBack) ordered = true;
    if (!movesBack) found = combining;
    if (movesBack) break;
  }
  return ordered ? found : 0;
}

/** True when canonical ordering puts `second` before `first`. */
function reorders(first: string, second: string): boolean {
  return (first + second).normalize("NFD") === second + first && first !== second;
}
