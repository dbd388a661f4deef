/**
 * TokenRing: exact attention over a sequence that is split among ranks. Keys and values stay where they are; queries travel
 * in one direction and results in the other.
 */
import { JetonError } from "../../core/index.ts";
import { flagRule, functionRule, secondsRule } from "../../core/option-rules.ts";
import {
  type AttentionState,
  createState,
  type RingArray,
  type RingShape,
} from "./attention-state.ts";
import { createMailbox, type Mailbox } from "./mailbox.ts";
import { type RingShard, runRank } from "./ring-rank.ts";
import { checkRingOptions, planTokenRing, zigzagChunks } from "./schedule.ts";

/** An attention over a whole sequence. */
export interface RingInput extends RingShape {
  /** `[tokens, heads, headDim]`; all three arrays have the same type. */
  readonly queries: RingArray;
  /** `[tokens, kvHeads, headDim]`. */
  readonly keys: RingArray;
  /** `[tokens, kvHeads, headDim]`. */
  readonly values: RingArray;
}

/** A message on its way: what a test of faults may drop, delay, double or hold back. */
export interface RingMessage {
  readonly from: number;
  readonly to: number;
  readonly tag: string;
  readonly arrays: readonly RingArray[];
}

/** Options of `attendInRing`. */
export interface AttendInRingOptions {
  readonly ranks: number;
  /** Default true. */
  readonly causal?: boolean;
  /** Seconds that a rank waits for a message. Default 30. */
  readonly deadline?: number;
  /** Called with each message; `deliver` may be called later, several times or never. Default: at once. */
  readonly onMessage?: (message: RingMessage, deliver: () => void) => void;
}

/** Elements that went from one rank to another. */
export interface LinkTraffic {
  readonly from: number;
  readonly to: number;
  readonly kind: "query" | "result";
  readonly bytes: number;
}

/** What a ring computes. */
export interface RingResult extends AttentionState {
  /** By pair of ranks and kind of message. */
  readonly traffic: readonly LinkTraffic[];
}

/**
 * Attention by a ring of ranks in this process, over queues: the reference of the other transports.
 *
 * @throws JetonError `ring-option-invalid`, `ring-shape-invalid`, `ring-deadline`, `ring-message-invalid`
 */
export async function attendInRing(
  input: RingInput,
  options: AttendInRingOptions,
): Promise<RingResult> {
  checkRingOptions(options, {
    causal: flagRule,
    deadline: secondsRule,
    onMessage: functionRule,
  });
  const { ranks, causal = true, deadline = 30, onMessage = (_, deliver) => deliver() } = options;
  const schedule = planTokenRing({ ranks, causal });
  const shards = splitIntoShards(input, ranks, causal);
  const boxes = Array.from({ length: ranks }, (_, rank) => createMailbox({ rank, deadline }));
  const traffic = createTrafficCounter();
  const states = await Promise.all(
    schedule.operations.map((operations, rank) =>
      runRank(operations, shards[rank]!, input, {
        send(peer, tag, arrays) {
          // What was sent must not change when the sender goes on.
          const message = {
            from: rank,
            to: peer,
            tag,
            arrays: arrays.map((array) => array.slice()),
          };
          traffic.add(message);
          onMessage(message, () => boxes[peer]!.put(rank, tag, message.arrays));
        },
        receive: (peer, tag) => boxes[rank]!.take(peer, tag),
      }).catch((error: Error) => {
        failAll(boxes, error);
        throw error;
      }),
    ),
  );
  return { ...joinShards(states, input, causal), traffic: traffic.list() };
}

/** One rank's failure ends the others' waiting. */
function failAll(boxes: readonly Mailbox[], error: Error): void {
  for (const box of boxes) box.fail(error);
}

/** Counts bytes by link and kind. */
export function createTrafficCounter(): { add(message: RingMessage): void; list(): LinkTraffic[] } {
  const links = new Map<string, LinkTraffic>();
  return {
    add({ from, to, tag, arrays }) {
      const kind = tag.startsWith("query") ? "query" : "result";
      const key = `${from} ${to} ${kind}`;
      const bytes = arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
      links.set(key, { from, to, kind, bytes: (links.get(key)?.bytes ?? 0) + bytes });
    },
    list: () => [...links.values()].sort((a, b) => a.from - b.from || a.to - b.to),
  };
}

/**
 * Cuts a sequence into the shards of the ranks.
 *
 * @throws JetonError `ring-shape-invalid`: sizes that do not belong together, or tokens that `2 ranks` (causal) or `ranks`
 *   do not divide
 */
export function splitIntoShards(input: RingInput, ranks: number, causal: boolean): RingShard[] {
  const tokens = checkShape(input, ranks, causal);
  const take = (array: RingArray, rank: number): RingArray => {
    const width = array.length / tokens;
    const rows = shardRows(tokens, rank, ranks, causal);
    const shard = array.slice(0, rows.length * width);
    for (const [i, row] of rows.entries()) {
      shard.set(array.subarray(row * width, (row + 1) * width), i * width);
    }
    return shard;
  };
  return Array.from({ length: ranks }, (_, rank) => ({
    queries: take(input.queries, rank),
    keys: take(input.keys, rank),
    values: take(input.values, rank),
  }));
}

/** Tokens of a shard, in its order. */
function shardRows(tokens: number, rank: number, ranks: number, causal: boolean): number[] {
  if (!causal) {
    const count = tokens / ranks;
    return Array.from({ length: count }, (_, i) => rank * count + i);
  }
  const chunk = tokens / (2 * ranks);
  return zigzagChunks(rank, ranks).flatMap((at) =>
    Array.from({ length: chunk }, (_, i) => at * chunk + i),
  );
}

function checkShape(input: RingInput, ranks: number, causal: boolean): number {
  const { queries, keys, values, heads, kvHeads, headDim } = input;
  const fail = (found: unknown, expected: string): never => {
    throw new JetonError(
      `a ring cannot attend: found ${JSON.stringify(found)}, expected ${expected}`,
      {
        code: "ring-shape-invalid",
        details: { found, expected },
      },
    );
  };
  const sizes = { heads, kvHeads, headDim };
  if (!Object.values(sizes).every((size) => Number.isSafeInteger(size) && size >= 1)) {
    fail(sizes, "integers from 1");
  }
  if (heads % kvHeads !== 0) fail(sizes, "kvHeads that divide heads");
  const tokens = queries.length / (heads * headDim);
  const parts = causal ? 2 * ranks : ranks;
  if (!Number.isInteger(tokens) || tokens < parts || tokens % parts !== 0) {
    fail({ tokens }, `tokens divisible by ${parts}`);
  }
  const length = tokens * kvHeads * headDim;
  if (keys.length !== length || values.length !== length) {
    fail({ keys: keys.length, values: values.length }, `${length} elements`);
  }
  if (keys.constructor !== queries.constructor || values.constructor !== queries.constructor) {
    fail("arrays of different types", "one type");
  }
  return tokens;
}

/** The shards' results in the order of the sequence. */
export function joinShards(
  states: readonly AttentionState[],
  input: RingInput,
  causal: boolean,
): AttentionState {
  const { heads, headDim, queries } = input;
  const tokens = queries.length / (heads * headDim);
  const whole = createState(queries, tokens, input);
  for (const [rank, { output, logSumExp }] of states.entries()) {
    for (const [i, row] of shardRows(tokens, rank, states.length, causal).entries()) {
      const width = heads * headDim;
      whole.output.set(output.subarray(i * width, (i + 1) * width), row * width);
      whole.logSumExp.set(logSumExp.subarray(i * heads, (i + 1) * heads), row * heads);
    }
  }
  return whole;
}
