/**
 * Chains in place of trees, for models whose exact passes verify one path: its rows enter the cache in the
 * order of the text, as in autoregressive decoding.
 */
import type { DraftContext, DraftSequence, DraftTree } from "./drafter.ts";

/**
 * A drafter's sequence of which only the most probable path of each tree is verified. The drafter observes a
 * verdict on its own tree, in which the rest was not tested.
 */
export function onlyChains(sequence: DraftSequence): DraftSequence {
  let asked: { readonly tree: DraftTree; readonly path: readonly number[] } | undefined;
  const cut = (tree: DraftTree): DraftTree => {
    const path = bestPath(tree);
    if (path.length === tree.ids.length) {
      asked = undefined;
      return tree;
    }
    asked = { tree, path };
    return pathAsTree(tree, path);
  };
  return {
    propose(context: DraftContext) {
      const proposed = sequence.propose(context);
      return proposed instanceof Promise ? proposed.then(cut) : cut(proposed);
    },
    observe(outcome) {
      if (!outcome.verdict || !asked) return sequence.observe(outcome);
      const { tree, path } = asked;
      const nodes = (of: readonly number[]): readonly number[] => of.map((node) => path[node]!);
      const { accepted, rejected } = outcome.verdict;
      sequence.observe({
        ...outcome,
        verdict: { tree, accepted: nodes(accepted), rejected: nodes(rejected) },
      });
    },
    end: () => sequence.end(),
  };
}

/**
 * Nodes of a tree's most probable path. In a sampled tree: the children that were sampled first, because a
 * choice by the sampled tokens would change the distribution of the text.
 */
function bestPath(tree: DraftTree): number[] {
  const { ids, parents, acceptanceProbabilities: chances, draftDistributions } = tree;
  const path: number[] = [];
  for (;;) {
    const parent = path.at(-1) ?? -1;
    let best = -1;
    for (let node = parent + 1; node < ids.length; node++) {
      if (parents[node] !== parent) continue;
      if (best < 0 || (!draftDistributions && chances && chances[node]! > chances[best]!)) {
        best = node;
      }
    }
    if (best < 0) return path;
    path.push(best);
  }
}

function pathAsTree(tree: DraftTree, path: readonly number[]): DraftTree {
  const { acceptanceProbabilities: chances, draftDistributions: distributions, drafter } = tree;
  return {
    ids: path.map((node) => tree.ids[node]!),
    parents: path.map((_, index) => index - 1),
    ...(chances && { acceptanceProbabilities: path.map((node) => chances[node]!) }),
    ...(distributions && {
      draftDistributions: [distributions[0], ...path.map((node) => distributions[node + 1])],
    }),
    ...(drafter !== undefined && { drafter }),
  };
}
