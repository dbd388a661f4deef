/** A rank that lives in a thread or process of its own: takes messages and tasks, whichever comes first. */
import type { AttentionState, RingArray, RingShape } from "./attention-state.ts";
import { createMailbox, type Mailbox } from "./mailbox.ts";
import { type RingShard, runRank } from "./ring-rank.ts";
import { planTokenRing } from "./schedule.ts";

/** A message between two ranks. */
export interface RankMessage {
  /** Number of the attention, from 1. */
  readonly call: number;
  readonly from: number;
  readonly tag: string;
  readonly arrays: readonly RingArray[];
}

/** A rank's part of one attention. */
export interface RankTask {
  readonly call: number;
  readonly ranks: number;
  readonly causal: boolean;
  /** See `PlanTokenRingOptions`. Default true. */
  readonly overlap?: boolean;
  readonly shape: RingShape;
  readonly shard: RingShard;
}

/** Options of `createRankHost`. */
export interface RankHostOptions {
  readonly rank: number;
  /** Seconds that the rank waits for one message. */
  readonly deadline: number;
  /** Sends to another rank without waiting; copies the arrays. */
  readonly send: (peer: number, message: RankMessage) => void;
}

/** One rank. Attentions have rising numbers and run one after the other. */
export interface RankHost {
  receive(message: RankMessage): void;
  attend(task: RankTask): Promise<AttentionState>;
}

/** A rank, with a mailbox for each attention under way. */
export function createRankHost({ rank, deadline, send }: RankHostOptions): RankHost {
  const boxes = new Map<number, Mailbox>();
  let finished = 0;
  const boxOf = (call: number): Mailbox => {
    const box = boxes.get(call) ?? createMailbox({ rank, deadline });
    boxes.set(call, box);
    return box;
  };
  return {
    receive({ call, from, tag, arrays }) {
      // A message that comes after its attention has ended is a copy, or of one that failed.
      if (call > finished) boxOf(call).put(from, tag, arrays);
    },
    async attend({ call, ranks, causal, overlap = true, shape, shard }) {
      const box = boxOf(call);
      const schedule = planTokenRing({ ranks, causal, overlap });
      try {
        return await runRank(schedule.operations[rank]!, shard, shape, {
          send: (peer, tag, arrays) => send(peer, { call, from: rank, tag, arrays }),
          receive: (peer, tag) => box.take(peer, tag),
        });
      } finally {
        finished = Math.max(finished, call);
        for (const old of boxes.keys()) if (old <= finished) boxes.delete(old);
      }
    },
  };
}
