import { KeyHeap } from "./key-heap.ts";
import type { PairTable } from "./pair-table.ts";

/** Heap keys are rank × 2^30 + position, exact in a double for ranks below 2^23. */
const positionSpan = 2 ** 30;

/**
 * Merges the symbols of a long word in place, in n log n for any input: pairs wait in a heap, symbols
 * form a linked list.
 *
 * @param places where the pair that starts at each symbol is held in the table, or -1
 * @returns the number of symbols that are left
 */
export function mergeLongWord(
  symbols: Int32Array,
  lengths: Int32Array,
  places: Int32Array,
  pairs: PairTable,
): number {
  const count = places.length + 1;
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  // Rank of the pair that starts at each living symbol; a heap entry that disagrees is stale.
  const pairRanks = new Int32Array(count).fill(-1);
  const heap = new KeyHeap(count);
  for (let i = 0; i < count; i++) {
    next[i] = i + 1;
    previous[i] = i - 1;
    if (i + 1 < count) {
      const place = places[i]!;
      const rank = place < 0 ? -1 : pairs.slots[place + 2]!;
      pairRanks[i] = rank;
      if (rank >= 0) heap.append(rank * positionSpan + i);
    }
  }
  heap.order();
  while (heap.length > 0) {
    const key = heap.pop();
    const rank = Math.floor(key / positionSpan);
    const at = key - rank * positionSpan;
    if (pairRanks[at] !== rank) continue;
    const gone = next[at]!;
    symbols[at] = pairs.slots[pairs.find(symbols[at]!, symbols[gone]!) + 3]!;
    lengths[at]! += lengths[gone]!;
    pairRanks[gone] = -1;
    const after = next[gone]!;
    next[at] = after;
    if (after < count) {
      previous[after] = at;
      const right = pairs.get(symbols[at]!, symbols[after]!);
      pairRanks[at] = right;
      if (right >= 0) heap.push(right * positionSpan + at);
    } else {
      pairRanks[at] = -1;
    }
    const before = previous[at]!;
    if (before >= 0) {
      const left = pairs.get(symbols[before]!, symbols[at]!);
      pairRanks[before] = left;
      if (left >= 0) heap.push(left * positionSpan + before);
    }
  }
  let kept = 0;
  for (let i = 0; i < count; i = next[i]!) {
    symbols[kept] = symbols[i]!;
    lengths[kept++] = lengths[i]!;
  }
  return kept;
}
