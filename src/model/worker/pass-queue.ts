/**
 * What waits for the next forward pass: requests of concurrent callers gather while a pass runs, and the
 * next one takes those that can share it.
 */
import { JetonError, nextTask } from "../../core/index.ts";

interface Waiting<Request, Result> {
  readonly request: Request;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

/** How passes are made. */
export interface PassQueueOptions<Request, Result> {
  /** One pass; its results are in the order of the requests. */
  run(requests: readonly Request[]): Promise<readonly Result[]>;
  /** Places of those that the next pass takes: at least one. `waiting` is not empty. */
  choose(waiting: readonly Request[]): readonly number[];
  /** Order in which requests wait. Default: that of their arrival. */
  order?(a: Request, b: Request): number;
}

/**
 * Milliseconds in which a single caller's passes may follow each other in one task, where passes do not wait for
 * other threads: then messages and other callers come in.
 */
const taskLimit = 8;
/** Promises that a caller may wait for between a pass and its next request. */
const maxHops = 64;

/** Runs requests pass by pass. */
export class PassQueue<Request, Result> {
  readonly #options: PassQueueOptions<Request, Result>;
  #waiting: Waiting<Request, Result>[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: PassQueueOptions<Request, Result>) {
    this.#options = options;
  }

  /** Runs a request as soon as its turn comes. One that has begun is not interrupted. */
  add(request: Request, signal?: AbortSignal): Promise<Result> {
    if (this.#closed) return Promise.reject(closedError());
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject, signal });
      this.#running ??= this.#drain();
    });
  }

  /** Rejects the waiting requests for which `isDropped` is true, each with a reason of its own. */
  drop(isDropped: (request: Request) => boolean, reasonOf: () => unknown): void {
    const dropped = this.#waiting.filter(({ request }) => isDropped(request));
    this.#waiting = this.#waiting.filter(({ request }) => !isDropped(request));
    for (const { reject } of dropped) reject(reasonOf());
  }

  /** Rejects what waits, and resolves when the running pass has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closedError());
    await this.#running;
  }

  async #drain(): Promise<void> {
    // Callers of the last pass get a chance to ask for their next one before it begins.
    await nextTask();
    let lastTask = performance.now();
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      if (batch.length > 0) {
        try {
          const results = await this.#options.run(batch.map(({ request }) => request));
          for (const [index, { resolve }] of batch.entries()) resolve(results[index]!);
        } catch (error) {
          for (const { reject } of batch) reject(error);
        }
      }
      if (batch.length === 1 && performance.now() - lastTask < taskLimit) {
        if (await this.#asksAgain()) continue;
      }
      await nextTask();
      lastTask = performance.now();
    }
    this.#running = undefined;
  }

  /** Whether the one caller of the last pass asks for its next one before its task ends. */
  async #asksAgain(): Promise<boolean> {
    for (let hop = 0; hop < maxHops && this.#waiting.length === 0; hop++) await undefined;
    return this.#waiting.length > 0;
  }

  #takeBatch(): Waiting<Request, Result>[] {
    const alive: Waiting<Request, Result>[] = [];
    for (const waiting of this.#waiting) {
      if (waiting.signal?.aborted) waiting.reject(waiting.signal.reason);
      else alive.push(waiting);
    }
    if (alive.length === 0) {
      this.#waiting = alive;
      return alive;
    }
    const { order, choose } = this.#options;
    // What waited before is in order already, which makes this cheap.
    if (order) alive.sort((a, b) => order(a.request, b.request));
    const batch = choose(alive.map(({ request }) => request)).map((at) => alive[at]!);
    const taken = new Set(batch);
    this.#waiting = alive.filter((waiting) => !taken.has(waiting));
    return batch;
  }
}

function closedError(): JetonError {
  return new JetonError("the model was closed", { code: "model-closed" });
}
