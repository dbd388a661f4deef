/** Draft trees from a table of successors: a fixed template, or a tree that grows best-first. */
import type { CalibrationMap } from "../speculative/calibration-map.ts";
import { type BuiltTree, DraftTreeBuilder } from "../speculative/draft-tree-builder.ts";
import type { DraftContext } from "../speculative/drafter.ts";
import { MaxHeap } from "../speculative/max-heap.ts";
import type { DraftTemplate } from "./draft-template.ts";
import type { SuccessorTable } from "./successor-table.ts";

/** Candidates and how often they are accepted. */
export interface CandidateSource {
  readonly table: SuccessorTable;
  /** For each rank: from the table's probability to that of acceptance. */
  readonly acceptance: readonly Pick<CalibrationMap, "estimate">[];
}

/** Probability that the successor of a token at a rank is accepted once it is tested. */
function acceptanceOf({ table, acceptance }: CandidateSource, token: number, rank: number): number {
  return acceptance[rank]!.estimate(table.confidence(token, rank));
}

/**
 * The template filled with tokens (step 1 of the paper), level by level. Nodes without a token are left
 * out with their descendants; a budget below the template's size takes its first nodes by `template.order`.
 */
export function fillTemplate(
  source: CandidateSource,
  template: DraftTemplate,
  context: DraftContext,
): BuiltTree {
  const { table } = source;
  const { maxNodes, maxDepth, minAcceptanceProbability } = context;
  const root = context.ids.at(-1)!;
  const size = template.parents.length;
  const tokens = new Int32Array(size).fill(-1);
  const probabilities = new Float64Array(size);
  let count = 0;
  for (const node of template.order) {
    if (count === maxNodes) break;
    const parent = template.parents[node]!;
    const above = parent < 0 ? root : tokens[parent]!;
    if (above < 0 || !table.has(above) || template.depths[node]! > maxDepth) continue;
    const rank = template.ranks[node]!;
    const own = acceptanceOf(source, above, rank);
    probabilities[node] = (parent < 0 ? 1 : probabilities[parent]!) * own;
    if (probabilities[node]! < minAcceptanceProbability) continue;
    tokens[node] = table.successor(above, rank);
    count++;
  }
  const places = new Int32Array(size);
  const builder = new DraftTreeBuilder();
  for (let node = 0; node < size; node++) {
    if (tokens[node]! < 0) continue;
    const parent = template.parents[node]!;
    const above = parent < 0 ? -1 : places[parent]!;
    places[node] = builder.add(above, tokens[node]!, probabilities[node]!);
  }
  return builder.tree;
}

/** A node that may be added next: the successor of its parent's token at a rank. */
interface Candidate {
  /** -1 for the root. */
  readonly parent: number;
  /** Token of the parent. */
  readonly above: number;
  readonly rank: number;
  readonly probability: number;
}

/**
 * The `maxNodes` most probable nodes by the table, at most the budget. Below each node, ranks are added in
 * their order.
 */
export function growTree(
  source: CandidateSource,
  maxNodes: number,
  context: DraftContext,
): BuiltTree {
  const { table } = source;
  const { maxDepth, minAcceptanceProbability } = context;
  const size = Math.min(maxNodes, context.maxNodes);
  const builder = new DraftTreeBuilder();
  const candidates = new MaxHeap<Candidate>();
  /** @param bound probability of the sibling before: ranks are added in their order */
  const offer = (parent: number, above: number, rank: number, bound: number): void => {
    if (rank === table.topK || builder.depthOf(parent) >= maxDepth || !table.has(above)) return;
    const own = acceptanceOf(source, above, rank);
    const probability = Math.min(bound, builder.reachOf(parent) * own);
    if (probability > 0 && probability >= minAcceptanceProbability) {
      candidates.push(probability, { parent, above, rank, probability });
    }
  };
  offer(-1, context.ids.at(-1)!, 0, 1);
  while (builder.size < size) {
    const next = candidates.pop();
    if (!next) break;
    const { parent, above, rank, probability } = next;
    const token = table.successor(above, rank);
    const node = builder.add(parent, token, probability);
    offer(parent, above, rank + 1, probability);
    offer(node, token, 0, 1);
  }
  return builder.tree;
}
