/** A binary heap of doubles, smallest first. */
export class KeyHeap {
  #keys: Float64Array;
  length = 0;

  constructor(capacity: number) {
    this.#keys = new Float64Array(Math.max(capacity, 16));
  }

  /** Adds a key without restoring the order; `order` must follow. */
  append(key: number): void {
    this.#keys[this.length++] = key;
  }

  order(): void {
    for (let i = (this.length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  push(key: number): void {
    if (this.length === this.#keys.length) {
      const grown = new Float64Array(this.length * 2);
      grown.set(this.#keys);
      this.#keys = grown;
    }
    const keys = this.#keys;
    let at = this.length++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[at] = keys[parent]!;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number {
    const keys = this.#keys;
    const top = keys[0]!;
    keys[0] = keys[--this.length]!;
    if (this.length > 1) this.#sink(0);
    return top;
  }

  #sink(at: number): void {
    const { length } = this;
    const keys = this.#keys;
    const key = keys[at]!;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= length) break;
      if (child + 1 < length && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= key) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = key;
  }
}
