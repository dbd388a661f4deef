/**
 * A hash table from pairs of small integers to one integer and a second beside it, in one typed
 * array.
 *
 * Open addressing with linear probing; a slot is (left, right, value, second) so that a look-up
 * usually touches one cache line. It serves the merges of byte-pair encoding (left id, right id →
 * rank, merged id) and the edges of tries (node, UTF-16 unit → node).
 */
export class PairTable {
  /** At what `find` returns: left, right, value, second value. */
  slots: Int32Array;
  #mask: number;
  #count = 0;

  /** `expected` pairs fit without growing. */
  constructor(expected = 16) {
    let size = 16;
    while (size < expected * 2) size *= 2;
    this.slots = new Int32Array(size * 4).fill(-1);
    this.#mask = size - 1;
  }

  /** Number of pairs held. */
  get size(): number {
    return this.#count;
  }

  /** The value of a pair, or -1. */
  get(left: number, right: number): number {
    const at = this.find(left, right);
    return at < 0 ? -1 : this.slots[at + 2]!;
  }

  /** Where a pair is held in `slots`, or -1. Valid until the next `set`. */
  find(left: number, right: number): number {
    const slots = this.slots;
    let slot = hashPair(left, right) & this.#mask;
    for (;;) {
      const at = slot << 2;
      const found = slots[at]!;
      if (found === left && slots[at + 1] === right) return at;
      if (found < 0) return -1;
      slot = (slot + 1) & this.#mask;
    }
  }

  /** Sets the values (at least 0) of a pair of integers (at least 0), replacing earlier ones. */
  set(left: number, right: number, value: number, second = 0): void {
    if ((this.#count + 1) * 2 > this.#mask + 1) this.#grow();
    const slots = this.slots;
    let slot = hashPair(left, right) & this.#mask;
    for (;;) {
      const at = slot << 2;
      const found = slots[at]!;
      if (found < 0) this.#count++;
      if (found < 0 || (found === left && slots[at + 1] === right)) {
        slots[at] = left;
        slots[at + 1] = right;
        slots[at + 2] = value;
        slots[at + 3] = second;
        return;
      }
      slot = (slot + 1) & this.#mask;
    }
  }

  #grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(old.length * 2).fill(-1);
    this.#mask = this.#mask * 2 + 1;
    this.#count = 0;
    for (let at = 0; at < old.length; at += 4) {
      if (old[at]! >= 0) this.set(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!);
    }
  }
}

function hashPair(left: number, right: number): number {
  let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}
