/**
 * The answer to one request, as one document or as a stream of events.
 */
import type { DrafterChoice } from "../../generate/speculative/drafter-names.ts";
import type { GeneratedToken, GenerateResult, ScoredToken } from "../../generate/types.ts";
import { logFailure, type RequestState, type ServeContext, type ServeRequest } from "../context.ts";
import { toApiError } from "../middleware/errors.ts";
import type { AnswerWriter } from "./answer-writer.ts";
import { createEventStream, type ServerEvent } from "./event-stream.ts";
import { GenerationRun, type RunEvent, type SequencePlan } from "./generation-run.ts";
import { type TokenUsage, UsageCounter } from "./usage.ts";

/** How a request wants its answer. */
export interface AnswerOptions {
  readonly stream: boolean;
  readonly drafter: DrafterChoice | null | undefined;
}

/** Runs the plans and answers, as a stream where the request asks for one. */
export async function answerGeneration(
  context: ServeContext,
  request: ServeRequest,
  plans: readonly SequencePlan[],
  writer: AnswerWriter,
  options: AnswerOptions,
): Promise<Response> {
  const isDrafted = !plans.some(
    ({ bytes, options: { contextPolicy } }) => bytes || contextPolicy?.drafting.kind === "excluded",
  );
  const drafter = isDrafted ? await context.drafters.find(options.drafter) : undefined;
  const drafted = drafter
    ? plans.map((plan) => ({ ...plan, options: { ...plan.options, drafter } }))
    : plans;
  const answer = new Answer(context, request.get("request"), drafted, writer);
  try {
    // A failure before the first token still becomes a proper status.
    const first = await answer.take();
    if (!options.stream) return request.json(await answer.collect(first));
    const { outgoing } = request.env;
    const cut = (): void => void outgoing.destroy();
    return request.body(answer.stream(first, cut), 200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
    });
  } catch (error) {
    await answer.close();
    throw error;
  }
}

/** The answer to one request while its sequences run. */
class Answer {
  readonly #context: ServeContext;
  readonly #state: RequestState;
  readonly #plans: readonly SequencePlan[];
  readonly #writer: AnswerWriter;
  readonly #run: GenerationRun;
  readonly #usage: UsageCounter;
  readonly #results: Map<number, GenerateResult> = new Map();
  #hasBegun = false;

  constructor(
    context: ServeContext,
    state: RequestState,
    plans: readonly SequencePlan[],
    writer: AnswerWriter,
  ) {
    const { model, generate, score, queue } = context;
    this.#context = context;
    this.#state = state;
    this.#plans = plans;
    this.#writer = writer;
    this.#usage = new UsageCounter(plans);
    this.#run = new GenerationRun({ model, generate, score, queue, plans, signal: state.signal });
  }

  close(): Promise<void> {
    return this.#run.close();
  }

  /** Takes the next event and counts it. */
  async take(): Promise<RunEvent | undefined> {
    const event = await this.#run.next();
    if (event === undefined) return undefined;
    const { metrics } = this.#context;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      metrics.timeToFirstToken.observe(performance.now() / 1000 - this.#state.arrived);
    }
    if (event.kind === "token") {
      metrics.generatedTokens.add();
      this.#usage.countToken(event.index);
    } else if (event.kind === "end") {
      this.#results.set(event.index, event.result);
      this.#usage.countResult(event.index, event.result);
      metrics.promptTokens.add(event.result.promptTokens);
      metrics.cachedPromptTokens.add(event.result.reusedTokens);
    }
    return event;
  }

  /** The answer as one document. */
  async collect(first: RunEvent | undefined): Promise<object> {
    const tokens = this.#plans.map((): GeneratedToken[] => []);
    const scores = new Map<number, readonly ScoredToken[]>();
    for (let event = first; event !== undefined; event = await this.take()) {
      if (event.kind === "token") tokens[event.index]!.push(event.token);
      if (event.kind === "prompt") scores.set(event.index, event.scores);
    }
    await this.close();
    const outcomes = this.#plans.map(({ index }) => ({
      scores: scores.get(index),
      tokens: tokens[index]!,
      result: this.#results.get(index)!,
    }));
    return this.#writer.document(outcomes, this.#usage.current());
  }

  /** The answer as a stream of events; `cut` ends the connection of a stalled client. */
  stream(first: RunEvent | undefined, cut: () => void): ReadableStream<Uint8Array> {
    const { log, stallMs } = this.#context;
    let isFirst = true;
    let isFinished = false;
    return createEventStream({
      next: async () => {
        if (isFinished) return undefined;
        const before = isFirst ? this.#writer.begin() : [];
        const event = isFirst ? first : await this.take();
        isFirst = false;
        isFinished = event === undefined;
        return [...before, ...this.#write(event)];
      },
      close: () => this.close(),
      describeFailure: (error) => {
        logFailure(this.#context, this.#state, error);
        return this.#writer.fail(toApiError(error).body);
      },
      isDoneMarked: this.#writer.isDoneMarked,
      stallMs,
      onStall: () => {
        log(`${this.#state.id} is cut: nothing was read for ${stallMs / 1000} s`);
        cut();
      },
    });
  }

  #write(event: RunEvent | undefined): readonly ServerEvent[] {
    const writer = this.#writer;
    const usage = (): TokenUsage => this.#usage.current();
    if (event === undefined) return writer.finish(usage());
    if (event.kind === "prompt") return writer.prompt(event.index, event.scores);
    if (event.kind === "token") return writer.token(event.index, event.token, usage);
    return writer.end(event.index, event.result, usage);
  }
}
