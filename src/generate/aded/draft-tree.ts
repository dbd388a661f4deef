/**
 * From drafts to one tree: shared beginnings are merged, and where the tree is too large the nodes
 * that were visited least are left out.
 */
import type { CalibrationMap } from "../speculative/calibration-map.ts";
import type { DraftTree } from "../speculative/drafter.ts";
import type { SearchedPath } from "./draft-search.ts";
import type { TrigramTable } from "./trigram-table.ts";

export interface MergeOptions {
  /** Tokens before the root and the root itself. */
  readonly before: number;
  readonly root: number;
  readonly maxNodes: number;
  readonly maxDepth: number;
  /** Nodes that are less likely accepted are left out. */
  readonly minAcceptanceProbability: number;
  /** How often shares of the table come true. */
  readonly acceptance: CalibrationMap;
}

/** A merged tree, with the share of each node that its chances were estimated by. */
export interface MergedTree extends DraftTree {
  readonly ids: readonly number[];
  readonly parents: readonly number[];
  readonly acceptanceProbabilities: readonly number[];
  /** Weight of each node among its row and what its earlier siblings left of it. */
  readonly shares: readonly number[];
}

/**
 * A row's weights are compared with themselves and this much of unseen successors: a pair that was
 * seen once knows one successor, and is not sure of it.
 */
const unseenWeight = 0.1;

interface TrieNode {
  readonly token: number;
  visits: number;
  readonly children: Map<number, TrieNode>;
}

/** The tree of the drafts' tokens. */
export function mergePaths(
  paths: readonly SearchedPath[],
  table: TrigramTable,
  options: MergeOptions,
): MergedTree {
  const { before, root, maxNodes, maxDepth, minAcceptanceProbability, acceptance } = options;
  const top: TrieNode = { token: root, visits: Infinity, children: new Map() };
  for (const { ids, visits } of paths) {
    let at = top;
    for (const [index, id] of ids.entries()) {
      if (index >= maxDepth) break;
      let next = at.children.get(id);
      if (!next) {
        next = { token: id, visits: 0, children: new Map() };
        at.children.set(id, next);
      }
      // A node is visited at least as often as those below it, and never more than its parent.
      next.visits = Math.min(at.visits, Math.max(next.visits, visits[index]!));
      at = next;
    }
  }
  const ids: number[] = [];
  const parents: number[] = [];
  const expected: number[] = [];
  const shares: number[] = [];
  const least = leastVisits(top, maxNodes);
  let ties = least.ties;
  let layer = [{ trie: top, node: -1, first: before }];
  while (layer.length > 0) {
    const next: typeof layer = [];
    for (const { trie, node, first } of layer) {
      const row = table.row(first, trie.token);
      const total = row < 0 ? 0 : table.total(row) + unseenWeight;
      let reach = node < 0 ? 1 : expected[node]!;
      let mass = total;
      for (const child of mostVisited(trie)) {
        if (child.visits < least.visits) break;
        if (child.visits === least.visits && ties-- <= 0) break;
        const weight = table.weight(first, trie.token, child.token);
        const share = mass > 0 ? Math.min(1, weight / mass) : 0;
        const chance = reach * acceptance.estimate(share);
        reach -= chance;
        mass -= weight;
        if (chance < minAcceptanceProbability) continue;
        next.push({ trie: child, node: ids.length, first: trie.token });
        ids.push(child.token);
        parents.push(node);
        expected.push(chance);
        shares.push(share);
      }
    }
    layer = next;
  }
  return { ids, parents, acceptanceProbabilities: expected, shares };
}

function mostVisited({ children }: TrieNode): TrieNode[] {
  // A stable sort: among equals the draft that came first.
  return [...children.values()].sort((a, b) => b.visits - a.visits);
}

/** Visits that a node must have to be among the `count` most visited, and how many may have just that. */
function leastVisits(top: TrieNode, count: number): { visits: number; ties: number } {
  const all: number[] = [];
  const collect = ({ children }: TrieNode): void => {
    for (const child of children.values()) {
      all.push(child.visits);
      collect(child);
    }
  };
  collect(top);
  if (all.length <= count) return { visits: -1, ties: 0 };
  all.sort((a, b) => b - a);
  const visits = all[count - 1]!;
  const above = all.filter((value) => value > visits).length;
  return { visits, ties: count - above };
}
