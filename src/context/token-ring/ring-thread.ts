/** A rank of a ring as a service in a worker thread (see `thread-ring.ts`). */
import type { MessagePort } from "node:worker_threads";
import type { AttentionState } from "./attention-state.ts";
import { createRankHost, type RankMessage, type RankTask } from "./rank-host.ts";

/** What a thread is started with. */
export interface RingThreadSettings {
  readonly rank: number;
  readonly deadline: number;
  /** A port to each other rank; none to itself. */
  readonly ports: readonly (MessagePort | undefined)[];
}

/** The rank as its caller sees it. */
export interface RingThread {
  attend(task: RankTask): Promise<AttentionState>;
  close(): void;
}

/** Makes the service. */
export async function createRingThread(settings: RingThreadSettings): Promise<RingThread> {
  const { rank, deadline, ports } = settings;
  const host = createRankHost({
    rank,
    deadline,
    // Posting copies the arrays.
    send: (peer, message) => ports[peer]!.postMessage(message),
  });
  for (const port of ports) port?.on("message", (message: RankMessage) => host.receive(message));
  return {
    attend: (task) => host.attend(task),
    close() {
      for (const port of ports) port?.close();
    },
  };
}
