/** A ring of processes on NATS. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { JetonError } from "../../core/index.ts";
import {
  checkRequired,
  longestDeadline,
  objectRule,
  secondsRule,
} from "../../core/option-rules.ts";
import { connectTransport, type Transport } from "../../transport/index.ts";
import type { AttentionState, RingArray } from "./attention-state.ts";
import type { RingProcessSettings } from "./ring-process.ts";
import { checkRingOptions } from "./schedule.ts";
import { joinShards, type RingInput, splitIntoShards } from "./token-ring.ts";

/** Options of `openProcessRing`. */
export interface OpenProcessRingOptions {
  readonly ranks: number;
  /** The server, e.g. of `startNatsServer`. */
  readonly server: { readonly url: string; readonly token: string };
  /** Seconds that a rank waits for a message. Default 30. */
  readonly deadline?: number;
  /** Seconds until all processes have to be ready. Default 60. */
  readonly startDeadline?: number;
}

/** A ring of processes that wait for attentions. */
export interface ProcessRing {
  /** Process identifiers, by rank. */
  readonly pids: readonly number[];
  /**
   * One attention; they run one after the other.
   *
   * @throws JetonError `ring-shape-invalid`, `ring-deadline` for a lost message, `ring-rank-lost` for a process that ended
   */
  attend(input: RingInput, options?: { readonly causal?: boolean }): Promise<AttentionState>;
  /** Ends the processes and waits until they have ended. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a process for each rank and waits until all are ready.
 *
 * @throws JetonError `ring-option-invalid`, `ring-rank-lost`, `ring-start-deadline`, and those of `connectTransport`
 */
export async function openProcessRing(options: OpenProcessRingOptions): Promise<ProcessRing> {
  checkRingOptions(options, {
    server: objectRule,
    deadline: secondsRule,
    startDeadline: secondsRule,
  });
  checkRequired(options, { server: objectRule }, "ring-option-invalid");
  const { ranks, server, deadline = 30, startDeadline = 60 } = options;
  const ring = `ring-${randomBytes(6).toString("hex")}`;
  const transport = await connectTransport({ ...server, name: ring });
  const ready = awaitReady(transport, ring, ranks, startDeadline);
  await transport.flush();
  const children = Array.from({ length: ranks }, (_, rank) =>
    startRank({ url: server.url, token: server.token, ring, rank, deadline }),
  );
  const exits = children.map(
    (child) => new Promise<void>((resolve) => child.once("exit", () => resolve())),
  );
  const lost = watchExits(children);
  const close = async (): Promise<void> => {
    lost.ignore();
    // With the server gone there is no connection; the processes have ended with theirs.
    if (transport.isOpen()) transport.publish(`${ring}.stop`);
    await transport.close();
    const kill = setTimeout(() => {
      for (const child of children) child.kill("SIGKILL");
    }, 5000);
    await Promise.all(exits);
    clearTimeout(kill);
  };
  try {
    await Promise.race([ready.promise, lost.promise]);
  } catch (error) {
    await close();
    throw error;
  } finally {
    ready.cancel();
  }
  let [call, last]: [number, Promise<unknown>] = [0, Promise.resolve()];
  const attend: ProcessRing["attend"] = (input, { causal = true } = {}) => {
    const run = async (): Promise<AttentionState> => {
      const tasks = askRanks(transport, ring, input, { ranks, causal, call: ++call, deadline });
      return joinShards(await Promise.race([tasks, lost.promise]), input, causal);
    };
    const result = last.then(run, run);
    last = result.catch(() => undefined);
    return result;
  };
  return { pids: children.map(({ pid }) => pid!), attend, close, [Symbol.asyncDispose]: close };
}

async function askRanks(
  transport: Transport,
  ring: string,
  input: RingInput,
  { deadline, ...task }: { ranks: number; causal: boolean; call: number; deadline: number },
): Promise<AttentionState[]> {
  const { heads, kvHeads, headDim } = input;
  const shards = splitIntoShards(input, task.ranks, task.causal);
  // A rank waits for one message at a time; all of them together end before this.
  const limit = Math.min(deadline * (2 * task.ranks + 1), longestDeadline);
  return Promise.all(
    shards.map(async ({ queries, keys, values }, rank) => {
      const { arrays } = await transport.request(
        `${ring}.${rank}.attend`,
        { head: { ...task, shape: { heads, kvHeads, headDim } }, arrays: [queries, keys, values] },
        { deadline: limit },
      );
      const [output, logSumExp] = arrays as RingArray[];
      return { output: output!, logSumExp: logSumExp! };
    }),
  );
}

function startRank(settings: RingProcessSettings): ChildProcess {
  const isSource = import.meta.url.endsWith(".ts");
  const entry = new URL(isSource ? "./ring-process.ts" : "./ring-process.js", import.meta.url);
  // Node 20 needs tsx to load sources; the built package starts without.
  const loader = isSource ? ["--import", "tsx"] : [];
  return spawn(process.execPath, [...loader, fileURLToPath(entry)], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, JETON_RING: JSON.stringify(settings) },
  });
}

/** Rejects with the first process that ends before it is told to. */
function watchExits(children: readonly ChildProcess[]): {
  promise: Promise<never>;
  ignore(): void;
} {
  let isIgnored = false;
  const promise = new Promise<never>((_, reject) => {
    for (const [rank, child] of children.entries()) {
      child.once("error", (error) => reject(lostError(rank, error.message)));
      child.once("exit", (status, signal) => {
        if (!isIgnored) reject(lostError(rank, signal ?? `status ${status}`));
      });
    }
  });
  // Without an attention under way there is no other listener.
  promise.catch(() => {});
  return {
    promise,
    ignore() {
      isIgnored = true;
    },
  };
}

function lostError(rank: number, reason: string): JetonError {
  return new JetonError(`the process of rank ${rank} ended: ${reason}`, {
    code: "ring-rank-lost",
    details: { rank, reason },
  });
}

function awaitReady(
  transport: Transport,
  ring: string,
  ranks: number,
  seconds: number,
): { promise: Promise<void>; cancel(): void } {
  let cancel = (): void => {};
  const promise = new Promise<void>((resolve, reject) => {
    const missing = new Set(Array.from({ length: ranks }, (_, rank) => rank));
    const timer = setTimeout(() => {
      reject(
        new JetonError(`ranks ${[...missing].join(", ")} are not ready after ${seconds} seconds`, {
          code: "ring-start-deadline",
          details: { ranks: [...missing], seconds },
        }),
      );
    }, seconds * 1000);
    const stop = transport.subscribe(`${ring}.ready.*`, ({ subject }) => {
      missing.delete(Number(subject.split(".").at(-1)));
      if (missing.size === 0) resolve();
    });
    cancel = () => {
      clearTimeout(timer);
      stop();
    };
  });
  // It may fail before anything waits for it.
  promise.catch(() => {});
  return { promise, cancel: () => cancel() };
}
