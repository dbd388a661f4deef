/**
 * Token boundaries that follow the text at hand: the most frequent neighbours of a batch are merged,
 * again and again, and forgotten with the batch.
 */
import { textOfForm } from "../token-forms.ts";

/** A token of a merged sequence: its byte form, or the id of a special token, which never merges. */
export type DynamicToken = string | number;

/** Options of `mergeBatch`. */
export interface MergeBatchOptions {
  /** Most merges. Default: until no pair is left. */
  merges?: number;
  /**
   * How far a token may grow: to a word of this pattern, or over the whole text. The default is the
   * pattern of GPT-2.
   */
  boundary?: RegExp | "text";
}

/** Merged sequences. */
export interface MergedBatch {
  readonly sequences: readonly (readonly DynamicToken[])[];
  /** Merges that were made, in order. */
  readonly merges: readonly (readonly [string, string])[];
  /** Tokens that each merge saved, over all sequences. */
  readonly saved: readonly number[];
}

const gpt2Words: RegExp =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/u;

/**
 * Merges the most frequent valid pair of the batch, left to right, until the budget is spent or no pair
 * is left. Every occurrence counts, also those that overlap in runs; ties go to the pair that comes
 * first in the order of strings. Only sequences that hold the pair are looked at again.
 */
export function mergeBatch(
  batch: readonly (readonly DynamicToken[])[],
  options: MergeBatchOptions = {},
): MergedBatch {
  const { merges: budget = Number.POSITIVE_INFINITY, boundary = gpt2Words } = options;
  const isValid = pairRule(boundary);
  const sequences = batch.map((sequence) => [...sequence]);
  const pairs = new Map<string, Pair>();
  const count = (number: number, by: 1 | -1): void => {
    const sequence = sequences[number]!;
    for (let at = 0; at + 1 < sequence.length; at++) {
      const [left, right] = [sequence[at]!, sequence[at + 1]!];
      if (typeof left === "number" || typeof right === "number") continue;
      const key = `${left} ${right}`;
      let pair = pairs.get(key);
      if (!pair) {
        pair = { key, left, right, count: 0, holders: new Set(), isValid: isValid(left, right) };
        pairs.set(key, pair);
      }
      pair.count += by;
      if (by > 0) pair.holders.add(number);
    }
  };
  for (const number of sequences.keys()) count(number, 1);

  const made: [string, string][] = [];
  const saved: number[] = [];
  while (made.length < budget) {
    let best: Pair | undefined;
    for (const pair of pairs.values()) {
      if (pair.count === 0) pairs.delete(pair.key);
      else if (pair.isValid && (best === undefined || isBefore(pair, best))) best = pair;
    }
    if (best === undefined) break;
    let fewer = 0;
    for (const number of best.holders) {
      const before = sequences[number]!;
      count(number, -1);
      sequences[number] = mergePair(before, best.left, best.right);
      count(number, 1);
      fewer += before.length - sequences[number]!.length;
    }
    made.push([best.left, best.right]);
    saved.push(fewer);
  }
  return { sequences, merges: made, saved };
}

/**
 * The fewest merges that give a share of the reduction that all merges of a batch give.
 *
 * @param merged the batch without a budget
 * @param share in percent, from 0 to 100
 */
export function mergesForReduction({ saved }: MergedBatch, share: number): number {
  const wanted = (share / 100) * saved.reduce((sum, count) => sum + count, 0);
  let reached = 0;
  let merges = 0;
  while (merges < saved.length && reached < wanted) reached += saved[merges++]!;
  return merges;
}

interface Pair {
  readonly key: string;
  readonly left: string;
  readonly right: string;
  count: number;
  /** Sequences that hold it, or have held it. */
  readonly holders: Set<number>;
  readonly isValid: boolean;
}

function isBefore(a: Pair, b: Pair): boolean {
  return a.count > b.count || (a.count === b.count && a.key < b.key);
}

/** Replaces a pair by one token, left to right. */
export function mergePair(
  sequence: readonly DynamicToken[],
  left: string,
  right: string,
): DynamicToken[] {
  const merged: DynamicToken[] = [];
  for (let at = 0; at < sequence.length; at++) {
    if (sequence[at] === left && sequence[at + 1] === right) {
      merged.push(left + right);
      at++;
    } else merged.push(sequence[at]!);
  }
  return merged;
}

/** Which pairs may become one token. */
export function pairRule(boundary: RegExp | "text"): (left: string, right: string) => boolean {
  const whole = boundary === "text" ? undefined : new RegExp(`^(?:${boundary.source})$`, "u");
  return (left, right) => {
    const form = left + right;
    // Whitespace stands in front or is all there is; an empty line is never a token.
    if (form === "ĊĊ") return false;
    if (/[ĉĠĊ]/u.test(form.slice(1)) && !/^[ĉĠĊ]+$/u.test(form)) return false;
    if (whole === undefined) return true;
    const text = textOfForm(form);
    // A part of a character must be able to grow.
    return text === null || (whole.test(text) && firstWord(boundary as RegExp, text) === text);
  };
}

function firstWord(pattern: RegExp, text: string): string | undefined {
  return new RegExp(pattern.source, "u").exec(text)?.[0];
}
