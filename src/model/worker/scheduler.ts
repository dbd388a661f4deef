/**
 * Batches the steps of concurrent sequences: all steps that wait when a forward pass ends run in
 * the next one, short steps as one batch, long ones (chunks of prompts) alone.
 */
import { JetonError } from "../../core/index.ts";
import type { StepResult } from "../types.ts";
import type { HandleStep } from "./decoder-service.ts";

/** Steps up to this many tokens share a pass. */
const shortStep = 16;

interface Waiting {
  readonly step: HandleStep;
  readonly resolve: (result: StepResult) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

export class StepScheduler {
  readonly #forward: (steps: readonly HandleStep[]) => Promise<StepResult[]>;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(forward: (steps: readonly HandleStep[]) => Promise<StepResult[]>) {
    this.#forward = forward;
  }

  /** Runs a step as soon as its turn comes. A step that has begun is not interrupted. */
  step(step: HandleStep, signal?: AbortSignal): Promise<StepResult> {
    if (this.#closed) return Promise.reject(closedError());
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ step, resolve, reject, signal });
      this.#running ??= this.#run();
    });
  }

  /** Rejects the waiting steps of a sequence that is about to be released. */
  discard(handle: number): void {
    const dropped = this.#waiting.filter(({ step }) => step.handle === handle);
    this.#waiting = this.#waiting.filter(({ step }) => step.handle !== handle);
    for (const { reject } of dropped) {
      reject(new JetonError("the sequence was released", { code: "model-sequence-released" }));
    }
  }

  /** Rejects what waits, and resolves when the running pass has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closedError());
    await this.#running;
  }

  async #run(): Promise<void> {
    // Sequences of the last pass get a chance to ask for their next step before the next begins.
    await nextTurn();
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      if (batch.length > 0) {
        try {
          const results = await this.#forward(batch.map(({ step }) => step));
          for (const [index, { resolve }] of batch.entries()) resolve(results[index]!);
        } catch (error) {
          for (const { reject } of batch) reject(error);
        }
      }
      await nextTurn();
    }
    this.#running = undefined;
  }

  #takeBatch(): Waiting[] {
    const alive: Waiting[] = [];
    for (const waiting of this.#waiting) {
      if (waiting.signal?.aborted) waiting.reject(waiting.signal.reason);
      else alive.push(waiting);
    }
    const head = alive[0];
    const isShort = ({ step }: Waiting): boolean => step.ids.length <= shortStep;
    // Ids and embeddings cannot be read in one pass.
    const fits = (waiting: Waiting): boolean =>
      isShort(waiting) && !waiting.step.embeddings === !head!.step.embeddings;
    const batch = !head ? [] : isShort(head) ? alive.filter(fits) : [head];
    const taken = new Set(batch);
    this.#waiting = alive.filter((waiting) => !taken.has(waiting));
    return batch;
  }
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
