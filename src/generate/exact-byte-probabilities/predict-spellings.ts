/**
 * Which sequences the next bytes will probably need, so that one forward pass computes them together:
 * the spellings of the byte prefixes of the likely tokens.
 */
import { MaxHeap } from "../speculative/max-heap.ts";
import { addNextBytes, type CoveringRules, type Coverings, type Spelling } from "./coverings.ts";

/**
 * Spellings without rows of the likely continuations of a text, as far as the tokens that it is inside
 * of tell; likely ones first.
 */
export function predictSpellings(
  coverings: Coverings,
  rules: CoveringRules,
  { maxAhead, minAhead }: { readonly maxAhead: number; readonly minAhead: number },
): Spelling[] {
  const found: Spelling[] = [];
  if (maxAhead === 0) return found;
  const heap = new MaxHeap<Coverings>();
  let largest = Number.NEGATIVE_INFINITY;
  for (const { spelling } of coverings.branches) {
    if (spelling.weights !== undefined) largest = Math.max(largest, spelling.logProbability);
  }
  const first = massByByte(coverings, rules, largest);
  const total = first.reduce((sum, mass) => sum + mass, 0);
  if (total === 0) return found;
  const grow = (from: Coverings, masses: Float64Array): void => {
    for (let byte = 0; byte < 256; byte++) {
      const mass = masses[byte]!;
      if (mass < minAhead * total) continue;
      heap.push(mass, rules.advance(from, byte));
    }
  };
  grow(coverings, first);
  while (heap.size > 0 && found.length < maxAhead) {
    const next = heap.pop()!;
    for (const spelling of next.spellings) {
      if (spelling.row === undefined && found.length < maxAhead) found.push(spelling);
    }
    grow(next, massByByte(next, rules, largest));
  }
  return found;
}

/** Sums of weights by the next byte, over the branches whose rows are known. */
function massByByte(
  { branches }: Coverings,
  { trie }: CoveringRules,
  largest: number,
): Float64Array {
  const masses = new Float64Array(256);
  addNextBytes(masses, branches, trie, largest);
  return masses;
}
