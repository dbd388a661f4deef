/**
 * Admission: a bounded number of sequences runs at once, a bounded number waits in order of arrival,
 * and further ones are turned away.
 *
 * A request that generates several sequences takes a place for each of them. They are admitted one
 * by one, so a request that is larger than the number of places still runs, and no place stays empty
 * while a sequence waits.
 */
import { ApiError, shuttingDown } from "./errors.ts";

/** One sequence's right to run. */
export interface Place {
  /**
   * Resolves when the sequence may run. Rejects with the signal's reason when the request is aborted
   * before, and with a 503 when the queue is closed before any of the request's places was granted.
   */
  readonly granted: Promise<void>;
  /** Gives the place back, or leaves the line. Calling it again does nothing. */
  release(): void;
}

export interface AdmissionQueueOptions {
  /** Sequences that may run at once; at least 1. */
  places: number;
  /** Sequences that may wait beyond those; at least 0. */
  maxWaiting: number;
  /** Seconds on any clock that does not go back. Default: the process's own. */
  now?: () => number;
}

interface Ticket {
  readonly party: Party;
  readonly grant: () => void;
  readonly refuse: (reason: unknown) => void;
  state: "waiting" | "running" | "done";
  since: number;
}

/** The places of one request. */
interface Party {
  wasGranted: boolean;
}

/** Hands out places first come, first served. */
export class AdmissionQueue {
  /** Sequences that may run at once. */
  readonly places: number;
  /** Sequences that may wait. */
  readonly maxWaiting: number;
  readonly #line: Set<Ticket> = new Set();
  readonly #now: () => number;
  #runningCount = 0;
  #closed = false;
  /** Moving average of how long a sequence keeps its place. */
  #meanSeconds = 1;

  constructor(options: AdmissionQueueOptions) {
    this.places = options.places;
    this.maxWaiting = options.maxWaiting;
    this.#now = options.now ?? (() => performance.now() / 1000);
  }

  /** Sequences that hold a place. */
  get running(): number {
    return this.#runningCount;
  }

  /** Sequences in line. */
  get waiting(): number {
    return this.#line.size;
  }

  /**
   * Takes `count` places for one request, all or none: granted at once as far as places are free,
   * the rest in line.
   *
   * @throws ApiError 400 where the request could never fit, 429 with `retryAfter` when the line is
   * full, 503 after `close`.
   */
  enter(count: number, signal?: AbortSignal): Place[] {
    if (this.#closed) throw shuttingDown();
    signal?.throwIfAborted();
    const capacity = this.places + this.maxWaiting;
    if (count > capacity) {
      throw new ApiError(
        `The request asks for ${count} sequences; this server holds at most ${capacity}, ` +
          `running and waiting together.`,
        { status: 400, code: "too_many_sequences", param: "n" },
      );
    }
    if (this.#runningCount + this.#line.size + count > capacity) {
      throw new ApiError(
        `The server is busy: ${this.#runningCount} sequences run and ${this.#line.size} wait. ` +
          "Please retry later.",
        { status: 429, code: "queue_full", retryAfter: this.#secondsUntilFree(count) },
      );
    }
    const party: Party = { wasGranted: false };
    return Array.from({ length: count }, () => this.#takePlace(party, signal));
  }

  /**
   * Turns away new requests, and waiting ones of which no sequence runs. Requests that run already
   * get their remaining places in turn.
   */
  close(): void {
    this.#closed = true;
    for (const ticket of [...this.#line]) {
      if (!ticket.party.wasGranted) this.#leave(ticket, shuttingDown());
    }
  }

  #takePlace(party: Party, signal: AbortSignal | undefined): Place {
    const { promise, resolve, reject } = createDeferred();
    const ticket: Ticket = { party, grant: resolve, refuse: reject, state: "waiting", since: 0 };
    const onAbort = (): void => this.#leave(ticket, signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const forget = (): void => signal?.removeEventListener("abort", onAbort);
    promise.then(forget, forget);
    this.#line.add(ticket);
    this.#advance();
    return {
      granted: promise,
      release: () => {
        if (ticket.state === "waiting") this.#leave(ticket, new Error("the place was given back"));
        if (ticket.state === "running") this.#finish(ticket);
      },
    };
  }

  /** Gives free places to the head of the line. */
  #advance(): void {
    for (const ticket of this.#line) {
      if (this.#runningCount >= this.places) return;
      this.#line.delete(ticket);
      ticket.state = "running";
      ticket.since = this.#now();
      ticket.party.wasGranted = true;
      this.#runningCount++;
      ticket.grant();
    }
  }

  #leave(ticket: Ticket, reason: unknown): void {
    if (ticket.state !== "waiting") return;
    ticket.state = "done";
    this.#line.delete(ticket);
    ticket.refuse(reason);
  }

  #finish(ticket: Ticket): void {
    ticket.state = "done";
    this.#runningCount--;
    this.#meanSeconds += 0.2 * (this.#now() - ticket.since - this.#meanSeconds);
    this.#advance();
  }

  /** An estimate of when `count` places of the line will have become free, 1 to 60 seconds. */
  #secondsUntilFree(count: number): number {
    const rounds = (this.#line.size + count - this.maxWaiting) / this.places;
    return Math.min(60, Math.max(1, Math.ceil(rounds * this.#meanSeconds)));
  }
}

function createDeferred(): {
  promise: Promise<void>;
  resolve: () => void;
  reject: (reason: unknown) => void;
} {
  let resolve: () => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // A place may be given back before it is awaited; that is not an unhandled rejection.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
