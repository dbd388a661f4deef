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
