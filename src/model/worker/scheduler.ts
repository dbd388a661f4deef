/**
 * Batches the steps of concurrent sequences: all steps that wait when a forward pass ends run in
 * the next one, short steps as one batch, long ones (chunks of prompts) alone.
 */
import type { StepResult } from "../types.ts";
import type { HandleStep } from "./decoder-service.ts";
import { PassQueue } from "./pass-queue.ts";
import { sequenceReleased } from "./release-handle.ts";

/** Steps up to this many tokens share a pass. */
const shortStep = 16;

export class StepScheduler {
  readonly #queue: PassQueue<HandleStep, StepResult>;

  constructor(forward: (steps: readonly HandleStep[]) => Promise<StepResult[]>) {
    this.#queue = new PassQueue({ run: forward, choose: chooseSteps });
  }

  /** Runs a step as soon as its turn comes. A step that has begun is not interrupted. */
  step(step: HandleStep, signal?: AbortSignal): Promise<StepResult> {
    return this.#queue.add(step, signal);
  }

  /** Rejects the waiting steps of a sequence that is about to be released. */
  discard(handle: number): void {
    this.#queue.drop((step) => step.handle === handle, sequenceReleased);
  }

  /** Rejects what waits, and resolves when the running pass has ended. */
  close(): Promise<void> {
    return this.#queue.close();
  }
}

/** The first step, with those that can share its pass. */
function chooseSteps(waiting: readonly HandleStep[]): number[] {
  const isShort = (step: HandleStep): boolean => step.ids.length <= shortStep;
  const head = waiting[0]!;
  if (!isShort(head)) return [0];
  // Ids and embeddings cannot be read in one pass.
  return [...waiting.keys()].filter(
    (at) => isShort(waiting[at]!) && !waiting[at]!.embeddings === !head.embeddings,
  );
}
