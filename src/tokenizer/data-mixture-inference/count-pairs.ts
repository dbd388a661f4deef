/**
 * Replays a list of merges on a sample and records how often every pair of neighbours occurred before
 * each merge: all counts at the start, and the changes that each merge makes.
 */
import { PairTable } from "../models/pair-table.ts";
import type { MergeList, WordCollector } from "./merge-list.ts";

/** Numbers the pairs of symbols that occur in any sample, so that their counts can be compared. */
export class PairNumbers {
  readonly #table: PairTable = new PairTable(1 << 16);
  readonly #lefts: number[] = [];
  readonly #rights: number[] = [];

  get size(): number {
    return this.#lefts.length;
  }

  /** The number of a pair; it gets one if it has none. */
  of(left: number, right: number): number {
    const known = this.#table.get(left, right);
    if (known >= 0) return known;
    const number = this.#lefts.length;
    this.#table.set(left, right, number);
    this.#lefts.push(left);
    this.#rights.push(right);
    return number;
  }

  /** The two symbols of a pair. */
  symbols(pair: number): readonly [left: number, right: number] {
    return [this.#lefts[pair]!, this.#rights[pair]!];
  }
}

/** How the counts of pairs in one sample change while the merges are applied. */
export interface PairHistory {
  /** Adjacent pairs in the sample before the first merge. */
  readonly total: number;
  /** Number of merges that were applied. */
  readonly steps: number;
  /** Where the changes of each step start; step 0 holds the counts before the first merge. */
  readonly starts: Int32Array;
  /** Pair of each change, and by how much its count changed. */
  readonly changedPairs: Int32Array;
  readonly changes: Float64Array;
}

/** A growing list of numbers in a typed array. */
class Numbers<List extends Int32Array | Float64Array> {
  length = 0;
  #values: List;

  constructor(values: List) {
    this.#values = values;
  }

  push(value: number): void {
    if (this.length === this.#values.length) {
      const Type = this.#values.constructor as new (length: number) => List;
      const grown = new Type(this.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.length++] = value;
  }

  toArray(): List {
    return this.#values.slice(0, this.length) as List;
  }
}

/**
 * Applies the merges of a list to the words of a sample, in order, and records the counts.
 *
 * A merge that meets no place in the sample changes nothing and is followed by the next one. `numbers`
 * must be the same for all samples of one inference.
 */
export function recordPairCounts(
  list: MergeList,
  collector: WordCollector,
  numbers: PairNumbers,
): PairHistory {
  const { pairs, products, allows } = list;

  // All words in one array of symbols, with links between neighbours.
  const cells: number[] = [];
  const bounds: number[] = [0];
  const weights: number[] = [];
  for (const { symbols, count } of collector.words()) {
    if (symbols.length < 2) continue;
    for (const symbol of symbols) cells.push(symbol);
    bounds.push(cells.length);
    weights.push(count);
  }
  const size = cells.length;
  const symbols = Int32Array.from(cells);
  const next = new Int32Array(size).fill(-1);
  const previous = new Int32Array(size).fill(-1);
  const weight = new Float64Array(size);
  for (let word = 0; word < weights.length; word++) {
    const [start, end] = [bounds[word]!, bounds[word + 1]!];
    for (let place = start; place < end; place++) {
      weight[place] = weights[word]!;
      if (place + 1 < end) next[place] = place + 1;
      if (place > start) previous[place] = place - 1;
    }
  }

  // Places of each pair, by the pair's own number; a pair that has lost a place keeps the entry.
  const places: number[][] = [];
  const placesOf = (pair: number): number[] => {
    while (places.length <= pair) places.push([]);
    return places[pair]!;
  };
  const starts = new Numbers(new Int32Array(1024));
  const changedPairs = new Numbers(new Int32Array(1024));
  const changes = new Numbers(new Float64Array(1024));
  const allowed: boolean[] = [];
  const delta = new Map<number, number>();
  const change = (left: number, right: number, by: number, place: number): void => {
    const pair = numbers.of(left, right);
    if (allows !== undefined) {
      allowed[pair] ??= allows(left, right);
      if (!allowed[pair]) return;
    }
    delta.set(pair, (delta.get(pair) ?? 0) + by);
    if (place >= 0) placesOf(pair).push(place);
  };
  const flush = (): void => {
    starts.push(changes.length);
    for (const [pair, by] of delta) {
      if (by === 0) continue;
      changedPairs.push(pair);
      changes.push(by);
    }
    delta.clear();
  };

  let total = 0;
  for (let place = 0; place < size; place++) {
    const after = next[place]!;
    if (after < 0) continue;
    total += weight[place]!;
    change(symbols[place]!, symbols[after]!, weight[place]!, place);
  }
  flush();

  for (let step = 0; step < products.length; step++) {
    const left = pairs[step * 2]!;
    const right = pairs[step * 2 + 1]!;
    const product = products[step]!;
    const pair = numbers.of(left, right);
    // Overlapping places merge from left to right.
    const at = Int32Array.from(placesOf(pair)).sort();
    places[pair] = [];
    for (const place of at) {
      if (symbols[place] !== left) continue;
      const gone = next[place]!;
      if (gone < 0 || symbols[gone] !== right) continue;
      const count = weight[place]!;
      const before = previous[place]!;
      const after = next[gone]!;
      symbols[place] = product;
      symbols[gone] = -1;
      next[place] = after;
      if (after >= 0) previous[after] = place;
      change(left, right, -count, -1);
      if (before >= 0) {
        change(symbols[before]!, left, -count, -1);
        change(symbols[before]!, product, count, before);
      }
      if (after >= 0) {
        change(right, symbols[after]!, -count, -1);
        change(product, symbols[after]!, count, place);
      }
    }
    flush();
  }
  starts.push(changes.length);
  return {
    total,
    steps: products.length,
    starts: starts.toArray(),
    changedPairs: changedPairs.toArray(),
    changes: changes.toArray(),
  };
}
