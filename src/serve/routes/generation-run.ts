/**
 * The sequences of one request, run side by side.
 *
 * Tokens of all sequences come out of one `next`, in the order in which they appear. A sequence is at
 * most one token ahead of what was taken, so a reader that stops reading stops the generation too
 * instead of filling memory.
 */
import type {
  Generate,
  GeneratedToken,
  GenerateOptions,
  GenerateResult,
} from "../../generate/types.ts";
import type { LoadedModel } from "../../model/types.ts";
import type { AdmissionQueue, Place } from "../middleware/queue.ts";

/** What is generated for one choice of an answer. */
export interface SequencePlan {
  /** The choice's number in the answer. */
  readonly index: number;
  /** Number of the prompt in the request. */
  readonly promptNumber: number;
  readonly ids: Int32Array;
  readonly options: GenerateOptions;
}

/** Something that happened to one choice. */
export type RunEvent =
  | { readonly kind: "token"; readonly index: number; readonly token: GeneratedToken }
  | { readonly kind: "end"; readonly index: number; readonly result: GenerateResult };

export interface GenerationRunOptions {
  readonly model: LoadedModel;
  readonly generate: Generate;
  readonly queue: AdmissionQueue;
  readonly plans: readonly SequencePlan[];
  /** The request's: aborting it ends the run and frees its sequences. */
  readonly signal: AbortSignal;
}

interface Arrival {
  readonly source: AsyncGenerator<RunEvent, void, void>;
  readonly result?: IteratorResult<RunEvent, void>;
  readonly error?: unknown;
}

/** A running request. Whoever makes one calls `close` in the end, whatever happens. */
export class GenerationRun {
  readonly #sources: readonly AsyncGenerator<RunEvent, void, void>[];
  readonly #places: readonly Place[];
  readonly #signal: AbortSignal;
  /** The run's own, aborted with the request's reason or by `close`; the request's stays untouched. */
  readonly #controller: AbortController = new AbortController();
  readonly #arrivals: Arrival[] = [];
  #wake: (() => void) | undefined;
  #living: number;
  #isStarted = false;
  #closing: Promise<void> | undefined;
  readonly #onAbort: () => void;

  /** Takes the places of all sequences. @throws ApiError 400, 429 or 503 as `AdmissionQueue.enter`. */
  constructor(options: GenerationRunOptions) {
    const { plans, signal } = options;
    this.#signal = signal;
    signal.throwIfAborted();
    this.#places = options.queue.enter(plans.length, this.#controller.signal);
    this.#sources = plans.map((plan, i) =>
      runSequence(options, plan, this.#places[i]!, this.#controller.signal),
    );
    this.#living = plans.length;
    this.#onAbort = () => void this.close();
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** The next event of any sequence; undefined after the end of all. One call at a time. */
  async next(): Promise<RunEvent | undefined> {
    this.#start();
    while (this.#living > 0) {
      const arrival = this.#arrivals.shift();
      if (arrival === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      // After an abort its reason is the error, whatever the sequences made of it.
      this.#controller.signal.throwIfAborted();
      if (arrival.result === undefined) throw arrival.error;
      if (arrival.result.done === true) {
        this.#living--;
        continue;
      }
      this.#advance(arrival.source);
      return arrival.result.value;
    }
    this.#controller.signal.throwIfAborted();
    return undefined;
  }

  /**
   * Ends what still runs and waits until all sequences and places are free. Calling it again waits
   * for the same.
   */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#signal.removeEventListener("abort", this.#onAbort);
    if (this.#living > 0) {
      this.#controller.abort(this.#signal.reason ?? new Error("the request was ended"));
    }
    await Promise.allSettled(this.#sources.map((source) => source.return()));
    // A sequence that never started has not given its place back.
    for (const place of this.#places) place.release();
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    for (const source of this.#sources) this.#advance(source);
  }

  #advance(source: AsyncGenerator<RunEvent, void, void>): void {
    const arrive = (arrival: Arrival): void => {
      this.#arrivals.push(arrival);
      this.#wake?.();
      this.#wake = undefined;
    };
    source.next().then(
      (result) => arrive({ source, result }),
      (error: unknown) => arrive({ source, error }),
    );
  }
}

async function* runSequence(
  { model, generate }: GenerationRunOptions,
  plan: SequencePlan,
  place: Place,
  signal: AbortSignal,
): AsyncGenerator<RunEvent, void, void> {
  await place.granted;
  let tokens: ReturnType<Generate> | undefined;
  try {
    tokens = generate(model, plan.ids, { ...plan.options, signal });
    let step = await tokens.next();
    while (step.done !== true) {
      yield { kind: "token", index: plan.index, token: step.value };
      step = await tokens.next();
    }
    place.release();
    yield { kind: "end", index: plan.index, result: step.value };
  } finally {
    // Ends the generation where the reader left in the middle of it; its sequence is free after this.
    await tokens?.return(undefined as never);
    place.release();
  }
}
