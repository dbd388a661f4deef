/**
 * Gathers texts into forward passes: what waits when a pass ends is sorted by length, and neighbours run
 * together, filled up to the longest. Texts of different callers share passes.
 */
import { timeUnit } from "../layers/time-unit.ts";
import { PassQueue } from "../worker/pass-queue.ts";
import type { EncoderOutput } from "./encoder-graph.ts";
import type { EncoderRequest, EncoderResult } from "./types.ts";

/** Results of one text by name. */
export type TextResults = Partial<Record<EncoderOutput, EncoderResult>>;

/** A text that waits, and what it wants as a key. */
interface Text {
  readonly request: EncoderRequest;
  readonly key: string;
}

/**
 * Most tokens of one pass, padding included. Intermediate results of so many stay in the processor's cache: 4096 took
 * a tenth longer.
 */
const maxTokens = 1024;

/** Most scores of one head over a pass: they are the largest intermediate result. */
const maxScores = 1 << 21;

/** How texts are put together. */
export interface BatchSchedulerOptions {
  /**
   * Whether tokens are mixed by convolutions: those of a length sum in an order of its own, so that only texts of one
   * length share a pass, and there are no scores.
   */
  readonly convolves: boolean;
  /** Texts whose lengths have one key may share a pass: their rotations are the same. */
  lengthKey(length: number): number;
}

/** How many texts like this one share a pass. */
function textsOfPass(
  { ids, outputs }: EncoderRequest,
  { convolves }: BatchSchedulerOptions,
): number {
  const { length } = ids;
  const scores = convolves ? Number.POSITIVE_INFINITY : maxScores / (length * length);
  // Every token has as many logits as the vocabulary has tokens.
  const isWide = outputs.includes("lexical") || outputs.includes("sparse");
  const tokens = isWide ? maxTokens / 2 : maxTokens;
  return Math.max(1, Math.floor(Math.min(tokens / length, scores)));
}

/** Runs texts as soon as their turn comes. */
export class BatchScheduler {
  readonly #queue: PassQueue<Text, TextResults>;
  readonly #options: BatchSchedulerOptions;

  constructor(
    run: (requests: readonly EncoderRequest[]) => Promise<TextResults[]>,
    options: BatchSchedulerOptions,
  ) {
    this.#options = options;
    this.#queue = new PassQueue({
      run: (texts) => run(texts.map(({ request }) => request)),
      choose: (waiting) => chooseTexts(waiting, options),
      // The longest first, so that memory is asked for once.
      order: (a, b) => b.request.ids.length - a.request.ids.length,
    });
  }

  /** Runs a text as soon as its turn comes. A text whose pass has begun is not interrupted. */
  add(request: EncoderRequest, signal?: AbortSignal): Promise<TextResults> {
    return this.#queue.add({ request, key: keyOf(request, this.#options) }, signal);
  }

  /** Rejects what waits, and resolves when the running pass has ended. */
  close(): Promise<void> {
    return this.#queue.close();
  }
}

/** The longest texts that wait; all of them want the same. */
function chooseTexts(waiting: readonly Text[], options: BatchSchedulerOptions): number[] {
  const head = waiting[0]!;
  return [...waiting.keys()]
    .filter((at) => waiting[at]!.key === head.key)
    .slice(0, textsOfPass(head.request, options));
}

/** Texts with equal keys may share a pass. */
function keyOf(
  { ids, outputs, poolings }: EncoderRequest,
  { convolves, lengthKey }: BatchSchedulerOptions,
): string {
  const length = convolves ? Math.ceil(ids.length / timeUnit) : lengthKey(ids.length);
  const pooled = outputs.includes("embedding") ? (poolings ?? null) : null;
  return JSON.stringify([outputs, pooled, length]);
}
