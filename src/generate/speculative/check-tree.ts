/** Checks of draft trees. */
import { JetonError } from "../../core/index.ts";
import { describeValue } from "../../core/option-rules.ts";
import type { DraftTree } from "./drafter.ts";

/**
 * Checks the tree that a drafter proposed.
 *
 * @throws JetonError `drafter-proposal-invalid`: no lists, lengths that differ, a parent that does not come
 *   before its child, an id outside the vocabulary, too many nodes or too long a path
 */
export function checkTree(
  tree: DraftTree,
  limits: { vocabSize: number; maxNodes: number; maxDepth: number },
): void {
  const { ids, parents, acceptanceProbabilities, draftDistributions } = (tree ?? {}) as DraftTree;
  if (!isList(ids) || !isList(parents)) {
    throw proposalInvalid(`${describeValue(tree)}, expected { ids, parents }, two lists`, { tree });
  }
  const nodes = ids.length;
  if (
    parents.length !== nodes ||
    (acceptanceProbabilities && acceptanceProbabilities.length !== nodes)
  ) {
    throw proposalInvalid("ids, parents and acceptanceProbabilities differ in length", {
      ids: nodes,
      parents: parents.length,
      acceptanceProbabilities: acceptanceProbabilities?.length,
    });
  }
  if (nodes > limits.maxNodes) {
    throw proposalInvalid(`${nodes} nodes, expected at most ${limits.maxNodes}`, { nodes });
  }
  if (draftDistributions && draftDistributions.length !== nodes + 1) {
    throw proposalInvalid(
      `${draftDistributions.length} distributions, expected one for the root and each node`,
      { distributions: draftDistributions.length, nodes },
    );
  }
  const depths = new Uint32Array(nodes);
  for (let node = 0; node < nodes; node++) {
    const chance = acceptanceProbabilities?.[node] ?? 1;
    if (!(chance >= 0)) {
      throw proposalInvalid(`the acceptance probability ${describeValue(chance)}`, { chance });
    }
    const id = ids[node]!;
    if (!(Number.isInteger(id) && id >= 0 && id < limits.vocabSize)) {
      throw proposalInvalid(`node ${node} is the token ${id}, which does not exist`, { node, id });
    }
    const parent = parents[node]!;
    if (!(Number.isInteger(parent) && parent >= -1 && parent < node)) {
      throw proposalInvalid(`node ${node} follows node ${parent}, expected an earlier one`, {
        node,
        parent,
      });
    }
    depths[node] = parent < 0 ? 1 : depths[parent]! + 1;
    if (depths[node]! > limits.maxDepth) {
      throw proposalInvalid(`node ${node} lies ${depths[node]} deep`, {
        node,
        maxDepth: limits.maxDepth,
      });
    }
  }
}

function isList(value: unknown): boolean {
  return Array.isArray(value) || value instanceof Int32Array;
}

/** An error of a drafter's proposal. */
export function proposalInvalid(message: string, details: Record<string, unknown>): JetonError {
  return new JetonError(`the draft tree is invalid: ${message}`, {
    code: "drafter-proposal-invalid",
    details,
  });
}
