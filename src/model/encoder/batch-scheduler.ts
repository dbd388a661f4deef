/**
 * Gathers texts into forward passes: what waits when a pass ends is sorted by length, and neighbours run
 * together, filled up to the longest. Texts of different callers share passes.
 */
import { JetonError } from "../../core/index.ts";
import type { EncoderOutput } from "./encoder-graph.ts";
import type { EncoderRequest, EncoderResult } from "./types.ts";

/** Results of one text by name. */
export type TextResults = Partial<Record<EncoderOutput, EncoderResult>>;

interface Waiting {
  readonly request: EncoderRequest;
  readonly key: string;
  readonly resolve: (results: TextResults) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

/** Most tokens of one pass, padding included: more were not faster. */
const maxTokens = 4096;

/** Most scores of one head over a pass: they are the largest intermediate result. */
const maxScores = 1 << 21;

/** How many texts of this length share a pass. */
export function textsOfPass(length: number): number {
  return Math.max(1, Math.floor(Math.min(maxTokens / length, maxScores / (length * length))));
}

/** Runs texts as soon as their turn comes. */
export class BatchScheduler {
  readonly #run: (requests: readonly EncoderRequest[]) => Promise<TextResults[]>;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(run: (requests: readonly EncoderRequest[]) => Promise<TextResults[]>) {
    this.#run = run;
  }

  add(request: EncoderRequest, signal?: AbortSignal): Promise<TextResults> {
    if (this.#closed) return Promise.reject(closedError());
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, key: keyOf(request), resolve, reject, signal });
      this.#running ??= this.#drain();
    });
  }

  /** Rejects what waits, and resolves when the running pass has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closedError());
    await this.#running;
  }

  async #drain(): Promise<void> {
    // All texts of one call are added in one turn, those of other callers until the next.
    await nextTurn();
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      if (batch.length > 0) {
        try {
          const results = await this.#run(batch.map(({ request }) => request));
          for (const [index, { resolve }] of batch.entries()) resolve(results[index]!);
        } catch (error) {
          for (const { reject } of batch) reject(error);
        }
      }
      await nextTurn();
    }
    this.#running = undefined;
  }

  /** The longest texts that wait, so that memory is asked for once; all of them want the same. */
  #takeBatch(): Waiting[] {
    const alive: Waiting[] = [];
    for (const waiting of this.#waiting) {
      if (waiting.signal?.aborted) waiting.reject(waiting.signal.reason);
      else alive.push(waiting);
    }
    alive.sort((a, b) => b.request.ids.length - a.request.ids.length);
    const head = alive[0];
    if (!head) {
      this.#waiting = [];
      return [];
    }
    const limit = textsOfPass(head.request.ids.length);
    const batch = alive.filter(({ key }) => key === head.key).slice(0, limit);
    const taken = new Set(batch);
    this.#waiting = alive.filter((waiting) => !taken.has(waiting));
    return batch;
  }
}

/** Texts with equal keys may share a pass. */
function keyOf({ outputs, poolings }: EncoderRequest): string {
  return JSON.stringify([outputs, outputs.includes("embedding") ? (poolings ?? null) : null]);
}

function closedError(): JetonError {
  return new JetonError("the model was closed", { code: "model-closed" });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
