/** Methods that reproductions of this module compare with: a baseline, and the control of predicted rows. */
import { createRandom } from "../core/index.ts";
import { mixtureMethod } from "./baselines.ts";
import { nearestMixture } from "./nearest-tokens.ts";
import type { TransferMethod } from "./transfer.ts";

/** The method's rows, each given to another token. */
export function shuffleRows(method: TransferMethod): TransferMethod {
  return {
    name: `${method.name}-shuffled`,
    async predict(task) {
      const { embedding, head } = await method.predict(task);
      const width = task.source.config.hiddenSize;
      const order = createRandom(task.seed, "shuffled-rows").shuffle(
        Array.from({ length: task.target.size }, (_, id) => id),
      );
      const shuffle = (table: Float32Array): Float32Array => {
        const mixed = new Float32Array(table.length);
        for (const [id, from] of order.entries()) {
          mixed.set(table.subarray(from * width, (from + 1) * width), id * width);
        }
        return mixed;
      };
      return { embedding: shuffle(embedding), ...(head && { head: shuffle(head) }) };
    },
  };
}

/**
 * In the manner of FOCUS (Dobler and de Melo, 2023): shared tokens keep their rows, the others are averages of
 * the tokens that occur in the same texts. The static vectors are those of occurrence, not fastText's.
 */
export function focus(texts: readonly string[]): TransferMethod {
  const pairs = texts.map((text) => ({ source: text, target: text }));
  return mixtureMethod(
    "focus",
    ({ source, target }) => {
      const nearest = nearestMixture(source.vocabulary, target, { pairs });
      return target.forms.map((form, id) => {
        const same = form === undefined ? undefined : source.vocabulary.ids.get(form);
        return same === undefined ? nearest[id] : { sources: [same], weights: [1] };
      });
    },
    "mean",
  );
}
