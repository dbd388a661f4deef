/** One rank of a ring: follows its operations of the schedule over any kind of link. */
import { JetonError } from "../../core/index.ts";
import {
  type AttentionState,
  attend,
  createState,
  mergeState,
  type RingArray,
  type RingShape,
} from "./attention-state.ts";
import {
  type ComputeOperation,
  messageTag,
  type QueryRows,
  type RingOperation,
} from "./schedule.ts";

/** How a rank reaches the others. */
export interface RingLink {
  /** Sends without waiting. The arrays may be used again by the caller: an implementation copies them. */
  send(peer: number, tag: string, arrays: readonly RingArray[]): void;
  /** The message of this tag from this rank; rejects when the deadline has passed. */
  receive(peer: number, tag: string): Promise<readonly RingArray[]>;
}

/** A rank's part of the sequence. */
export interface RingShard {
  /** `[rows, heads, headDim]`, the front chunk and then the back chunk. */
  readonly queries: RingArray;
  /** `[rows, kvHeads, headDim]`. */
  readonly keys: RingArray;
  /** `[rows, kvHeads, headDim]`. */
  readonly values: RingArray;
}

interface HeldQueries {
  readonly queries: RingArray;
  readonly part: QueryRows;
}

/**
 * Runs the operations of a rank.
 *
 * @returns output and log-sum-exp of the shard's own queries over the whole sequence
 * @throws JetonError `ring-message-invalid` for a message of another size, and those of the link
 */
export async function runRank(
  operations: readonly RingOperation[],
  shard: RingShard,
  shape: RingShape,
  link: RingLink,
): Promise<AttentionState> {
  const width = shape.heads * shape.headDim;
  const rows = shard.queries.length / width;
  const own = createState(shard.queries, rows, shape);
  const firstRow = (part: QueryRows): number => (part === "back" ? rows / 2 : 0);
  // By step: the next queries may arrive before the present ones were computed with.
  const held = new Map<number, HeldQueries>([[0, { queries: shard.queries, part: "all" }]]);
  const results = new Map<number, AttentionState>();
  for (const operation of operations) {
    const { rank, step } = operation;
    if (operation.type === "compute") {
      const state = computeBlock(operation, held.get(step)!.queries, shard, shape);
      held.delete(step);
      if (operation.owner === rank) mergeState(own, state, shape);
      else results.set(step, state);
      continue;
    }
    const { type, kind, peer, rows: part } = operation;
    const count = rows - firstRow(part);
    const tag = messageTag(operation);
    if (type === "send" && kind === "query") {
      const { queries, part: whole } = held.get(step)!;
      const isCut = part === "back" && whole === "all";
      link.send(peer, tag, [isCut ? queries.subarray(firstRow("back") * width) : queries]);
    } else if (type === "send") {
      const { output, logSumExp } = results.get(step)!;
      results.delete(step);
      link.send(peer, tag, [output, logSumExp]);
    } else {
      const arrays = await link.receive(peer, tag);
      const expected = kind === "query" ? [count * width] : [count * width, count * shape.heads];
      checkMessage(arrays, expected, shard.queries, { rank, step, kind, peer });
      if (kind === "query") held.set(step + 1, { queries: arrays[0]!, part });
      else {
        const part_ = { output: arrays[0]!, logSumExp: arrays[1]! };
        mergeState(own, part_, shape, firstRow(part));
      }
    }
  }
  return own;
}

function computeBlock(
  { keys: part, isCausal }: ComputeOperation,
  held: RingArray,
  { keys, values }: RingShard,
  shape: RingShape,
): AttentionState {
  const end = part === "front" ? keys.length / 2 : keys.length;
  return attend(held, keys.subarray(0, end), values.subarray(0, end), shape, isCausal);
}

function checkMessage(
  arrays: readonly RingArray[],
  expected: readonly number[],
  like: RingArray,
  details: { rank: number; step: number; kind: string; peer: number },
): void {
  const found = arrays.map(({ length }) => length);
  const isSameType = arrays.every((array) => array.constructor === like.constructor);
  if (isSameType && found.length === expected.length && found.every((n, i) => n === expected[i])) {
    return;
  }
  const { rank, step, kind, peer } = details;
  throw new JetonError(
    `rank ${rank}, step ${step}: the ${kind} from rank ${peer} has ${found.join(" and ")} elements, expected ${expected.join(" and ")}`,
    { code: "ring-message-invalid", details: { ...details, found, expected } },
  );
}
