/** Where messages of a rank arrive: in any order, several times, late or never. */
import { JetonError } from "../../core/index.ts";
import type { RingArray } from "./attention-state.ts";

/** Options of `createMailbox`. */
export interface MailboxOptions {
  readonly rank: number;
  /** Seconds that a rank waits for one message. */
  readonly deadline: number;
}

/** Holds messages until they are asked for. */
export interface Mailbox {
  /** Takes a message in; one that came before is ignored. */
  put(peer: number, tag: string, arrays: readonly RingArray[]): void;
  /** Waits for a message. @throws JetonError `ring-deadline`, or what `fail` was given */
  take(peer: number, tag: string): Promise<readonly RingArray[]>;
  /** Ends all waiting, now and later. */
  fail(error: Error): void;
}

interface Waiting {
  readonly resolve: (arrays: readonly RingArray[]) => void;
  readonly reject: (error: Error) => void;
}

/** A mailbox. A deadline turns a lost message or a lost rank into an error that names both ends. */
export function createMailbox({ rank, deadline }: MailboxOptions): Mailbox {
  const arrived = new Map<string, readonly RingArray[]>();
  const seen = new Set<string>();
  const waiting = new Map<string, Waiting>();
  let failure: Error | undefined;
  return {
    put(peer, tag, arrays) {
      const key = `${peer} ${tag}`;
      if (seen.has(key)) return;
      seen.add(key);
      const waiter = waiting.get(key);
      if (waiter === undefined) arrived.set(key, arrays);
      else waiter.resolve(arrays);
    },
    take(peer, tag) {
      const key = `${peer} ${tag}`;
      const there = arrived.get(key);
      if (there !== undefined) {
        arrived.delete(key);
        return Promise.resolve(there);
      }
      if (failure !== undefined) return Promise.reject(failure);
      return new Promise((resolve, reject) => {
        const settle = (): void => {
          clearTimeout(timer);
          waiting.delete(key);
        };
        const timer = setTimeout(() => {
          settle();
          reject(deadlineError(rank, peer, tag, deadline));
        }, deadline * 1000);
        waiting.set(key, {
          resolve: (arrays) => {
            settle();
            resolve(arrays);
          },
          reject: (error) => {
            settle();
            reject(error);
          },
        });
      });
    },
    fail(error) {
      failure ??= error;
      for (const waiter of [...waiting.values()]) waiter.reject(error);
    },
  };
}

function deadlineError(rank: number, peer: number, tag: string, deadline: number): JetonError {
  const [kind, step] = tag.split(" ");
  return new JetonError(
    `rank ${rank} has no ${kind} of step ${step} from rank ${peer} after ${deadline} seconds`,
    { code: "ring-deadline", details: { rank, peer, kind, step: Number(step), deadline } },
  );
}
