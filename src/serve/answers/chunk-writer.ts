/**
 * Answers of completions and chat: one document with choices, or a stream of chunks.
 */
import type { GeneratedToken, GenerateResult, ScoredToken } from "../../generate/types.ts";
import { createId, type ServeContext } from "../context.ts";
import type { ErrorBody } from "../middleware/errors.ts";
import type { RequestWarning } from "../requests/request-warning.ts";
import type { SamplingRequest } from "../requests/sampling-fields.ts";
import type { AnswerWriter, ChoiceOutcome, UsageReader } from "./answer-writer.ts";
import type { ServerEvent } from "./event-stream.ts";
import type { SequencePlan } from "./generation-run.ts";
import { type TokenUsage, writeUsage } from "./usage.ts";

/** Writes one choice, whole or delta by delta; it may keep state between deltas. */
export interface ChoiceWriter {
  /** What a stream says before the first token, if anything. */
  start(scores: readonly ScoredToken[] | undefined): object | undefined;
  /** One token in a stream; undefined where it adds nothing to see. */
  delta(token: GeneratedToken): object | undefined;
  /** The end of a choice in a stream. */
  end(result: GenerateResult): object;
  /** The whole choice. */
  whole(outcome: ChoiceOutcome): object;
}

export interface ChunkWriterOptions {
  readonly context: ServeContext;
  readonly plans: readonly SequencePlan[];
  readonly warnings: readonly RequestWarning[];
  readonly streamOptions: SamplingRequest["stream_options"];
  readonly idPrefix: string;
  /** `object` of a whole answer. */
  readonly wholeObject: string;
  /** `object` of a chunk. */
  readonly chunkObject: string;
  writeChoice(plan: SequencePlan): ChoiceWriter;
  /** Further fields of a whole answer. */
  writeWhole?(outcomes: readonly ChoiceOutcome[]): object;
}

/** Writes OpenAI's `choices`. */
export class ChunkWriter implements AnswerWriter {
  readonly isDoneMarked = true;
  readonly #options: ChunkWriterOptions;
  readonly #choices: readonly ChoiceWriter[];
  readonly #head: object;
  readonly #withUsage: boolean;
  readonly #withUsageSoFar: boolean;
  #warnings: readonly RequestWarning[];

  constructor(options: ChunkWriterOptions) {
    const { context, plans, streamOptions } = options;
    this.#options = options;
    this.#choices = plans.map((plan) => options.writeChoice(plan));
    this.#head = {
      id: createId(options.idPrefix),
      created: Math.floor(Date.now() / 1000),
      model: context.modelName,
      system_fingerprint: context.fingerprint,
    };
    this.#withUsageSoFar = streamOptions?.continuous_usage_stats === true;
    this.#withUsage = streamOptions?.include_usage === true || this.#withUsageSoFar;
    this.#warnings = options.warnings;
  }

  document(outcomes: readonly ChoiceOutcome[], usage: TokenUsage): object {
    const { wholeObject, warnings } = this.#options;
    return {
      object: wholeObject,
      ...this.#head,
      choices: outcomes.map((outcome, index) => this.#choices[index]!.whole(outcome)),
      ...this.#options.writeWhole?.(outcomes),
      usage: writeUsage(usage),
      ...(warnings.length > 0 && { warnings }),
    };
  }

  begin(): readonly ServerEvent[] {
    return this.#options.plans.flatMap(({ index, promptAlternatives }) =>
      promptAlternatives === undefined ? this.#start(index, undefined) : [],
    );
  }

  prompt(index: number, scores: readonly ScoredToken[]): readonly ServerEvent[] {
    return this.#start(index, scores);
  }

  token(index: number, token: GeneratedToken, usage: UsageReader): readonly ServerEvent[] {
    const choice = this.#choices[index]!.delta(token);
    return choice === undefined ? [] : [this.#chunk([choice], usage)];
  }

  end(index: number, result: GenerateResult, usage: UsageReader): readonly ServerEvent[] {
    return [this.#chunk([this.#choices[index]!.end(result)], usage)];
  }

  finish(usage: TokenUsage): readonly ServerEvent[] {
    return this.#withUsage ? [this.#chunk([], undefined, writeUsage(usage))] : [];
  }

  fail(error: ErrorBody): readonly ServerEvent[] {
    return [{ data: { error } }];
  }

  #start(index: number, scores: readonly ScoredToken[] | undefined): readonly ServerEvent[] {
    const start = this.#choices[index]!.start(scores);
    return start === undefined ? [] : [this.#chunk([start])];
  }

  #chunk(choices: readonly object[], soFar?: UsageReader, last?: object): ServerEvent {
    const usage = last ?? (this.#withUsageSoFar && soFar ? writeUsage(soFar()) : null);
    const warnings = this.#warnings;
    // A stream tells them once, in its first chunk.
    this.#warnings = [];
    return {
      data: {
        object: this.#options.chunkObject,
        ...this.#head,
        choices,
        ...(this.#withUsage && { usage }),
        ...(warnings.length > 0 && { warnings }),
      },
    };
  }
}
