/** Losses of the reproduction by position, and their curves. */

import type { Random } from "../../core/index.ts";
import type { Series } from "../../reproduce/index.ts";
import { nextSymbols, type SymbolBatch } from "./lexinvariant.ts";
import { context } from "./reproduction-models.ts";
import type { SymbolModel } from "./symbol-model.ts";

/** First and one past the last position of the ranges that are reported. */
export const ranges: readonly (readonly [number, number])[] = [
  [1, 16],
  [16, 64],
  [64, 128],
  [128, context],
];

/** Mean loss at each position, over the rows of a batch that is one symbol longer than what is read. */
export async function lossByPosition(
  model: SymbolModel,
  whole: SymbolBatch,
  random: Random,
): Promise<Float64Array> {
  const { read, targets } = nextSymbols(whole);
  const { vocabSize } = model.config;
  const losses = new Float64Array(read.time);
  const rows = 32;
  for (let first = 0; first < read.batch; first += rows) {
    const count = Math.min(rows, read.batch - first);
    const ids = read.ids.subarray(first * read.time, (first + count) * read.time);
    const { logProbabilities } = await model.read({ batch: count, time: read.time, ids }, random);
    for (let at = 0; at < ids.length; at++) {
      const target = targets[first * read.time + at]!;
      losses[at % read.time]! -= logProbabilities[at * vocabSize + target]! / read.batch;
    }
  }
  return losses;
}

export function lossesByRange(
  losses: Readonly<Record<string, Float64Array>>,
): Record<string, readonly number[]> {
  return Object.fromEntries(
    Object.entries(losses).map(([name, own]) => [
      name,
      ranges.map(([from, to]) => mean(own.subarray(from, to))),
    ]),
  );
}

/** A curve by position, smoothed over neighbours whose number grows with the position. */
export function series(name: string, values: Float64Array, dashed = false): Series {
  const points: { x: number; y: number }[] = [];
  for (let from = 0; from < values.length; ) {
    const to = Math.min(values.length, Math.max(from + 1, Math.floor(from * 1.2)));
    points.push({ x: (from + to + 1) / 2, y: mean(values.subarray(from, to)) });
    from = to;
  }
  return { name, points, dashed };
}

export function mean(values: Float64Array): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
