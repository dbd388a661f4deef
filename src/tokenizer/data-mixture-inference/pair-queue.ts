/** A priority queue of pairs by their count in the mixture, less their slack. */
export class PairQueue {
  readonly #heap: Int32Array;
  readonly #places: Int32Array;
  readonly #keys: Float64Array;
  #length = 0;

  constructor(pairs: number) {
    this.#heap = new Int32Array(pairs);
    this.#places = new Int32Array(pairs).fill(-1);
    this.#keys = new Float64Array(pairs);
  }

  update(pair: number, key: number): void {
    this.#keys[pair] = key;
    let place = this.#places[pair]!;
    if (place < 0) {
      place = this.#length++;
      this.#heap[place] = pair;
      this.#places[pair] = place;
    }
    this.#sink(this.#rise(place));
  }

  /** The key that a pair was last given. */
  keyOf(pair: number): number {
    return this.#keys[pair]!;
  }

  /** Pairs whose keys are above a limit: all, or `most` of them with the largest among these. */
  above(limit: number, most: number): number[] {
    const found: number[] = [];
    const open: number[] = [0];
    // Level by level from the top: no key is above that of its parent.
    for (let next = 0; next < open.length && found.length < most; next++) {
      const place = open[next]!;
      if (place >= this.#length || this.#keys[this.#heap[place]!]! <= limit) continue;
      found.push(this.#heap[place]!);
      open.push(place * 2 + 1, place * 2 + 2);
    }
    return found;
  }

  #rise(place: number): number {
    const heap = this.#heap;
    const keys = this.#keys;
    const places = this.#places;
    const pair = heap[place]!;
    const key = keys[pair]!;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const other = heap[parent]!;
      if (keys[other]! >= key) break;
      heap[place] = other;
      places[other] = place;
      place = parent;
    }
    heap[place] = pair;
    places[pair] = place;
    return place;
  }

  #sink(place: number): void {
    const heap = this.#heap;
    const keys = this.#keys;
    const places = this.#places;
    const pair = heap[place]!;
    const key = keys[pair]!;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= this.#length) break;
      if (child + 1 < this.#length && keys[heap[child + 1]!]! > keys[heap[child]!]!) child++;
      const other = heap[child]!;
      if (keys[other]! <= key) break;
      heap[place] = other;
      places[other] = place;
      place = child;
    }
    heap[place] = pair;
    places[pair] = place;
  }
}
