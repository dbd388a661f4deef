/** Baselines of DySpec: trees of fixed shapes over the same draft. */
import {
  type ByKind,
  type DrafterBench,
  lengthOf,
  type Requests,
} from "../measure/reproduction-bench.ts";
import type { Drafter, DraftTree, DraftVerdict } from "../speculative/drafter.ts";
import type { DraftSource } from "./draft-source.ts";
import { createTreeDrafter } from "./dyspec-drafter.ts";
import type { DynamicTree } from "./growing-tree.ts";
import {
  branchingShape,
  chainShape,
  fillShape,
  sequoiaShape,
  type TreeShape,
} from "./static-tree.ts";

/** A bench with the draft and the requests of its measurements. */
export interface StaticBench<Id extends string> {
  readonly bench: DrafterBench<Id>;
  readonly source: DraftSource;
  readonly requests: Requests;
}

/** Common shapes, and Sequoia's, which is fitted. */
function staticShapes(nodes: number, rankAcceptance: readonly number[]): Record<string, TreeShape> {
  return {
    chain: chainShape(nodes),
    "four chains": branchingShape([4, 1], nodes),
    binary: branchingShape([2], nodes),
    "4-2-2-1": branchingShape([4, 2, 2, 1], nodes),
    sequoia: sequoiaShape(rankAcceptance, nodes, Math.min(nodes, 16)),
  };
}

function staticDrafter(name: string, source: DraftSource, shape: TreeShape): Drafter {
  return createTreeDrafter({
    name,
    source,
    children: "sampled",
    draftTemperature: 1,
    maxNodes: shape.length,
    maxDepth: shape.length,
    grow: (distributions, limits) => fillShape(distributions, shape, limits),
  });
}

/** A drafter whose trees and verdicts are observed. */
export function watch(
  drafter: Drafter,
  look: (tree: DynamicTree, verdict: DraftVerdict) => void,
  begin: () => void = () => {},
): Drafter {
  return {
    ...drafter,
    begin(request) {
      begin();
      const sequence = drafter.begin(request);
      let last: DraftTree | undefined;
      return {
        async propose(context) {
          last = await sequence.propose(context);
          return last;
        },
        observe(outcome) {
          sequence.observe(outcome);
          const { verdict } = outcome;
          if (verdict && last && verdict.tree === last) look(last as DynamicTree, verdict);
        },
        end: () => sequence.end(),
      };
    },
  };
}

/** Probability that the first, second, ... child of the root is the accepted one. */
export async function measureRanks<Id extends string>({
  bench,
  source,
  requests,
}: StaticBench<Id>): Promise<number[]> {
  const ranks = 8;
  const accepted = new Array<number>(ranks).fill(0);
  let trees = 0;
  const wide = staticDrafter("wide", source, branchingShape([ranks], ranks));
  const drafter = watch(wide, (_tree, verdict) => {
    trees++;
    if (verdict.accepted.length > 0) accepted[verdict.accepted[0]!]!++;
  });
  await bench.measure("fitting Sequoia's shape", drafter, ranks, requests.others);
  return accepted.map((count) => count / Math.max(1, trees));
}

/** Fixed shapes of a size, all or those named, on the same requests, and the name of the best. */
export async function measureStatic<Id extends string>(
  { bench, source, requests }: StaticBench<Id>,
  nodes: number,
  rankAcceptance: readonly number[],
  names?: readonly string[],
): Promise<{ readonly best: string; readonly byShape: Readonly<Record<string, ByKind>> }> {
  const byShape: Record<string, ByKind> = {};
  for (const [name, shape] of Object.entries(staticShapes(nodes, rankAcceptance))) {
    if (names && !names.includes(name)) continue;
    const drafter = staticDrafter(name, source, shape);
    byShape[name] = await bench.measure(name, drafter, nodes, requests.measured);
  }
  const best = Object.keys(byShape).reduce((a, b) =>
    lengthOf(byShape[b]!) > lengthOf(byShape[a]!) ? b : a,
  );
  return { best, byShape };
}
