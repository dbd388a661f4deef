/** A draft tree that grows node by node: what the best-first drafters share. */
import type { DraftTree } from "./drafter.ts";

/** A built tree: plain arrays. */
export interface BuiltTree extends DraftTree {
  readonly ids: readonly number[];
  readonly parents: readonly number[];
  readonly acceptanceProbabilities: readonly number[];
}

/** Collects nodes, parents before children, with depth and acceptance probability. */
export class DraftTreeBuilder implements BuiltTree {
  readonly ids: number[] = [];
  readonly parents: number[] = [];
  readonly acceptanceProbabilities: number[] = [];
  readonly #depths: number[] = [];
  readonly #children: Map<string, number> | undefined;

  /** @param options `unique`: `childOf` finds nodes by parent and token. Default false */
  constructor(options: { readonly unique?: boolean } = {}) {
    this.#children = options.unique ? new Map() : undefined;
  }

  get size(): number {
    return this.ids.length;
  }

  /** Tokens from the root to a node; 0 for the root, -1. */
  depthOf(node: number): number {
    return node < 0 ? 0 : this.#depths[node]!;
  }

  /** Probability that a node and all its ancestors are accepted; 1 for the root, -1. */
  reachOf(node: number): number {
    return node < 0 ? 1 : this.acceptanceProbabilities[node]!;
  }

  /** The child of a node with a token, in a tree with `unique`. */
  childOf(parent: number, token: number): number | undefined {
    return this.#children?.get(`${parent} ${token}`);
  }

  /** Adds a node. @returns its number */
  add(parent: number, token: number, acceptanceProbability: number): number {
    const node = this.ids.length;
    this.ids.push(token);
    this.parents.push(parent);
    this.acceptanceProbabilities.push(acceptanceProbability);
    this.#depths.push(this.depthOf(parent) + 1);
    this.#children?.set(`${parent} ${token}`, node);
    return node;
  }

  /** Removes all nodes. */
  clear(): void {
    for (const list of [this.ids, this.parents, this.acceptanceProbabilities, this.#depths]) {
      list.length = 0;
    }
    this.#children?.clear();
  }

  /** The tree as plain arrays, which the builder gives away. */
  get tree(): BuiltTree {
    const { ids, parents, acceptanceProbabilities } = this;
    return { ids, parents, acceptanceProbabilities };
  }
}
