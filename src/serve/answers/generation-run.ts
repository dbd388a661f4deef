/**
 * The sequences of one request, run side by side.
 *
 * Events of all sequences come out of one `next`, in the order in which they appear. A sequence is at
 * most one token ahead of what was taken, so a reader that stops reading stops the generation too
 * instead of filling memory.
 */
import type { score as scoreText } from "../../generate/score.ts";
import type {
  Generate,
  GeneratedToken,
  GenerateOptions,
  GenerateResult,
  ScoredToken,
} from "../../generate/types.ts";
import type { LoadedModel } from "../../model/types.ts";
import type { AdmissionQueue, Place } from "../middleware/queue.ts";

/** Scores a text, as `score` of `generate/` does. */
export type Score = typeof scoreText;

/** What is generated for one choice of an answer. */
export interface SequencePlan {
  /** The choice's number in the answer. */
  readonly index: number;
  /** Number of the prompt in the request. */
  readonly promptNumber: number;
  readonly ids: Int32Array;
  readonly options: GenerateOptions;
  /** Alternatives of each prompt token, where the prompt is scored. */
  readonly promptAlternatives?: number | undefined;
}

/** Something that happened to one choice. */
export type RunEvent =
  /** Scores of the prompt's tokens without the first; at most once, before the choice's tokens. */
  | { readonly kind: "prompt"; readonly index: number; readonly scores: readonly ScoredToken[] }
  | { readonly kind: "token"; readonly index: number; readonly token: GeneratedToken }
  | { readonly kind: "end"; readonly index: number; readonly result: GenerateResult };

export interface GenerationRunOptions {
  readonly model: LoadedModel;
  readonly generate: Generate;
  readonly score: Score;
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

/** A running request. Its owner must call `close` in the end, after success and failure. */
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
      // After an abort the signal's reason is the error, not what the sequences threw.
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
  { model, generate, score }: GenerationRunOptions,
  plan: SequencePlan,
  place: Place,
  signal: AbortSignal,
): AsyncGenerator<RunEvent, void, void> {
  await place.granted;
  const { index, ids } = plan;
  let tokens: ReturnType<Generate> | undefined;
  try {
    if (plan.promptAlternatives !== undefined) {
      const scores = await scorePrompt(score, model, ids, plan.promptAlternatives, signal);
      yield { kind: "prompt", index, scores };
    }
    tokens = generate(model, ids, { ...plan.options, signal });
    let step = await tokens.next();
    while (step.done !== true) {
      yield { kind: "token", index, token: step.value };
      step = await tokens.next();
    }
    place.release();
    yield { kind: "end", index, result: step.value };
  } finally {
    // Ends a generation that the reader left; its sequence is free after this.
    await tokens?.return(undefined as never);
    place.release();
  }
}

/** Scores of a prompt's tokens given those before them: all but the first. */
async function scorePrompt(
  score: Score,
  model: LoadedModel,
  ids: Int32Array,
  topLogProbabilities: number,
  signal: AbortSignal,
): Promise<readonly ScoredToken[]> {
  if (ids.length < 2) return [];
  const prefix = ids.subarray(0, 1);
  const { tokens } = await score(model, ids.subarray(1), { prefix, topLogProbabilities, signal });
  return tokens;
}
