/**
 * A binary heap of open slots, the largest key first; among equal keys the one that came first.
 */

/** A place where the tree may get one more node: the next child of `node`. */
export interface Slot {
  /** Node that the child would follow; -1 is the root. */
  readonly node: number;
  /** Estimated probability that verification gets to test this child (v in the paper). */
  readonly reach: number;
  /** What the heap is ordered by; at most `reach`. */
  key: number;
  /** Number of the slot, for ties. */
  readonly order: number;
}

/** Slots in descending order of `key`. */
export class SlotHeap {
  readonly #slots: Slot[] = [];

  get size(): number {
    return this.#slots.length;
  }

  push(slot: Slot): void {
    const slots = this.#slots;
    let at = slots.length;
    slots.push(slot);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!before(slot, slots[above]!)) break;
      slots[at] = slots[above]!;
      at = above;
    }
    slots[at] = slot;
  }

  pop(): Slot | undefined {
    const slots = this.#slots;
    const first = slots[0];
    const last = slots.pop();
    if (slots.length === 0 || last === undefined) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= slots.length) break;
      if (below + 1 < slots.length && before(slots[below + 1]!, slots[below]!)) below++;
      if (!before(slots[below]!, last)) break;
      slots[at] = slots[below]!;
      at = below;
    }
    slots[at] = last;
    return first;
  }

  /** The `count` slots that would be popped first if nothing were pushed meanwhile, in that order. */
  first(count: number): Slot[] {
    return [...this.#slots].sort((a, b) => b.key - a.key || a.order - b.order).slice(0, count);
  }
}

function before(a: Slot, b: Slot): boolean {
  return a.key > b.key || (a.key === b.key && a.order < b.order);
}
