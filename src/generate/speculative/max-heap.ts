/**
 * A binary max-heap: the item with the largest key comes first, among equal keys the one pushed first. Draft
 * trees grow by it.
 */
export class MaxHeap<T> {
  readonly #items: T[] = [];
  readonly #keys: number[] = [];
  readonly #turns: number[] = [];
  #turn = 0;

  get size(): number {
    return this.#items.length;
  }

  push(key: number, item: T): void {
    this.#sink(this.#items.length, key, this.#turn++, item);
  }

  pop(): T | undefined {
    if (this.#items.length === 0) return undefined;
    const first = this.#items[0];
    const item = this.#items.pop()!;
    const key = this.#keys.pop()!;
    const turn = this.#turns.pop()!;
    const size = this.#items.length;
    if (size === 0) return first;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#before(child + 1, this.#keys[child]!, this.#turns[child]!)) {
        child++;
      }
      if (!this.#before(child, key, turn)) break;
      this.#move(child, hole);
      hole = child;
    }
    this.#items[hole] = item;
    this.#keys[hole] = key;
    this.#turns[hole] = turn;
    return first;
  }

  /** Puts an item at `at` or further up, where its key belongs. */
  #sink(at: number, key: number, turn: number, item: T): void {
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#before(parent, key, turn)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#items[at] = item;
    this.#keys[at] = key;
    this.#turns[at] = turn;
  }

  #move(from: number, to: number): void {
    this.#items[to] = this.#items[from]!;
    this.#keys[to] = this.#keys[from]!;
    this.#turns[to] = this.#turns[from]!;
  }

  /** True where the item at an index precedes one with this key and turn. */
  #before(at: number, key: number, turn: number): boolean {
    return this.#keys[at]! > key || (this.#keys[at] === key && this.#turns[at]! < turn);
  }
}
