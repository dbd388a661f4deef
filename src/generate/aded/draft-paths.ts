/**
 * Baselines of the search: other ways to make drafts from the same table.
 */
import type { Random } from "../../core/index.ts";
import { MaxHeap } from "../speculative/max-heap.ts";
import type { SearchedPath } from "./draft-search.ts";
import type { TrigramTable } from "./trigram-table.ts";

export interface DraftPathOptions {
  /** Tokens of the longest draft. */
  readonly depth: number;
  /** Drafts: nodes of the best-first tree, or walks. */
  readonly count: number;
}

/** The `count` continuations with the largest products of shares, each as one draft. */
export function bestFirstPaths(
  table: TrigramTable,
  before: number,
  root: number,
  { depth, count }: DraftPathOptions,
): SearchedPath[] {
  const open = new MaxHeap<SearchedPath>();
  const offer = (path: SearchedPath): void => {
    if (path.ids.length === depth) return;
    const row = table.row(
      path.ids.at(-2) ?? (path.ids.length === 1 ? root : before),
      path.ids.at(-1) ?? root,
    );
    if (row < 0) return;
    const total = table.total(row);
    const reach = path.visits.at(-1) ?? 1;
    for (let rank = 0; rank < table.count(row); rank++) {
      const chance = (reach * table.weightAt(row, rank)) / total;
      open.push(chance, {
        ids: [...path.ids, table.token(row, rank)],
        visits: [...path.visits, chance],
      });
    }
  };
  offer({ ids: [], visits: [] });
  const paths: SearchedPath[] = [];
  while (paths.length < count) {
    const path = open.pop();
    if (!path) break;
    paths.push(path);
    offer(path);
  }
  return paths;
}

/** `count` random walks by the table's weights; visits count the walks with the same beginning. */
export function randomWalkPaths(
  table: TrigramTable,
  before: number,
  root: number,
  { depth, count }: DraftPathOptions,
  random: Random,
): SearchedPath[] {
  const walks: number[][] = [];
  const visits = new Map<string, number>();
  for (let walk = 0; walk < count; walk++) {
    let [first, second] = [before, root];
    const ids: number[] = [];
    while (ids.length < depth) {
      const row = table.row(first, second);
      if (row < 0) break;
      let left = random.uniform() * table.total(row);
      let rank = 0;
      while (rank < table.count(row) - 1 && left >= table.weightAt(row, rank)) {
        left -= table.weightAt(row, rank++);
      }
      [first, second] = [second, table.token(row, rank)];
      ids.push(second);
      visits.set(ids.join(), (visits.get(ids.join()) ?? 0) + 1);
    }
    if (ids.length > 0) walks.push(ids);
  }
  return walks.map((ids) => ({
    ids,
    visits: ids.map((_, at) => visits.get(ids.slice(0, at + 1).join())!),
  }));
}
