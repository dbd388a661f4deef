/** Where the rows of a pass stand among blocks, and at which positions. */
import {
  add,
  broadcastTo,
  divide,
  less,
  minimum,
  multiply,
  reshape,
  slice,
  subtract,
  type Tensor,
  where,
} from "../../tensor/index.ts";
import type { PassTensors } from "../policy/context-policy.ts";
import type { LandmarkSettings } from "./landmark-options.ts";

/** Places of a pass, all int32. A group is a prompt chunk or its part, or a decoded row. */
export interface RowPlaces {
  /** `[groups, 1]`: complete blocks before the chunk: those that may be retrieved, and the number of its first one. */
  readonly first: Tensor;
  /** `[time]`: the same of each row. */
  readonly firstOfRow: Tensor;
  /** `[time]`: block of each row. */
  readonly own: Tensor;
  /** `[groups, 1]`: complete blocks in the cache. */
  readonly cached: Tensor;
  /** `[groups, 1]`: position of the chunk's first block. */
  readonly base: Tensor;
  /** `[time]`: position of each row. */
  readonly positions: Tensor;
}

/**
 * Stingy positions: up to `blocks` cached blocks keep their places; behind more, the chunk stands behind as many
 * slots and an empty one, which tells the latest blocks from older ones.
 */
export function placeRows(
  { places, promptLength, groups, span, time }: PassTensors,
  { block, blocks, capacity, chunk }: LandmarkSettings,
): RowPlaces {
  const period = block + 1;
  const begins = slice(reshape(places, [groups, span]), { axis: 1, end: 1 });
  const before = divide(begins, period);
  const chunks = divide(subtract(begins, before), chunk);
  const first = where(less(begins, promptLength), divide(multiply(chunks, chunk), block), before);
  const cached = capacity > 0 ? minimum(first, capacity) : first;
  const base = multiply(minimum(cached, blocks + 1), period);
  const begin = ofRows(subtract(base, multiply(first, period)), { groups, span, time });
  return {
    first,
    firstOfRow: ofRows(first, { groups, span, time }),
    own: divide(places, period),
    cached,
    base,
    positions: add(places, begin),
  };
}

/** Numbers of groups `[groups, 1]` for each of their rows, `[time]`. */
export function ofRows(
  x: Tensor,
  { groups, span, time }: Pick<PassTensors, "groups" | "span" | "time">,
): Tensor {
  return reshape(broadcastTo(x, [groups, span]), [time]);
}
