/** What cuts a text into chunks. A chunker gives ranges, never strings, so that offsets are exact. */
import { JetonError } from "../../../core/index.ts";
import { checkOptionNames } from "../../../core/option-rules.ts";
import type { Interval } from "../intervals.ts";

/** Cuts texts; any object of this shape is one. */
export interface Chunker {
  /** Short, for tables. */
  readonly name: string;
  /** Ranges of UTF-16 units, in the order of their starts; they may overlap and leave parts out. */
  chunk(text: string): readonly Interval[] | Promise<readonly Interval[]>;
}

/**
 * Checks a chunker's ranges.
 *
 * @throws JetonError `chunks-invalid` for a range that is empty, outside the text, or before the one
 *   before it
 */
export function checkChunks(name: string, text: string, ranges: readonly Interval[]): void {
  let last = 0;
  for (const { start, end } of ranges) {
    const isInside = Number.isInteger(start) && Number.isInteger(end) && end <= text.length;
    if (isInside && start >= last && end > start) {
      last = start;
      continue;
    }
    throw new JetonError(`chunker ${name}: the range ${start} to ${end} cannot be`, {
      code: "chunks-invalid",
      details: { found: [start, end], expected: `ranges of 0 to ${text.length} by their starts` },
    });
  }
}

/**
 * Checks the names of a chunker's options.
 *
 * @throws JetonError `chunker-option-invalid`
 */
export function checkNames(chunker: string, options: unknown, names: readonly string[]): void {
  checkOptionNames(options, names, {
    what: `the ${chunker} chunker`,
    invalidCode: "chunker-option-invalid",
  });
}

/** An option that must be a function. */
export function checkFunction(chunker: string, option: string, found: unknown): void {
  if (typeof found !== "function") throw optionError(chunker, option, found, "a function");
}

/** An option that must be a whole number from `min`. */
export function checkCount(chunker: string, option: string, found: number, min = 1): void {
  if (Number.isInteger(found) && found >= min) return;
  throw optionError(chunker, option, found, `a whole number from ${min}`);
}

/** What a wrong option of a chunker is refused with, `chunker-option-invalid`. */
export function optionError(
  chunker: string,
  option: string,
  found: unknown,
  expected: string,
): JetonError {
  return new JetonError(`${chunker} chunker, ${option}: ${String(found)}; expected ${expected}`, {
    code: "chunker-option-invalid",
    details: { chunker, option, found, expected },
  });
}
