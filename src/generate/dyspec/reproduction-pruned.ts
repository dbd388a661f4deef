/** A mistake that looks harmless, for tests and the reproduction to find out. */
import type { Drafter, DraftTree } from "../drafter.ts";

/** Leaves out drawn children that turned out improbable: that changes the law of the text. */
export function pruneAfterDrawing(drafter: Drafter, least: number): Drafter {
  return {
    ...drafter,
    begin(request) {
      const sequence = drafter.begin(request);
      return {
        async propose(context): Promise<DraftTree> {
          const { ids, parents, expected, laws } = await sequence.propose(context);
          const kept = [...ids.keys()].filter((node) => expected![node]! >= least);
          const place = new Map(kept.map((node, at) => [node, at]));
          return {
            ids: kept.map((node) => ids[node]!),
            parents: kept.map((node) => place.get(parents[node]!) ?? -1),
            ...(laws && { laws: [laws[0], ...kept.map((node) => laws[node + 1])] }),
          };
        },
        observe() {},
        end: () => sequence.end(),
      };
    },
  };
}
