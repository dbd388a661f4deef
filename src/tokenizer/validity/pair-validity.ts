/**
 * Which tokens may stand beside each other in a word that byte-pair encoding has cut.
 *
 * A sequence of tokens is the encoding of its own bytes when every token merges from its symbols alone
 * and no merge crosses the boundary of two neighbours. The first merge that crosses would join a symbol
 * at the end of the left token to one at the beginning of the right token, and until then both merge as
 * they would alone; so the two lists of merges, run side by side by rank, decide.
 */
import type { PairTable } from "../models/pair-table.ts";

const noRank = 0x7fffffff;

/** What `PairValidity` reads of a vocabulary. */
export interface PairValidityOptions {
  /** Symbols from which a token merges; undefined for ids that no merge gives. */
  symbolsOf(id: number): readonly number[] | undefined;
}

/** The merges of each token alone, and what they say about neighbours. Tokens are merged when they are asked for. */
export class PairValidity {
  readonly #pairs: PairTable;
  readonly #size: number;
  readonly #symbolsOf: PairValidityOptions["symbolsOf"];
  /** Merges by token; null for those that no merge gives. */
  readonly #merges: (Merged | null | undefined)[] = [];
  /** Right partners of each symbol that is the left one of a pair. */
  #partners: ReadonlyMap<number, number[]> | undefined;
  /** Tokens by each symbol at their beginning. */
  #byLeftEdge: ReadonlyMap<number, number[]> | undefined;

  /** @param size number of ids */
  constructor(pairs: PairTable, size: number, options: PairValidityOptions) {
    this.#pairs = pairs;
    this.#size = size;
    this.#symbolsOf = options.symbolsOf;
  }

  /** Ids that merging never gives: their symbols merge to something else, or they have none. Nothing is remembered. */
  findUnreachable(): number[] {
    const found: number[] = [];
    let symbols = new Int32Array(64);
    for (let id = 0; id < this.#size; id++) {
      const own = this.#symbolsOf(id);
      if (own === undefined || own.length === 0) {
        found.push(id);
        continue;
      }
      if (own.length > symbols.length) symbols = new Int32Array(2 * own.length);
      symbols.set(own);
      if (mergeInPlace(this.#pairs, symbols, own.length) !== 1 || symbols[0] !== id) found.push(id);
    }
    return found;
  }

  #mergesOf(id: number): Merged | null {
    let merges = this.#merges[id];
    if (merges === undefined) {
      const symbols = this.#symbolsOf(id);
      const merged =
        symbols === undefined || symbols.length === 0 ? null : mergeSymbols(this.#pairs, symbols);
      merges = merged?.symbols.length === 1 && merged.symbols[0] === id ? merged : null;
      this.#merges[id] = merges;
    }
    return merges;
  }

  /** Whether merging a token's own symbols gives the token. */
  isReachable(id: number): boolean {
    return this.#mergesOf(id) !== null;
  }

  /** Whether two reachable tokens stay apart beside each other in one word. */
  isValid(left: number, right: number): boolean {
    return this.#areApart(this.#mergesOf(left)!, this.#mergesOf(right)!);
  }

  #areApart({ ranks: leftRanks, rights }: Merged, { ranks: rightRanks, lefts }: Merged): boolean {
    const pairs = this.#pairs;
    let l = 0;
    let r = 0;
    for (;;) {
      const nextLeft = l < leftRanks.length ? leftRanks[l]! : noRank;
      const nextRight = r < rightRanks.length ? rightRanks[r]! : noRank;
      const crossing = pairs.get(rights[l]!, lefts[r]!);
      // Of equal ranks the leftmost merge goes first.
      if (crossing >= 0 && crossing < nextLeft && crossing <= nextRight) return false;
      if (nextLeft === noRank && nextRight === noRank) return true;
      if (nextLeft <= nextRight) l++;
      else r++;
    }
  }

  /**
   * Marks the tokens that cannot follow `left` in the same word.
   *
   * @returns `[ids]`: 1 where a merge would cross the boundary
   */
  invalidAfter(left: number): Uint8Array {
    const invalid = new Uint8Array(this.#size);
    const seen = new Uint8Array(this.#size);
    this.#partners ??= this.#collectPartners();
    this.#byLeftEdge ??= this.#collectLeftEdges();
    const merges = this.#mergesOf(left)!;
    let edge = -1;
    for (const right of merges.rights) {
      if (right === edge) continue;
      edge = right;
      for (const partner of this.#partners.get(edge) ?? []) {
        for (const right of this.#byLeftEdge.get(partner) ?? []) {
          if (seen[right] === 1) continue;
          seen[right] = 1;
          if (!this.#areApart(merges, this.#merges[right]!)) invalid[right] = 1;
        }
      }
    }
    return invalid;
  }

  #collectPartners(): Map<number, number[]> {
    const partners = new Map<number, number[]>();
    const { slots } = this.#pairs;
    for (let at = 0; at < slots.length; at += 4) {
      if (slots[at]! >= 0) append(partners, slots[at]!, slots[at + 1]!);
    }
    return partners;
  }

  #collectLeftEdges(): Map<number, number[]> {
    const tokens = new Map<number, number[]>();
    for (let id = 0; id < this.#size; id++) {
      let edge = -1;
      for (const left of this.#mergesOf(id)?.lefts ?? []) {
        if (left === edge) continue;
        edge = left;
        append(tokens, edge, id);
      }
    }
    return tokens;
  }
}

function append(lists: Map<number, number[]>, key: number, value: number): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

/** What merging a few symbols does, and gives. */
interface Merged {
  /** What is left. */
  readonly symbols: readonly number[];
  /** Rank of each merge in the order in which they happen. */
  readonly ranks: readonly number[];
  /** First (last) symbol before each merge, and after the last one. */
  readonly lefts: readonly number[];
  readonly rights: readonly number[];
}

/** `mergeSymbols` of the first `count` symbols without an account of it; returns how many are left. */
function mergeInPlace(pairs: PairTable, symbols: Int32Array, count: number): number {
  const { slots } = pairs;
  let left = count;
  for (;;) {
    let [best, at, merged] = [noRank, -1, -1];
    for (let i = 0; i + 1 < left; i++) {
      const found = pairs.find(symbols[i]!, symbols[i + 1]!);
      if (found < 0 || slots[found + 2]! >= best) continue;
      best = slots[found + 2]!;
      merged = slots[found + 3]!;
      at = i;
    }
    if (at < 0) return left;
    symbols[at] = merged;
    symbols.copyWithin(at + 1, at + 2, left);
    left--;
  }
}

/** Merges symbols as byte-pair encoding does: the lowest rank first, of equal ones the leftmost. */
export function mergeSymbols(pairs: PairTable, start: readonly number[]): Merged {
  const symbols = [...start];
  const ranks: number[] = [];
  const lefts = [symbols[0]!];
  const rights = [symbols.at(-1)!];
  for (;;) {
    let best = noRank;
    let at = -1;
    let merged = -1;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const found = pairs.find(symbols[i]!, symbols[i + 1]!);
      if (found < 0 || pairs.slots[found + 2]! >= best) continue;
      best = pairs.slots[found + 2]!;
      merged = pairs.slots[found + 3]!;
      at = i;
    }
    if (at < 0) return { symbols, ranks, lefts, rights };
    symbols.splice(at, 2, merged);
    ranks.push(best);
    lefts.push(symbols[0]!);
    rights.push(symbols.at(-1)!);
  }
}
