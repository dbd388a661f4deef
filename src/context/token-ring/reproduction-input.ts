/** Random inputs of an attention, for the reproduction and the tests. */
import type { Random } from "../../core/index.ts";
import type { RingShape } from "./attention-state.ts";
import type { RingInput } from "./token-ring.ts";

/** Queries, keys and values of normal elements times `spread`, drawn in this order, in float64. */
export function sampleRingInput(
  random: Random,
  tokens: number,
  shape: RingShape,
  spread = 1,
): RingInput {
  const draw = (heads: number): Float64Array =>
    new Float64Array(tokens * heads * shape.headDim).map(() => spread * random.normal());
  return {
    ...shape,
    queries: draw(shape.heads),
    keys: draw(shape.kvHeads),
    values: draw(shape.kvHeads),
  };
}
