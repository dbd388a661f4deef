/** A plausible mistake that tests and the reproduction must detect. */
import type { Drafter, DraftTree } from "../speculative/drafter.ts";

/** Drops improbable children after sampling, which changes the distribution of the text. */
export function pruneAfterSampling(drafter: Drafter, least: number): Drafter {
  return {
    ...drafter,
    begin(request) {
      const sequence = drafter.begin(request);
      return {
        async propose(context): Promise<DraftTree> {
          const { ids, parents, acceptanceProbabilities, draftDistributions } =
            await sequence.propose(context);
          const kept = [...ids.keys()].filter((node) => acceptanceProbabilities![node]! >= least);
          const place = new Map(kept.map((node, at) => [node, at]));
          return {
            ids: kept.map((node) => ids[node]!),
            parents: kept.map((node) => place.get(parents[node]!) ?? -1),
            ...(draftDistributions && {
              draftDistributions: [
                draftDistributions[0],
                ...kept.map((node) => draftDistributions[node + 1]),
              ],
            }),
          };
        },
        observe() {},
        end: () => sequence.end(),
      };
    },
  };
}
