/** A ring of worker threads, which share no memory: every message is copied. */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { type Remote, startService } from "../../tensor/index.ts";
import type { AttentionState } from "./attention-state.ts";
import type { RingThread, RingThreadSettings } from "./ring-thread.ts";
import { joinShards, type RingInput, splitIntoShards } from "./token-ring.ts";

/** A ring of threads that wait for attentions. */
export interface ThreadRing {
  /** One attention; they run one after the other. @throws JetonError `ring-shape-invalid`, `ring-deadline` */
  attend(input: RingInput, options?: { readonly causal?: boolean }): Promise<AttentionState>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a thread for each rank.
 *
 * @param options `deadline`: seconds that a rank waits for a message, default 30
 */
export async function openThreadRing(options: {
  readonly ranks: number;
  readonly deadline?: number;
}): Promise<ThreadRing> {
  const { ranks, deadline = 30 } = options;
  const ports = connectAll(ranks);
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
  };
  const attend: ThreadRing["attend"] = (input, { causal = true } = {}) => {
    const run = async (): Promise<AttentionState> => {
      const { heads, kvHeads, headDim } = input;
      const task = { call: ++call, ranks, causal, shape: { heads, kvHeads, headDim } };
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

/** A channel for each pair: `[rank][peer]`. */
function connectAll(ranks: number): (MessagePort | undefined)[][] {
  const ports = Array.from({ length: ranks }, () =>
    new Array<MessagePort | undefined>(ranks).fill(undefined),
  );
  for (let a = 0; a < ranks; a++) {
    for (let b = a + 1; b < ranks; b++) {
      const { port1, port2 } = new MessageChannel();
      ports[a]![b] = port1;
      ports[b]![a] = port2;
    }
  }
  return ports;
}
