/** A draft tree as rows of one forward pass: row 0 is the root, row i + 1 is node i. */
import type { DraftTree } from "./drafter.ts";

/** Token of each row. */
export function rowIds(root: number, { ids }: DraftTree): Int32Array {
  const rows = new Int32Array(1 + ids.length);
  rows[0] = root;
  rows.set(ids, 1);
  return rows;
}

/** Parent row of each row; -1 for the root. */
export function rowParents({ parents }: DraftTree): number[] {
  const rows = new Array<number>(1 + parents.length);
  rows[0] = -1;
  for (let node = 0; node < parents.length; node++) rows[node + 1] = parents[node]! + 1;
  return rows;
}

/** Number of tokens between the root's token and each row's. */
export function rowDepths({ parents }: DraftTree): number[] {
  const depths = [0];
  for (let node = 0; node < parents.length; node++) depths.push(depths[parents[node]! + 1]! + 1);
  return depths;
}

/**
 * Nodes of a tree's most probable path. In a sampled tree: the children that were sampled first, because a
 * choice by the sampled tokens would change the distribution of the text.
 */
export function bestPath({
  ids,
  parents,
  acceptanceProbabilities,
  draftDistributions,
}: DraftTree): number[] {
  const path: number[] = [];
  for (;;) {
    const parent = path.at(-1) ?? -1;
    let best = -1;
    for (let node = parent + 1; node < ids.length; node++) {
      if (parents[node] !== parent) continue;
      if (
        best < 0 ||
        (!draftDistributions &&
          acceptanceProbabilities &&
          acceptanceProbabilities[node]! > acceptanceProbabilities[best]!)
      )
        best = node;
    }
    if (best < 0) return path;
    path.push(best);
  }
}

/** The chain of some nodes of a tree, each the child of the one before. */
export function pathAsTree(tree: DraftTree, path: readonly number[]): DraftTree {
  const { draftDistributions, drafter } = tree;
  return {
    ids: path.map((node) => tree.ids[node]!),
    parents: path.map((_, index) => index - 1),
    ...(draftDistributions && {
      draftDistributions: [
        draftDistributions[0],
        ...path.map((node) => draftDistributions[node + 1]),
      ],
    }),
    ...(drafter !== undefined && { drafter }),
  };
}
