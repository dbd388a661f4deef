/** What is counted: characters (code points) or tokens, each as a map from UTF-16 offsets. */
import type { Tokenizer } from "../../tokenizer/index.ts";
import type { Interval } from "./intervals.ts";

/** Turns ranges of UTF-16 units into ranges of positions. */
export interface PositionMap {
  /** Number of positions of the text. */
  readonly length: number;
  /** The positions that a range of UTF-16 units shares something with. */
  toPositions(range: Interval): Interval;
}

/** Positions are characters, as code points: what the published numbers count. */
export function characterPositions(text: string): PositionMap {
  const isPlain = !/[\ud800-\udfff]/.test(text);
  if (isPlain) return { length: text.length, toPositions: ({ start, end }) => ({ start, end }) };
  const starts = [0];
  for (const character of text) starts.push(starts.at(-1)! + character.length);
  return mapOf(starts.slice(0, -1), starts.slice(1));
}

/** Positions are a tokenizer's tokens. A token that two chunks share a part of is in both. */
export function tokenPositions(text: string, tokenizer: Tokenizer): PositionMap {
  const { offsets } = tokenizer.encode(text, { addSpecialTokens: false, applyLimits: false });
  return mapOf(
    offsets.map(([start]) => start),
    offsets.map(([, end]) => end),
  );
}

/** A map from ascending starts and ends of positions. */
function mapOf(starts: readonly number[], ends: readonly number[]): PositionMap {
  return {
    length: starts.length,
    toPositions({ start, end }) {
      if (end <= start) return { start: 0, end: 0 };
      const first = countWhere(ends, (value) => value <= start);
      return {
        start: first,
        end: Math.max(
          first,
          countWhere(starts, (value) => value < end),
        ),
      };
    },
  };
}

/** How many of the first elements satisfy a condition that holds up to some place. */
function countWhere(values: readonly number[], holds: (value: number) => boolean): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(values[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}
