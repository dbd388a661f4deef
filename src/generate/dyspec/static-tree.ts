/**
 * Draft trees of a fixed shape over the same draft: the baselines of DySpec, better than it for a draft whose
 * confidence does not predict acceptance.
 */
import type { Random } from "../../core/index.ts";
import { type DraftDistributions, type DynamicTree, GrowingTree } from "./growing-tree.ts";

/** Parent of each node, parents before children; the k-th child of a node gets its k-th choice. */
export type TreeShape = readonly number[];

/** One path of `nodes` tokens. */
export function chainShape(nodes: number): TreeShape {
  return Array.from({ length: nodes }, (_, node) => node - 1);
}

/**
 * A tree whose nodes at depth d have `branching[d]` children each (the last entry repeats), cut at
 * `nodes` in order of depth: `[2]` is a binary tree, `[4, 1]` four chains.
 */
export function branchingShape(branching: readonly number[], nodes: number): TreeShape {
  const parents: number[] = [];
  let layer = [-1];
  for (let depth = 0; parents.length < nodes; depth++) {
    const children = branching[Math.min(depth, branching.length - 1)]!;
    const next: number[] = [];
    for (const node of layer) {
      for (let child = 0; child < children && parents.length < nodes; child++) {
        next.push(parents.length);
        parents.push(node);
      }
    }
    if (next.length === 0) break;
    layer = next;
  }
  return parents;
}

/**
 * Sequoia's tree (Chen et al., 2024): the shape of `nodes` nodes with the largest expected number of
 * accepted tokens if the k-th child of an accepted node is accepted with probability `acceptance[k]`
 * independently of its token. Found by dynamic programming.
 *
 * @param acceptance by rank among siblings, as measured: probabilities that the first, second, ... child is
 *   the accepted one; their sum is at most 1
 */
export function sequoiaShape(
  acceptance: readonly number[],
  nodes: number,
  maxDepth: number,
): TreeShape {
  // value[d][n]: best expected accepted tokens with n nodes below a node that has d layers below it.
  // forest[d][b][n]: the same if only children of rank b and above may be used.
  const ranks = acceptance.length;
  const grid = (): Float64Array[] =>
    Array.from({ length: ranks + 1 }, () => new Float64Array(nodes + 1));
  const value: Float64Array[] = [new Float64Array(nodes + 1)];
  const taken: Int32Array[][] = [];
  for (let depth = 1; depth <= maxDepth; depth++) {
    const below = value[depth - 1]!;
    const forest = grid();
    const choice = Array.from({ length: ranks }, () => new Int32Array(nodes + 1));
    for (let rank = ranks - 1; rank >= 0; rank--) {
      for (let count = 1; count <= nodes; count++) {
        let best = 0;
        let subtree = 0;
        for (let size = 1; size <= count; size++) {
          const gain =
            acceptance[rank]! * (1 + below[size - 1]!) + forest[rank + 1]![count - size]!;
          if (gain > best) [best, subtree] = [gain, size];
        }
        forest[rank]![count] = best;
        choice[rank]![count] = subtree;
      }
    }
    value.push(forest[0]!);
    taken.push(choice);
  }
  const parents: number[] = [];
  let layer = [{ node: -1, count: nodes }];
  for (let depth = maxDepth; depth >= 1 && layer.length > 0; depth--) {
    const next: typeof layer = [];
    for (const { node, count } of layer) {
      let left = count;
      for (let rank = 0; rank < ranks && left > 0; rank++) {
        const size = taken[depth - 1]![rank]![left]!;
        if (size === 0) break;
        next.push({ node: parents.length, count: size - 1 });
        parents.push(node);
        left -= size;
      }
    }
    layer = next;
  }
  return parents;
}

export interface FillShapeOptions {
  /** Samples the children. Absent: they are the most probable tokens in order. */
  readonly random?: Random;
  /** Nodes of the shape beyond this number are left out. Default: none. */
  readonly maxNodes?: number;
  /** Layers of the shape beyond this number are left out. Default: none. */
  readonly maxDepth?: number;
}

/**
 * Fills a shape from a draft, one pass per layer. Where the draft's distribution has no token left, nodes are
 * missing with their descendants.
 */
export async function fillShape(
  distributions: DraftDistributions,
  shape: TreeShape,
  options: FillShapeOptions = {},
): Promise<DynamicTree> {
  const { maxNodes = Infinity, maxDepth = Infinity } = options;
  const tree = new GrowingTree(distributions, options);
  const places = new Map<number, number[]>();
  for (const [place, parent] of shape.entries()) {
    if (place >= maxNodes) break;
    places.set(parent, [...(places.get(parent) ?? []), place]);
  }
  let layer = [{ node: -1, place: -1 }];
  for (let depth = 1; layer.length > 0 && depth <= maxDepth; depth++) {
    await tree.ask(layer.map(({ node }) => node));
    const next: typeof layer = [];
    for (const { node, place } of layer) {
      let reach = tree.reachOf(node);
      for (const childPlace of places.get(place) ?? []) {
        if (tree.gain(node, 1) === 0) break;
        const child = tree.add(node, reach);
        reach -= tree.reachOf(child);
        if (places.has(childPlace)) next.push({ node: child, place: childPlace });
      }
    }
    layer = next;
  }
  return tree.finish();
}
