/** A ring of worker threads, which share no memory: every message is copied. */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { type OptionRule, secondsRule } from "../../core/option-rules.ts";
import { type Remote, startService } from "../../tensor/index.ts";
import type { AttentionState } from "./attention-state.ts";
import type { RankMessage } from "./rank-host.ts";
import type { RingThread, RingThreadSettings } from "./ring-thread.ts";
import { checkRingOptions } from "./schedule.ts";
import { joinShards, type RingInput, splitIntoShards } from "./token-ring.ts";

/** How one attention runs. */
export interface ThreadAttention {
  /** Default true. */
  readonly causal?: boolean;
  /** False: messages are waited for before a step computes, see `PlanTokenRingOptions`. Default true. */
  readonly overlap?: boolean;
}

/** A ring of threads that wait for attentions. */
export interface ThreadRing {
  /** One attention; they run one after the other. @throws JetonError `ring-shape-invalid`, `ring-deadline` */
  attend(input: RingInput, options?: ThreadAttention): Promise<AttentionState>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Options of `openThreadRing`. */
export interface OpenThreadRingOptions {
  readonly ranks: number;
  /** Seconds that a rank waits for a message. Default 30. */
  readonly deadline?: number;
  /** Shapes each link, in each direction, to this many bytes a second. Default: as fast as threads copy. */
  readonly bytesPerSecond?: number;
}

const speedRule: OptionRule = {
  test: (value) => typeof value === "number" && value >= 1 && Number.isFinite(value),
  expected: "a number from 1",
};

/**
 * Starts a thread for each rank.
 *
 * @throws JetonError `ring-option-invalid`
 */
export async function openThreadRing(options: OpenThreadRingOptions): Promise<ThreadRing> {
  checkRingOptions(options, { deadline: secondsRule, bytesPerSecond: speedRule });
  const { ranks, deadline = 30, bytesPerSecond } = options;
  const relays: MessagePort[] = [];
  const connect =
    bytesPerSecond === undefined
      ? () => new MessageChannel()
      : () => createShapedChannel(bytesPerSecond, relays);
  const ports = connectAll(ranks, connect);
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const module = new URL(`./ring-thread.${extension}`, import.meta.url).href;
  const threads: Remote<RingThread>[] = await Promise.all(
    ports.map((own, rank) => {
      const settings: RingThreadSettings = { rank, deadline, ports: own };
      const given = own.filter((port) => port !== undefined);
      return startService<RingThread>(module, "createRingThread", settings, {
        // Ports move to a worker as memory does.
        transfer: given as unknown as ArrayBuffer[],
        inline: false,
      });
    }),
  );
  let [call, last]: [number, Promise<unknown>] = [0, Promise.resolve()];
  const close = async (): Promise<void> => {
    await last;
    await Promise.all(threads.map((thread) => thread.close()));
    for (const relay of relays) relay.close();
  };
  const attend: ThreadRing["attend"] = (input, { causal = true, overlap = true } = {}) => {
    const run = async (): Promise<AttentionState> => {
      const { heads, kvHeads, headDim } = input;
      const task = { call: ++call, ranks, causal, overlap, shape: { heads, kvHeads, headDim } };
      const shards = splitIntoShards(input, ranks, causal);
      const states = await Promise.all(
        shards.map((shard, rank) => threads[rank]!.attend({ ...task, shard })),
      );
      return joinShards(states, input, causal);
    };
    const result = last.then(run, run);
    last = result.catch(() => undefined);
    return result;
  };
  return { attend, close, [Symbol.asyncDispose]: close };
}

/** Two connected ports. */
interface Channel {
  readonly port1: MessagePort;
  readonly port2: MessagePort;
}

/**
 * A channel through this thread, which hands on each message when a link of that speed would have carried it. The ranks' threads
 * compute meanwhile.
 */
function createShapedChannel(bytesPerSecond: number, relays: MessagePort[]): Channel {
  const [one, other] = [new MessageChannel(), new MessageChannel()];
  const relay = (from: MessagePort, to: MessagePort): void => {
    let free = 0;
    from.on("message", (message: RankMessage) => {
      const bytes = message.arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
      const now = performance.now();
      free = Math.max(now, free) + (1000 * bytes) / bytesPerSecond;
      setTimeout(() => to.postMessage(message), free - now);
    });
    from.unref();
    relays.push(from);
  };
  relay(one.port2, other.port1);
  relay(other.port1, one.port2);
  return { port1: one.port1, port2: other.port2 };
}

/** A channel for each pair: `[rank][peer]`. */
function connectAll(ranks: number, connect: () => Channel): (MessagePort | undefined)[][] {
  const ports = Array.from({ length: ranks }, () =>
    new Array<MessagePort | undefined>(ranks).fill(undefined),
  );
  for (let a = 0; a < ranks; a++) {
    for (let b = a + 1; b < ranks; b++) {
      const { port1, port2 } = connect();
      ports[a]![b] = port1;
      ports[b]![a] = port2;
    }
  }
  return ports;
}
