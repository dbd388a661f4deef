/** Methods that reproductions of this module compare with: the control of predicted rows. */
import { createRandom } from "../core/index.ts";
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
