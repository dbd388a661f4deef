/**
 * A trie of strings over UTF-16 units, its edges in one hash table.
 */
import { PairTable } from "./pair-table.ts";

export class Trie {
  readonly #edges: PairTable;
  /** Value of each node, -1 where no string ends. Node 0 is the root. */
  #values: Int32Array = new Int32Array(1024).fill(-1);
  #nodes = 1;

  constructor(expectedNodes = 1024) {
    this.#edges = new PairTable(expectedNodes);
  }

  /** Sets the value (at least 0) of a string. */
  set(text: string, value: number): void {
    let node = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      let next = this.#edges.get(node, unit);
      if (next < 0) {
        next = this.#nodes++;
        this.#edges.set(node, unit, next);
        if (next >= this.#values.length) {
          const grown = new Int32Array(next * 2).fill(-1);
          grown.set(this.#values);
          this.#values = grown;
        }
      }
      node = next;
    }
    this.#values[node] = value;
  }

  /** The node reached from `node` by `unit`, or -1. */
  step(node: number, unit: number): number {
    return this.#edges.get(node, unit);
  }

  /** The value of the string that ends at `node`, or -1. */
  valueAt(node: number): number {
    return this.#values[node]!;
  }
}
