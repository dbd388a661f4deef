/**
 * Merges drafts into one tree: shared beginnings become one path, and the least visited nodes beyond the
 * budget are left out.
 */
import type { CalibrationMap } from "../speculative/calibration-map.ts";
import { type BuiltTree, DraftTreeBuilder } from "../speculative/draft-tree-builder.ts";
import type { SearchedPath } from "./draft-search.ts";
import type { TrigramTable } from "./trigram-table.ts";

export interface MergeOptions {
  /** Token before the root, and the root itself. */
  readonly before: number;
  readonly root: number;
  readonly maxNodes: number;
  readonly maxDepth: number;
  /** Less probable nodes are left out. */
  readonly minAcceptanceProbability: number;
  /** From a token's share of its row to its probability of acceptance. */
  readonly acceptance: CalibrationMap;
}

/** A merged tree, with the share by which each node's acceptance probability was estimated. */
export interface MergedTree extends BuiltTree {
  /** Weight of each node relative to what its earlier siblings left of the row. */
  readonly shares: readonly number[];
}

/**
 * Weight of unseen successors, added to each row: a pair seen once has one known successor, which is not
 * certain.
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
  const top = buildTrie(paths, root, maxDepth);
  const builder = new DraftTreeBuilder();
  const shares: number[] = [];
  const threshold = visitThreshold(top, maxNodes);
  let ties = threshold.ties;
  let layer = [{ trie: top, node: -1, first: before }];
  while (layer.length > 0) {
    const next: typeof layer = [];
    for (const { trie, node, first } of layer) {
      const row = table.row(first, trie.token);
      let mass = row < 0 ? 0 : table.total(row) + unseenWeight;
      let reach = builder.reachOf(node);
      for (const child of mostVisited(trie)) {
        if (child.visits < threshold.visits) break;
        if (child.visits === threshold.visits && ties-- <= 0) break;
        const weight = table.weight(first, trie.token, child.token);
        const share = mass > 0 ? Math.min(1, weight / mass) : 0;
        const probability = reach * acceptance.estimate(share);
        reach -= probability;
        mass -= weight;
        if (probability < minAcceptanceProbability) continue;
        const added = builder.add(node, child.token, probability);
        next.push({ trie: child, node: added, first: trie.token });
        shares.push(share);
      }
    }
    layer = next;
  }
  return { ...builder.tree, shares };
}

function buildTrie(paths: readonly SearchedPath[], root: number, maxDepth: number): TrieNode {
  const top: TrieNode = { token: root, visits: Infinity, children: new Map() };
  for (const { ids, visits } of paths) {
    let at = top;
    for (const [index, id] of ids.slice(0, maxDepth).entries()) {
      let next = at.children.get(id);
      if (!next) {
        next = { token: id, visits: 0, children: new Map() };
        at.children.set(id, next);
      }
      // A node has at least the visits of its descendants and at most those of its parent.
      next.visits = Math.min(at.visits, Math.max(next.visits, visits[index]!));
      at = next;
    }
  }
  return top;
}

function mostVisited({ children }: TrieNode): TrieNode[] {
  // The sort is stable: among equals the earlier draft comes first.
  return [...children.values()].sort((a, b) => b.visits - a.visits);
}

/** Fewest visits of the `count` most visited nodes, and how many nodes with just that many are kept. */
function visitThreshold(top: TrieNode, count: number): { visits: number; ties: number } {
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
