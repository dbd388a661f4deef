/**
 * New embedding rows as weighted averages of old ones: what every method without a learned map gives.
 */
import { createRandom } from "../core/index.ts";

/** Rows of a vocabulary: its input table, and its head where that is another. */
export interface VocabularyTables {
  /** `[size, width]` */
  readonly embedding: Float32Array;
  /** `[size, width]`; absent where the head is the embedding table. */
  readonly head?: Float32Array;
}

/** What a token is made of: source ids, with weights that sum to 1. */
export interface TokenMixture {
  readonly sources: readonly number[];
  readonly weights: readonly number[];
}

/** Mixtures by target id; undefined where nothing is known of a token. */
export type VocabularyMixture = readonly (TokenMixture | undefined)[];

/**
 * Rows of a token without a mixture: the mean of all source rows, or a row drawn from a
 * normal distribution with their mean and deviation in each dimension.
 */
export type UnknownRows = "mean" | "normal";

export interface MixTablesOptions {
  /** Length of a row. */
  width: number;
  /** Default `"normal"`. */
  unknown?: UnknownRows;
  /** Of the rows that are drawn. Default 0. */
  seed?: number;
}

/** Computes the tables of a mixture; the head gets the same weights as the embedding. */
export function mixTables(
  source: VocabularyTables,
  mixture: VocabularyMixture,
  options: MixTablesOptions,
): VocabularyTables {
  const embedding = mixRows(source.embedding, mixture, "embedding", options);
  if (source.head === undefined) return { embedding };
  return { embedding, head: mixRows(source.head, mixture, "head", options) };
}

function mixRows(
  rows: Float32Array,
  mixture: VocabularyMixture,
  table: string,
  { width, unknown = "normal", seed = 0 }: MixTablesOptions,
): Float32Array {
  const mixed = new Float32Array(mixture.length * width);
  const statistics = describeRows(rows, width);
  const sum = new Float64Array(width);
  for (const [id, entry] of mixture.entries()) {
    const at = id * width;
    if (entry === undefined || entry.sources.length === 0) {
      const random = unknown === "normal" ? createRandom(seed, "row", table, id) : undefined;
      for (let i = 0; i < width; i++) {
        mixed[at + i] =
          statistics.mean[i]! + (random ? statistics.deviation[i]! * random.normal() : 0);
      }
      continue;
    }
    if (entry.sources.length === 1) {
      const from = entry.sources[0]! * width;
      mixed.set(rows.subarray(from, from + width), at);
      continue;
    }
    sum.fill(0);
    // Small weights first: they would be lost beside a large sum.
    const order = [...entry.weights.keys()].sort((a, b) => entry.weights[a]! - entry.weights[b]!);
    for (const place of order) {
      const from = entry.sources[place]! * width;
      const weight = entry.weights[place]!;
      for (let i = 0; i < width; i++) sum[i]! += weight * rows[from + i]!;
    }
    mixed.set(sum, at);
  }
  return mixed;
}

/** Mean and deviation of each dimension of a table. */
export function describeRows(
  rows: Float32Array,
  width: number,
): { mean: Float64Array; deviation: Float64Array } {
  const count = Math.max(1, rows.length / width);
  const mean = new Float64Array(width);
  const deviation = new Float64Array(width);
  for (let at = 0; at < rows.length; at++) mean[at % width]! += rows[at]!;
  for (let i = 0; i < width; i++) mean[i]! /= count;
  for (let at = 0; at < rows.length; at++)
    deviation[at % width]! += (rows[at]! - mean[at % width]!) ** 2;
  for (let i = 0; i < width; i++) deviation[i] = Math.sqrt(deviation[i]! / count);
  return { mean, deviation };
}

/** A mixture of the given shares, which need not sum to 1; undefined when there are none. */
export function normalizeMixture(shares: ReadonlyMap<number, number>): TokenMixture | undefined {
  let total = 0;
  for (const share of shares.values()) total += share;
  if (!(total > 0)) return undefined;
  return {
    sources: [...shares.keys()],
    weights: Array.from(shares.values(), (share) => share / total),
  };
}
