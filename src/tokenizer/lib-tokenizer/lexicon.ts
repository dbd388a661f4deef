/**
 * LiB's lexicon: tokens in order of their usefulness, the best first, and a trie over them. The order
 * is the only memory of how useful a token is; no frequency is kept.
 */
import { Trie } from "../models/trie.ts";

/** The two longest tokens that a text begins with; -1 for what is missing. */
export interface Match {
  /** Number of the longest token. */
  chunk: number;
  /** Number of the second longest. */
  small: number;
}

export class Lexicon {
  /** Tokens by number. A number is never used again, also when its token is forgotten. */
  readonly tokens: string[] = [];
  readonly #numbers: Map<string, number> = new Map();
  readonly #trie: Trie = new Trie(1 << 14);
  /** Numbers from best to worst. */
  #order: Int32Array = new Int32Array(1024);
  /** Where a token stood when `settle` was last called, or was added since; -1 once forgotten. */
  #ranks: Int32Array = new Int32Array(1024).fill(-1);

  /** How many tokens there are. */
  size = 0;

  /** The number of a token that the lexicon holds, or -1. */
  numberOf(token: string): number {
    const number = this.#numbers.get(token) ?? -1;
    return number >= 0 && this.#ranks[number]! >= 0 ? number : -1;
  }

  has(number: number): boolean {
    return this.#ranks[number]! >= 0;
  }

  /** The rank of a token, as of the last `settle`. */
  rankOf(number: number): number {
    return this.#ranks[number]!;
  }

  /** The token at a rank. */
  at(rank: number): number {
    return this.#order[rank]!;
  }

  /** Adds a token that is not there at the end, and returns its number. */
  append(token: string): number {
    let number = this.#numbers.get(token);
    if (number === undefined) {
      number = this.tokens.length;
      this.tokens.push(token);
      this.#numbers.set(token, number);
      this.#trie.set(token, number);
      if (number === this.#ranks.length) this.#ranks = grow(this.#ranks, -1);
    }
    if (this.size === this.#order.length) this.#order = grow(this.#order, 0);
    this.#ranks[number] = this.size;
    this.#order[this.size++] = number;
    return number;
  }

  /** Removes a token; ranks are exact again after `settle`. */
  remove(number: number): void {
    const at = this.#find(number);
    this.#order.copyWithin(at, at + 1, this.size);
    this.size--;
    this.#ranks[number] = -1;
  }

  /**
   * Moves a token by `step` places, towards the head where it is negative. Beyond the head it stops
   * there; beyond the tail the token is removed. The best token does not move.
   */
  move(number: number, step: (rank: number) => number): void {
    const from = this.#find(number);
    if (from === 0) return;
    const to = Math.max(0, from + step(from));
    if (to >= this.size) {
      this.remove(number);
      return;
    }
    if (to < from) this.#order.copyWithin(to + 1, to, from);
    else this.#order.copyWithin(from, from + 1, to + 1);
    this.#order[to] = number;
  }

  /** Makes the ranks exact. */
  settle(): void {
    for (let rank = 0; rank < this.size; rank++) this.#ranks[this.#order[rank]!] = rank;
  }

  /** Finds the two longest tokens that stand in a text at a place. */
  match(text: string, at: number, match: Match): void {
    const trie = this.#trie;
    const ranks = this.#ranks;
    match.chunk = -1;
    match.small = -1;
    let node = 0;
    for (let end = at; end < text.length; ) {
      node = trie.step(node, text.charCodeAt(end++));
      if (node < 0) return;
      const number = trie.valueAt(node);
      if (number < 0 || ranks[number]! < 0) continue;
      match.small = match.chunk;
      match.chunk = number;
    }
  }

  #find(number: number): number {
    const { size } = this;
    const order = this.#order;
    // Ranks of the last `settle` are near the truth: look around there first.
    const hint = this.#ranks[number]!;
    if (order[hint] === number && hint < size) return hint;
    return order.subarray(0, size).indexOf(number);
  }
}

function grow(list: Int32Array, filler: number): Int32Array {
  const grown = new Int32Array(list.length * 2).fill(filler);
  grown.set(list);
  return grown;
}
