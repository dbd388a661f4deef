/** Chunks that end where the text does: at paragraphs, else lines, else sentences, else words. */
import type { Interval } from "../intervals.ts";
import { type Chunker, checkCount, checkFunction, checkNames, optionError } from "./chunker.ts";

/** Options of `createRecursiveChunker`. */
export interface RecursiveChunkerOptions {
  /** The largest chunk, in what `lengthOf` counts. */
  size: number;
  /** Default UTF-16 units. Must not fall when a text grows. */
  lengthOf?: (text: string) => number;
  /**
   * Where a text may be cut, best first; each stays with the text before it. What is too long still is cut
   * between characters, which `""` stands for too. Default paragraphs, lines, sentences and words.
   */
  separators?: readonly string[];
}

/** Paragraphs, lines, sentences, words. */
export const defaultSeparators: readonly string[] = ["\n\n", "\n", ".", "?", "!", " "];

/**
 * Cuts at the first separator that occurs, cuts pieces that are too long at the next one, and joins
 * neighbours while they fit. The chunks join to the text.
 *
 * @throws JetonError `chunker-option-invalid`
 */
export function createRecursiveChunker(options: RecursiveChunkerOptions): Chunker {
  const { size, lengthOf, separators = defaultSeparators } = options;
  checkNames("recursive", options, ["size", "lengthOf", "separators"]);
  checkCount("recursive", "size", size);
  if (lengthOf !== undefined) checkFunction("recursive", "lengthOf", lengthOf);
  checkSeparators(separators);
  const measure = lengthOf ?? ((text: string) => text.length);
  return {
    name: `recursive ${size}${lengthOf === undefined ? " characters" : ""}`,
    chunk: (text) => splitRecursively(text, { size, measure, separators }),
  };
}

function checkSeparators(found: readonly string[]): void {
  if (Array.isArray(found) && found.every((one) => typeof one === "string")) return;
  throw optionError("recursive", "separators", found, "a list of texts");
}

interface Settings {
  readonly size: number;
  readonly measure: (text: string) => number;
  readonly separators: readonly string[];
}

/** The ranges of a text's pieces; each is at most `size` long, or one character. */
export function splitRecursively(text: string, settings: Settings): Interval[] {
  return text === "" ? [] : split(text, { start: 0, end: text.length }, settings, 0);
}

function split(text: string, range: Interval, settings: Settings, depth: number): Interval[] {
  const { size, measure, separators } = settings;
  if (measure(text.slice(range.start, range.end)) <= size) return [range];
  const separator = separators[depth] === "" ? undefined : separators[depth];
  const pieces =
    separator === undefined ? splitCharacters(text, range) : splitAt(text, range, separator);
  if (pieces.length < 2) {
    return separator === undefined ? pieces : split(text, range, settings, depth + 1);
  }
  const merged: Interval[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (last !== undefined && measure(text.slice(last.start, piece.end)) <= size) {
      merged[merged.length - 1] = { start: last.start, end: piece.end };
    } else if (separator !== undefined && measure(text.slice(piece.start, piece.end)) > size) {
      merged.push(...split(text, piece, settings, depth + 1));
    } else merged.push(piece);
  }
  return merged;
}

function splitAt(text: string, { start, end }: Interval, separator: string): Interval[] {
  const pieces: Interval[] = [];
  for (let from = start; from < end; ) {
    const found = text.indexOf(separator, from);
    const to = found < 0 ? end : Math.min(end, found + separator.length);
    pieces.push({ start: from, end: to });
    from = to;
  }
  return pieces;
}

function splitCharacters(text: string, { start, end }: Interval): Interval[] {
  const pieces: Interval[] = [];
  for (let from = start; from < end; ) {
    const to = from + (text.codePointAt(from)! > 0xffff ? 2 : 1);
    pieces.push({ start: from, end: Math.min(to, end) });
    from = to;
  }
  return pieces;
}
