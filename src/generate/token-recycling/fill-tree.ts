/** Guesses read from a table of successors, in a fixed tree or in one that grows. */
import type { CalibrationMap } from "../speculative/calibration-map.ts";
import type { DraftContext, DraftTree } from "../speculative/drafter.ts";
import { MaxHeap } from "../speculative/max-heap.ts";
import type { DraftTemplate } from "./draft-template.ts";
import type { SuccessorTable } from "./successor-table.ts";

/** Where guesses come from and what they are worth. */
export interface CandidateSource {
  readonly table: SuccessorTable;
  /** For each rank: from the probability that the table holds to the share of guesses that come true. */
  readonly acceptance: readonly Pick<CalibrationMap, "estimate">[];
}

/**
 * The template with tokens on it (step 1 of the paper), level by level. Nodes without a token are left
 * out with all below them; where the budget is smaller than the template, its first nodes by
 * `template.order` are taken.
 */
export function fillTemplate(
  { table, acceptance }: CandidateSource,
  template: DraftTemplate,
  context: DraftContext,
): DraftTree {
  const { maxNodes, maxDepth, minAcceptanceProbability } = context;
  const root = context.ids.at(-1)!;
  const size = template.parents.length;
  const tokens = new Int32Array(size).fill(-1);
  const chances = new Float64Array(size);
  let count = 0;
  for (const node of template.order) {
    if (count === maxNodes) break;
    const parent = template.parents[node]!;
    const above = parent < 0 ? root : tokens[parent]!;
    if (above < 0 || !table.has(above) || template.depths[node]! > maxDepth) continue;
    const rank = template.ranks[node]!;
    const chance = acceptance[rank]!.estimate(table.confidence(above, rank));
    chances[node] = (parent < 0 ? 1 : chances[parent]!) * chance;
    if (chances[node]! < minAcceptanceProbability) continue;
    tokens[node] = table.successor(above, rank);
    count++;
  }
  const places = new Int32Array(size);
  const ids: number[] = [];
  const parents: number[] = [];
  const expected: number[] = [];
  for (let node = 0; node < size; node++) {
    if (tokens[node]! < 0) continue;
    places[node] = ids.length;
    const parent = template.parents[node]!;
    ids.push(tokens[node]!);
    parents.push(parent < 0 ? -1 : places[parent]!);
    expected.push(chances[node]!);
  }
  return { ids, parents, acceptanceProbabilities: expected };
}

/** A guess that may come next: the successor of a node's token at a rank. */
interface Candidate {
  /** Node that it would follow, -1 for the root. */
  readonly parent: number;
  readonly above: number;
  readonly rank: number;
  readonly depth: number;
  readonly chance: number;
}

/**
 * The `most` guesses that are most probable by the table, those of the budget if that is smaller.
 * Below each node ranks are guessed in their order.
 */
export function growTree(
  { table, acceptance }: CandidateSource,
  most: number,
  context: DraftContext,
): DraftTree {
  const { maxDepth, minAcceptanceProbability } = context;
  const size = Math.min(most, context.maxNodes);
  const ids: number[] = [];
  const parents: number[] = [];
  const expected: number[] = [];
  const candidates = new MaxHeap<Candidate>();
  const offer = (
    parent: number,
    above: number,
    rank: number,
    depth: number,
    most: number,
  ): void => {
    if (rank === table.topK || depth > maxDepth || !table.has(above)) return;
    const own = acceptance[rank]!.estimate(table.confidence(above, rank));
    const chance = Math.min(most, (parent < 0 ? 1 : expected[parent]!) * own);
    if (chance > 0 && chance >= minAcceptanceProbability) {
      candidates.push(chance, { parent, above, rank, depth, chance });
    }
  };
  offer(-1, context.ids.at(-1)!, 0, 1, 1);
  while (ids.length < size) {
    const next = candidates.pop();
    if (!next) break;
    const { parent, above, rank, depth, chance } = next;
    const token = table.successor(above, rank);
    ids.push(token);
    parents.push(parent);
    expected.push(chance);
    offer(parent, above, rank + 1, depth, chance);
    offer(ids.length - 1, token, 0, depth + 1, 1);
  }
  return { ids, parents, acceptanceProbabilities: expected };
}
