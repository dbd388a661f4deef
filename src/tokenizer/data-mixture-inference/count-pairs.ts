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
  const { pairs, products } = list;
  const recorder = new PairRecorder(linkWords(collector), numbers, list.allows);
  const total = recorder.countAll();
  for (let step = 0; step < products.length; step++) {
    recorder.merge(pairs[step * 2]!, pairs[step * 2 + 1]!, products[step]!);
  }
  return { total, steps: products.length, ...recorder.finish() };
}

/** All words in one array of symbols, with links between neighbours (-1: none). */
interface LinkedWords {
  readonly symbols: Int32Array;
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** How often the word of each symbol occurs. */
  readonly weight: Float64Array;
}

function linkWords(collector: WordCollector): LinkedWords {
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
  return { symbols: Int32Array.from(cells), next, previous, weight };
}

/** Merges pairs in the words and records how the counts of pairs change with each merge. */
class PairRecorder {
  readonly #words: LinkedWords;
  readonly #numbers: PairNumbers;
  readonly #allows: MergeList["allows"];
  /** Places of each pair, by the pair's own number; a pair that has lost a place keeps the entry. */
  readonly #places: number[][] = [];
  readonly #allowed: boolean[] = [];
  readonly #delta: Map<number, number> = new Map();
  readonly #starts: Numbers<Int32Array> = new Numbers(new Int32Array(1024));
  readonly #changedPairs: Numbers<Int32Array> = new Numbers(new Int32Array(1024));
  readonly #changes: Numbers<Float64Array> = new Numbers(new Float64Array(1024));

  constructor(words: LinkedWords, numbers: PairNumbers, allows: MergeList["allows"]) {
    this.#words = words;
    this.#numbers = numbers;
    this.#allows = allows;
  }

  /** Counts the pairs of the unmerged words; returns their number. */
  countAll(): number {
    const { symbols, next, weight } = this.#words;
    let total = 0;
    for (let place = 0; place < symbols.length; place++) {
      const after = next[place]!;
      if (after < 0) continue;
      total += weight[place]!;
      this.#change(symbols[place]!, symbols[after]!, weight[place]!, place);
    }
    this.#flush();
    return total;
  }

  merge(left: number, right: number, product: number): void {
    const { symbols, next, previous, weight } = this.#words;
    const pair = this.#numbers.of(left, right);
    // Overlapping places merge from left to right.
    const at = Int32Array.from(this.#placesOf(pair)).sort();
    this.#places[pair] = [];
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
      this.#change(left, right, -count, -1);
      if (before >= 0) {
        this.#change(symbols[before]!, left, -count, -1);
        this.#change(symbols[before]!, product, count, before);
      }
      if (after >= 0) {
        this.#change(right, symbols[after]!, -count, -1);
        this.#change(product, symbols[after]!, count, place);
      }
    }
    this.#flush();
  }

  finish(): Pick<PairHistory, "starts" | "changedPairs" | "changes"> {
    this.#starts.push(this.#changes.length);
    return {
      starts: this.#starts.toArray(),
      changedPairs: this.#changedPairs.toArray(),
      changes: this.#changes.toArray(),
    };
  }

  #placesOf(pair: number): number[] {
    const places = this.#places;
    while (places.length <= pair) places.push([]);
    return places[pair]!;
  }

  #change(left: number, right: number, by: number, place: number): void {
    const pair = this.#numbers.of(left, right);
    if (this.#allows !== undefined) {
      this.#allowed[pair] ??= this.#allows(left, right);
      if (!this.#allowed[pair]) return;
    }
    this.#delta.set(pair, (this.#delta.get(pair) ?? 0) + by);
    if (place >= 0) this.#placesOf(pair).push(place);
  }

  /** Writes down what the last merge changed. */
  #flush(): void {
    this.#starts.push(this.#changes.length);
    for (const [pair, by] of this.#delta) {
      if (by === 0) continue;
      this.#changedPairs.push(pair);
      this.#changes.push(by);
    }
    this.#delta.clear();
  }
}
