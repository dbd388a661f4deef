/**
 * Training of byte-pair encoding: the most frequent pair of adjacent symbols becomes a token, again
 * and again. Of equally frequent pairs the one with the smaller ids goes first, as in the native
 * `tokenizers` library, whose merges this reproduces.
 *
 * The words lie in one array of symbols with links between neighbours. Each pair knows the places
 * where it occurs; a merge visits these alone, adjusts the counts of the neighbouring pairs and
 * queues the pairs that it creates. Queue entries carry the count they were made with and are put
 * back when it has fallen since.
 */
import { JetonError } from "../../core/error.ts";
import { PairTable } from "../models/pair-table.ts";

export interface BytePairTraining {
  /** Symbols of all words, one word after the other: indices into `tokens`. */
  readonly symbols: Int32Array;
  /** Where each word starts in `symbols`; one more entry marks the end. */
  readonly starts: Int32Array;
  /** How often each word occurs. */
  readonly counts: Float64Array;
  /** Tokens at the start: special ones, then the alphabet. */
  readonly tokens: readonly string[];
  /** Number of tokens to reach. */
  readonly vocabSize: number;
  /** Rarer pairs are not merged. */
  readonly minFrequency: number;
  /** Written before every symbol of a word but the first; it goes when symbols merge. */
  readonly continuingPrefix?: string;
  /** Longest token, in symbols of the alphabet. */
  readonly maxTokenLength?: number;
  /** Called now and then with the number of tokens so far. */
  readonly onProgress?: (tokens: number) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface BytePairResult {
  /** All tokens by id. */
  readonly tokens: string[];
  /** Pairs of ids, best first. */
  readonly merges: [number, number][];
}

/** Finds the merges. Deterministic. */
export function trainBytePairs(training: BytePairTraining): BytePairResult {
  return new BytePairTrainer(training).train();
}

/** A list of places in a shared pool of (place, next) cells; -1 ends it. */
class PlaceLists {
  #cells: Int32Array;
  #count = 0;

  constructor(expected: number) {
    this.#cells = new Int32Array(Math.max(16, expected * 2));
  }

  /** A list with `place` put before `head`. */
  push(head: number, place: number): number {
    if ((this.#count + 1) * 2 > this.#cells.length) {
      const grown = new Int32Array(this.#cells.length * 2);
      grown.set(this.#cells);
      this.#cells = grown;
    }
    const cell = this.#count++;
    this.#cells[cell * 2] = place;
    this.#cells[cell * 2 + 1] = head;
    return cell;
  }

  /** The places of a list in ascending order. */
  collect(head: number): Int32Array {
    const cells = this.#cells;
    let length = 0;
    for (let cell = head; cell >= 0; cell = cells[cell * 2 + 1]!) length++;
    const places = new Int32Array(length);
    let sorted = true;
    for (let cell = head; cell >= 0; cell = cells[cell * 2 + 1]!) {
      places[--length] = cells[cell * 2]!;
      if (sorted && length + 1 < places.length && places[length]! > places[length + 1]!) {
        sorted = false;
      }
    }
    return sorted ? places : places.sort();
  }
}

class BytePairTrainer {
  readonly #training: BytePairTraining;
  readonly #symbols: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #lengths: Int32Array | null;
  /** Word of each place. */
  readonly #words: Int32Array;

  readonly #tokens: string[];
  readonly #ids: Map<string, number> = new Map();
  readonly #lists: PlaceLists;

  // Pairs by number.
  readonly #pairs: PairTable;
  #pairCount = 0;
  #lefts: Int32Array = new Int32Array(1024);
  #rights: Int32Array = new Int32Array(1024);
  #frequencies: Float64Array = new Float64Array(1024);
  /** Places created since the pair was last queued. */
  #freshPlaces: Int32Array = new Int32Array(1024).fill(-1);
  #touched: number[] = [];

  // The queue: a binary heap of entries (pair, count, places).
  #heap: Int32Array = new Int32Array(1024);
  #heapLength = 0;
  #entryPairs: Int32Array = new Int32Array(1024);
  #entryCounts: Float64Array = new Float64Array(1024);
  #entryPlaces: Int32Array = new Int32Array(1024);
  #entryCount = 0;

  constructor(training: BytePairTraining) {
    this.#training = training;
    const { symbols, starts } = training;
    this.#symbols = Int32Array.from(symbols);
    this.#tokens = [...training.tokens];
    for (const [id, token] of this.#tokens.entries()) this.#ids.set(token, id);
    const size = symbols.length;
    this.#next = new Int32Array(size);
    this.#previous = new Int32Array(size);
    this.#words = new Int32Array(size);
    this.#lengths = training.maxTokenLength === undefined ? null : new Int32Array(size).fill(1);
    for (let word = 0; word + 1 < starts.length; word++) {
      const start = starts[word]!;
      const end = starts[word + 1]!;
      for (let place = start; place < end; place++) {
        this.#next[place] = place + 1 < end ? place + 1 : -1;
        this.#previous[place] = place > start ? place - 1 : -1;
        this.#words[place] = word;
      }
    }
    this.#pairs = new PairTable(4096);
    this.#lists = new PlaceLists(size);
  }

  train(): BytePairResult {
    const training = this.#training;
    const { vocabSize, minFrequency, onProgress, signal } = training;
    this.#countPairs();
    const merges: [number, number][] = [];
    while (this.#tokens.length < vocabSize && this.#heapLength > 0) {
      const entry = this.#pop();
      const pair = this.#entryPairs[entry]!;
      const frequency = this.#frequencies[pair]!;
      if (this.#entryCounts[entry] !== frequency) {
        this.#entryCounts[entry] = frequency;
        this.#push(entry);
        continue;
      }
      if (frequency < 1 || frequency < minFrequency) break;
      if ((merges.length & 0xff) === 0) {
        throwIfAborted(signal);
        onProgress?.(this.#tokens.length);
      }
      const left = this.#lefts[pair]!;
      const right = this.#rights[pair]!;
      merges.push([left, right]);
      this.#merge(left, right, this.#addToken(left, right), this.#entryPlaces[entry]!);
      this.#queueTouched();
    }
    return { tokens: this.#tokens, merges };
  }

  /** The id of the token that two others make together; two pairs may make the same one. */
  #addToken(left: number, right: number): number {
    const prefix = this.#training.continuingPrefix ?? "";
    const second = this.#tokens[right]!;
    const rest = prefix !== "" && second.startsWith(prefix) ? second.slice(prefix.length) : second;
    const token = this.#tokens[left]! + rest;
    const known = this.#ids.get(token);
    if (known !== undefined) return known;
    const id = this.#tokens.length;
    this.#tokens.push(token);
    this.#ids.set(token, id);
    return id;
  }

  #countPairs(): void {
    const symbols = this.#symbols;
    const next = this.#next;
    const words = this.#words;
    const { counts } = this.#training;
    for (let place = 0; place < symbols.length; place++) {
      const after = next[place]!;
      if (after < 0) continue;
      this.#addPlace(symbols[place]!, symbols[after]!, place, counts[words[place]!]!);
    }
    this.#queueTouched();
  }

  /** Merges the pair at every place of a list where it still stands. */
  #merge(left: number, right: number, merged: number, list: number): void {
    const symbols = this.#symbols;
    const next = this.#next;
    const previous = this.#previous;
    const words = this.#words;
    const lengths = this.#lengths;
    const { counts, maxTokenLength } = this.#training;
    const places = this.#lists.collect(list);
    for (let i = 0; i < places.length; i++) {
      const place = places[i]!;
      if (symbols[place] !== left) continue;
      const gone = next[place]!;
      if (gone < 0 || symbols[gone] !== right) continue;
      const count = counts[words[place]!]!;
      const before = previous[place]!;
      const after = next[gone]!;
      symbols[place] = merged;
      symbols[gone] = -1;
      next[place] = after;
      if (after >= 0) previous[after] = place;
      if (lengths !== null) lengths[place]! += lengths[gone]!;
      const fits = (other: number): boolean =>
        lengths === null || lengths[other]! + lengths[place]! < maxTokenLength! + 1;
      if (before >= 0) {
        this.#lose(symbols[before]!, left, count);
        if (fits(before)) this.#addPlace(symbols[before]!, merged, before, count);
      }
      if (after >= 0) {
        this.#lose(right, symbols[after]!, count);
        if (fits(after)) this.#addPlace(merged, symbols[after]!, place, count);
      }
    }
  }

  #lose(left: number, right: number, count: number): void {
    const pair = this.#pairs.get(left, right);
    if (pair >= 0) this.#frequencies[pair]! -= count;
  }

  #addPlace(left: number, right: number, place: number, count: number): void {
    let pair = this.#pairs.get(left, right);
    if (pair < 0) {
      pair = this.#pairCount++;
      this.#pairs.set(left, right, pair);
      if (pair === this.#lefts.length) this.#growPairs();
      this.#lefts[pair] = left;
      this.#rights[pair] = right;
    }
    this.#frequencies[pair]! += count;
    if (this.#freshPlaces[pair]! < 0) this.#touched.push(pair);
    this.#freshPlaces[pair] = this.#lists.push(this.#freshPlaces[pair]!, place);
  }

  #growPairs(): void {
    const capacity = this.#lefts.length * 2;
    this.#lefts = copyInto(this.#lefts, new Int32Array(capacity));
    this.#rights = copyInto(this.#rights, new Int32Array(capacity));
    this.#frequencies = copyInto(this.#frequencies, new Float64Array(capacity));
    this.#freshPlaces = copyInto(this.#freshPlaces, new Int32Array(capacity).fill(-1));
  }

  /** Queues the pairs that have new places. */
  #queueTouched(): void {
    for (const pair of this.#touched) {
      const entry = this.#entryCount++;
      if (entry === this.#entryPairs.length) {
        const capacity = entry * 2;
        this.#entryPairs = copyInto(this.#entryPairs, new Int32Array(capacity));
        this.#entryCounts = copyInto(this.#entryCounts, new Float64Array(capacity));
        this.#entryPlaces = copyInto(this.#entryPlaces, new Int32Array(capacity));
      }
      this.#entryPairs[entry] = pair;
      this.#entryCounts[entry] = this.#frequencies[pair]!;
      this.#entryPlaces[entry] = this.#freshPlaces[pair]!;
      this.#freshPlaces[pair] = -1;
      // An entry below the threshold could only come to the top to end the training.
      if (this.#frequencies[pair]! >= Math.max(1, this.#training.minFrequency)) this.#push(entry);
    }
    this.#touched.length = 0;
  }

  /** True when entry `a` goes before entry `b`. */
  #isBefore(a: number, b: number): boolean {
    const difference = this.#entryCounts[a]! - this.#entryCounts[b]!;
    if (difference !== 0) return difference > 0;
    const first = this.#entryPairs[a]!;
    const second = this.#entryPairs[b]!;
    const left = this.#lefts[first]! - this.#lefts[second]!;
    return left !== 0 ? left < 0 : this.#rights[first]! < this.#rights[second]!;
  }

  #push(entry: number): void {
    if (this.#heapLength === this.#heap.length) {
      this.#heap = copyInto(this.#heap, new Int32Array(this.#heap.length * 2));
    }
    const heap = this.#heap;
    let at = this.#heapLength++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): number {
    const heap = this.#heap;
    const top = heap[0]!;
    const entry = heap[--this.#heapLength]!;
    const length = this.#heapLength;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#isBefore(heap[child]!, entry)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = entry;
    return top;
  }
}

function copyInto<List extends Float64Array | Int32Array>(from: List, to: List): List {
  to.set(from);
  return to;
}

/** Throws a JetonError `aborted` when the signal asks to stop. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new JetonError("the training was stopped", { code: "aborted", cause: signal.reason });
  }
}
