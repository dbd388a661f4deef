/**
 * ADED's search for drafts: a Monte Carlo tree search over the tri-gram table, guided by the table's weights
 * (AlphaZero's rule). Names in the paper: `rollouts` is s, `depth` is l, `sentences` the draft size,
 * `explorationBase` and `explorationScale` c1 and c2.
 */
import type { Random } from "../../core/index.ts";
import type { TrigramTable } from "./trigram-table.ts";

export interface DraftSearchOptions {
  /** Rollouts of one search. Default 150. */
  readonly rollouts?: number;
  /** Most tokens of a draft. Default 4. */
  readonly depth?: number;
  /** Number of most visited prefixes that become drafts. Default 24. */
  readonly sentences?: number;
  /** Default 32. */
  readonly explorationBase?: number;
  /** Default 8. */
  readonly explorationScale?: number;
  /**
   * Score of a rollout: `"weights"` (default), the sum of the weights of its steps as the paper defines it, or
   * `"reference"`, the sum of the authors' program, which looks up the *previous* token of each step instead
   * of the next.
   */
  readonly scoring?: "weights" | "reference";
}

/** A draft: tokens after the root, with the search's visits of each. */
export interface SearchedPath {
  readonly ids: readonly number[];
  /** Visits of each token's node; of a token beyond the search's tree, its share of the last node's. */
  readonly visits: readonly number[];
}

/** A node of a finished search, for inspection. */
export interface SearchedNode {
  readonly token: number;
  readonly prior: number;
  readonly visits: number;
  readonly score: number;
  /** -1 for the root. */
  readonly parent: number;
}

/**
 * Value by which the search selects among children:
 * `w/n + (c1 + ln((N + c2 + 1) / c2)) * p * sqrt(N) / (1 + n)`, infinite for an unvisited child.
 */
export function selectionValue(
  child: { readonly score: number; readonly visits: number; readonly prior: number },
  parentVisits: number,
  explorationBase = 32,
  explorationScale = 8,
): number {
  if (child.visits === 0) return Infinity;
  const exploration =
    explorationBase + Math.log((parentVisits + explorationScale + 1) / explorationScale);
  return (
    child.score / child.visits +
    (exploration * child.prior * Math.sqrt(parentVisits)) / (1 + child.visits)
  );
}

/** A search over one table; all runs share its arrays. */
export class DraftSearch {
  readonly #table: TrigramTable;
  readonly #options: Required<DraftSearchOptions>;
  #size = 0;
  readonly #token: Int32Array;
  readonly #prior: Float64Array;
  readonly #visits: Int32Array;
  readonly #score: Float64Array;
  readonly #parent: Int32Array;
  readonly #firstChild: Int32Array;
  readonly #children: Int32Array;
  /** The token before the root: the root's pair is (before, root). */
  #before = 0;

  constructor(table: TrigramTable, options: DraftSearchOptions = {}) {
    this.#table = table;
    this.#options = {
      rollouts: 150,
      depth: 4,
      sentences: 24,
      explorationBase: 32,
      explorationScale: 8,
      scoring: "weights",
      ...options,
    };
    // Each rollout expands at most one node.
    const most = 1 + this.#options.rollouts * table.width;
    this.#token = new Int32Array(most);
    this.#prior = new Float64Array(most);
    this.#visits = new Int32Array(most);
    this.#score = new Float64Array(most);
    this.#parent = new Int32Array(most);
    this.#firstChild = new Int32Array(most);
    this.#children = new Int32Array(most);
  }

  /**
   * Searches for drafts after a pair of tokens.
   *
   * @returns at most `sentences` distinct drafts, the most visited first; none where the pair is not in the
   *   table
   */
  run(before: number, root: number, random: Random): SearchedPath[] {
    this.#before = before;
    this.#size = 0;
    this.#add(root, 1, -1);
    if (this.#table.row(before, root) < 0) return [];
    for (let rollout = 0; rollout < this.#options.rollouts; rollout++) this.#rollOut(random);
    return this.#extract();
  }

  /** The tree of the last run, parents before children, the root first. */
  nodes(): SearchedNode[] {
    return Array.from({ length: this.#size }, (_, node) => ({
      token: this.#token[node]!,
      prior: this.#prior[node]!,
      visits: this.#visits[node]!,
      score: this.#score[node]!,
      parent: this.#parent[node]!,
    }));
  }

  #add(token: number, prior: number, parent: number): number {
    const node = this.#size++;
    this.#token[node] = token;
    this.#prior[node] = prior;
    this.#visits[node] = 0;
    this.#score[node] = 0;
    this.#parent[node] = parent;
    this.#children[node] = 0;
    return node;
  }

  #rollOut(random: Random): void {
    const { depth } = this.#options;
    // 1. Select: from the root down to a node without children.
    let node = 0;
    let length = 1;
    let score = 1;
    while (this.#children[node]! > 0 && length < depth) {
      node = this.#select(node);
      length++;
      score += this.#stepScore(node);
    }
    // 2. Expand: all successors become children, and the last of them is visited.
    if (length < depth && this.#expand(node)) {
      node = this.#firstChild[node]! + this.#children[node]! - 1;
      length++;
      score += this.#stepScore(node);
    }
    // 3. Roll out: random steps by the table's weights; these tokens do not enter the tree.
    let first = this.#pairBefore(node);
    let second = this.#token[node]!;
    while (length < depth) {
      const row = this.#table.row(first, second);
      if (row < 0) break;
      const rank = this.#sampleRank(row, random.uniform());
      const third = this.#table.token(row, rank);
      score +=
        this.#options.scoring === "weights"
          ? this.#table.weightAt(row, rank)
          : this.#table.weight(first, second, second);
      [first, second] = [second, third];
      length++;
    }
    // 4. Score: every node on the path, the root included.
    for (let at = node; at >= 0; at = this.#parent[at]!) {
      this.#visits[at]!++;
      this.#score[at]! += score;
    }
  }

  /** Score of the step to a node. */
  #stepScore(node: number): number {
    if (this.#options.scoring === "weights") return this.#prior[node]!;
    const parent = this.#parent[node]!;
    const second = this.#token[parent]!;
    return this.#table.weight(this.#pairBefore(parent), second, second);
  }

  /** First token of the pair that ends at a node. */
  #pairBefore(node: number): number {
    const parent = this.#parent[node]!;
    return parent < 0 ? this.#before : this.#token[parent]!;
  }

  #select(node: number): number {
    const { explorationBase, explorationScale } = this.#options;
    const first = this.#firstChild[node]!;
    const visits = this.#visits[node]!;
    // `selectionValue`, with the factors that all children share computed once.
    const exploration =
      (explorationBase + Math.log((visits + explorationScale + 1) / explorationScale)) *
      Math.sqrt(visits);
    let best = first;
    let bestValue = -Infinity;
    for (let child = first; child < first + this.#children[node]!; child++) {
      const seen = this.#visits[child]!;
      if (seen === 0) return child;
      const value = this.#score[child]! / seen + (exploration * this.#prior[child]!) / (1 + seen);
      if (value > bestValue) [best, bestValue] = [child, value];
    }
    return best;
  }

  #expand(node: number): boolean {
    const table = this.#table;
    const row = table.row(this.#pairBefore(node), this.#token[node]!);
    if (row < 0) return false;
    this.#firstChild[node] = this.#size;
    for (let rank = 0; rank < table.count(row); rank++) {
      this.#add(table.token(row, rank), table.weightAt(row, rank), node);
    }
    this.#children[node] = table.count(row);
    return true;
  }

  #sampleRank(row: number, draw: number): number {
    const table = this.#table;
    let left = draw * table.total(row);
    const last = table.count(row) - 1;
    for (let rank = 0; rank < last; rank++) {
      left -= table.weightAt(row, rank);
      if (left < 0) return rank;
    }
    return last;
  }

  /** 5. Extract: the most visited prefixes, each followed by its heaviest successor. */
  #extract(): SearchedPath[] {
    const best = Array.from({ length: this.#size }, (_, node) => node)
      .filter((node) => this.#visits[node]! > 0)
      .sort((a, b) => this.#visits[b]! - this.#visits[a]! || a - b)
      .slice(0, this.#options.sentences);
    const paths: SearchedPath[] = [];
    const seen = new Set<string>();
    for (const node of best) {
      const ids: number[] = [];
      const visits: number[] = [];
      for (let at = node; at > 0; at = this.#parent[at]!) {
        ids.push(this.#token[at]!);
        visits.push(this.#visits[at]!);
      }
      ids.reverse();
      visits.reverse();
      const row = this.#table.row(this.#pairBefore(node), this.#token[node]!);
      if (row >= 0) {
        ids.push(this.#table.token(row, 0));
        const child = this.#children[node]! > 0 ? this.#firstChild[node]! : -1;
        const share = this.#table.weightAt(row, 0) / this.#table.total(row);
        visits.push(child >= 0 ? this.#visits[child]! : this.#visits[node]! * share);
      }
      const key = ids.join();
      if (ids.length === 0 || seen.has(key)) continue;
      seen.add(key);
      paths.push({ ids, visits });
    }
    return paths;
  }
}
