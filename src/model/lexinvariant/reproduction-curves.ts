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

/** Losses of each window, position by position; the batch is one symbol longer than what is read. */
export async function lossesByWindow(
  model: SymbolModel,
  whole: SymbolBatch,
  random: Random,
): Promise<Float64Array[]> {
  const { read, targets } = nextSymbols(whole);
  const { vocabSize } = model.config;
  const windows = Array.from({ length: read.batch }, () => new Float64Array(read.time));
  const rows = 32;
  for (let first = 0; first < read.batch; first += rows) {
    const count = Math.min(rows, read.batch - first);
    const ids = read.ids.subarray(first * read.time, (first + count) * read.time);
    const { logProbabilities } = await model.read({ batch: count, time: read.time, ids }, random);
    for (let at = 0; at < ids.length; at++) {
      const target = targets[first * read.time + at]!;
      const window = windows[first + Math.floor(at / read.time)]!;
      window[at % read.time] = -logProbabilities[at * vocabSize + target]!;
    }
  }
  return windows;
}

/** Means over windows, by position. */
export function meanByPosition(windows: readonly Float64Array[]): Float64Array {
  const means = new Float64Array(windows[0]!.length);
  for (const window of windows) {
    for (const [at, value] of window.entries()) means[at]! += value / windows.length;
  }
  return means;
}

/** Mean of some windows over a range of positions. */
export function meanIn(
  windows: readonly Float64Array[],
  places: readonly number[],
  [from, to]: readonly [number, number],
): number {
  return places.reduce((sum, at) => sum + mean(windows[at]!.subarray(from, to)), 0) / places.length;
}

export function lossesByRange(
  losses: Readonly<Record<string, readonly Float64Array[]>>,
): Record<string, readonly number[]> {
  return Object.fromEntries(
    Object.entries(losses).map(([name, own]) => [
      name,
      ranges.map(([from, to]) => mean(meanByPosition(own).subarray(from, to))),
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
