/**
 * Patterns of tokenizer files (`{ "String": … }` or `{ "Regex": … }`) and what is done with the
 * text between and around their matches.
 */
import { asObject, asString, invalidField, readField } from "../formats/json-reader.ts";
import { compileLiteral, compilePattern } from "./regex.ts";

export interface Pattern {
  /** Global and aware of code points. */
  readonly expression: RegExp;
  /** The text itself, for a literal pattern. */
  readonly literal?: string;
  /** The pattern as written in the file, for a regular expression. */
  readonly source?: string;
}

/** Reads a pattern; a plain string is a literal. */
export function readPattern(value: unknown, path: string): Pattern {
  if (typeof value === "string") return createLiteral(value);
  const object = asObject(value, path);
  const text = readField(object, "String");
  if (text !== undefined) return createLiteral(asString(text, `${path}.String`));
  const source = readField(object, "Regex");
  if (source === undefined) throw invalidField(path, value, "an object with String or Regex");
  const pattern = asString(source, `${path}.Regex`);
  return { expression: compilePattern(pattern), source: pattern };
}

function createLiteral(text: string): Pattern {
  // An empty literal matches nowhere.
  return { expression: text === "" ? compilePattern("(?!)") : compileLiteral(text), literal: text };
}

export const splitBehaviors = [
  "Removed",
  "Isolated",
  "MergedWithPrevious",
  "MergedWithNext",
  "Contiguous",
] as const;

/** How a match is treated: dropped, a piece of its own, or joined with an adjacent piece. */
export type SplitBehavior = (typeof splitBehaviors)[number];

/** Receives the bounds of each piece that is kept, in order. Empty pieces never arrive. */
export type EmitPiece = (start: number, end: number) => void;

/**
 * Emits the pieces of a text of `length` units, given the bounds of the matches in it
 * (`[start, end, start, end, …]`, ascending). `invert` swaps matches and the text between them.
 */
export function splitAtMatches(
  length: number,
  matches: readonly number[],
  behavior: SplitBehavior,
  invert: boolean,
  emit: EmitPiece,
): void {
  // Alternating stretches: [start, end, matched].
  const bounds: number[] = [];
  const matched: boolean[] = [];
  let previous = 0;
  const add = (start: number, end: number, isMatch: boolean): void => {
    bounds.push(start, end);
    matched.push(isMatch !== invert);
  };
  for (let i = 0; i < matches.length; i += 2) {
    const start = matches[i]!;
    const end = matches[i + 1]!;
    if (previous < start) add(previous, start, false);
    add(start, end, true);
    previous = end;
  }
  if (previous < length) add(previous, length, false);

  const count = matched.length;
  if (behavior === "Isolated" || behavior === "Removed") {
    for (let i = 0; i < count; i++) {
      const start = bounds[i * 2]!;
      const end = bounds[i * 2 + 1]!;
      if (end > start && !(behavior === "Removed" && matched[i])) emit(start, end);
    }
    return;
  }
  // Joins stretch i to its predecessor where the behaviour says so.
  let start = 0;
  for (let i = 0; i < count; i++) {
    const joined = i > 0 && joins(matched, i, behavior);
    if (!joined) start = bounds[i * 2]!;
    const end = bounds[i * 2 + 1]!;
    const nextJoins = i + 1 < count && joins(matched, i + 1, behavior);
    if (!nextJoins && end > start) emit(start, end);
  }
}

function joins(matched: readonly boolean[], i: number, behavior: SplitBehavior): boolean {
  if (behavior === "Contiguous") return matched[i] === matched[i - 1];
  // The first of several adjacent matches joins its neighbour, counted from the side it joins.
  if (behavior === "MergedWithPrevious") return matched[i]! && !matched[i - 1]!;
  return matched[i - 1]! && !matched[i]!;
}

/** Bounds of all matches of a global expression. */
export function findMatches(expression: RegExp, text: string): number[] {
  const bounds: number[] = [];
  expression.lastIndex = 0;
  for (let match = expression.exec(text); match !== null; match = expression.exec(text)) {
    const end = match.index + match[0].length;
    if (match[0] === "") {
      const pair = text.codePointAt(match.index);
      expression.lastIndex = match.index + (pair !== undefined && pair > 0xffff ? 2 : 1);
      // V8 finds places between the two halves of a character as well.
      if (isInsidePair(text, match.index)) continue;
    }
    bounds.push(match.index, end);
  }
  return bounds;
}

function isInsidePair(text: string, at: number): boolean {
  if (at === 0 || (text.charCodeAt(at) & 0xfc00) !== 0xdc00) return false;
  return (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
}
