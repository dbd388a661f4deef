/** The control of drafters: trees of the same shape and tokens, with the tokens at other nodes. */
import type { Random } from "../../core/index.ts";
import type { Drafter } from "../speculative/drafter.ts";

/**
 * A drafter whose tokens are shuffled among all nodes of each tree. It learns as the given one does, and none
 * of what it knows about order and place is left.
 */
export function shuffleDrafts(drafter: Drafter, random: Random): Drafter {
  return {
    ...drafter,
    begin(request) {
      const sequence = drafter.begin(request);
      return {
        async propose(context) {
          const { ids, parents } = await sequence.propose(context);
          // One node would stay where it is: it gets another token of the text.
          if (ids.length === 1) {
            return { ids: [context.ids[random.integer(context.ids.length)]!], parents };
          }
          return { ids: random.shuffle([...ids]), parents };
        },
        observe({ verdict: _, ...outcome }) {
          sequence.observe(outcome);
        },
        end: () => sequence.end(),
      };
    },
  };
}
