/**
 * What completions and chat have in common: sampling options, the context limit, running the
 * sequences, and the answer as one document or as a stream. The two formats differ only in their
 * `AnswerFormat`.
 */
import { randomInt } from "node:crypto";
import type { DraftStatistics } from "../../generate/speculative/statistics.ts";
import type { GeneratedToken, GenerateOptions, GenerateResult } from "../../generate/types.ts";
import {
  createId,
  logFailure,
  type RequestState,
  type ServeContext,
  type ServeRequest,
} from "../context.ts";
import { ApiError, toApiError } from "../middleware/errors.ts";
import { GenerationRun, type RunEvent, type SequencePlan } from "./generation-run.ts";
import type { ChatRequest, CompletionRequest } from "./schemas.ts";
import { createEventStream } from "./stream.ts";

/** Writes one choice of an answer, whole or piece by piece; it may keep state between pieces. */
export interface ChoiceWriter {
  /** What a stream says before the first token, if anything. */
  start(): object | undefined;
  /** One token in a stream; undefined where it adds nothing to see. */
  piece(token: GeneratedToken): object | undefined;
  /** The last word of a stream. */
  end(result: GenerateResult): object;
  whole(tokens: readonly GeneratedToken[], result: GenerateResult): object;
}

/** How an endpoint writes its answers. */
export interface AnswerFormat {
  readonly idPrefix: string;
  readonly wholeObject: string;
  readonly chunkObject: string;
  writeChoice(plan: SequencePlan): ChoiceWriter;
}

type SharedParameters = Pick<
  CompletionRequest & ChatRequest,
  | "n"
  | "temperature"
  | "top_p"
  | "top_k"
  | "min_p"
  | "repetition_penalty"
  | "seed"
  | "stop"
  | "stream"
  | "stream_options"
  | "drafter"
>;

export interface PlanOptions {
  /** Tokens to generate for each choice; undefined: all that the context leaves. */
  readonly maxTokens: number | undefined;
  /** What to generate at most where the client does not say. */
  readonly defaultMaxTokens: number;
  /** The parameter that set `maxTokens`, for errors. */
  readonly maxTokensParameter: string;
  readonly promptParameter: string;
  readonly topLogProbabilities: number;
}

/**
 * Lays out the choices of a request: `n` for each prompt. Choice k of a prompt draws as sequence k
 * of the request's seed, so a prompt gets the same text in company as alone.
 *
 * @throws ApiError 400 `context_length_exceeded`.
 */
export function planSequences(
  context: ServeContext,
  prompts: readonly Int32Array[],
  request: SharedParameters,
  options: PlanOptions,
): SequencePlan[] {
  const seed = request.seed ?? randomInt(2 ** 31);
  const choices = request.n ?? 1;
  return prompts.flatMap((ids, promptNumber) => {
    const maxTokens = limitTokens(context.model.contextLength, ids.length, options);
    return Array.from({ length: choices }, (_, sequence) => ({
      index: promptNumber * choices + sequence,
      promptNumber,
      ids,
      options: {
        ...readSampling(request),
        seed,
        sequence,
        maxTokens,
        topLogProbabilities: options.topLogProbabilities,
      },
    }));
  });
}

function limitTokens(contextLength: number, promptTokens: number, options: PlanOptions): number {
  const left = contextLength - promptTokens;
  const wanted = options.maxTokens ?? Math.max(1, Math.min(left, options.defaultMaxTokens));
  if (wanted <= left) return wanted;
  throw new ApiError(
    `This model's maximum context length is ${contextLength} tokens. However, you requested ` +
      `${promptTokens + wanted} tokens (${promptTokens} in the prompt, ${wanted} to generate). ` +
      "Please shorten one of them.",
    {
      status: 400,
      code: "context_length_exceeded",
      param: left < 1 ? options.promptParameter : options.maxTokensParameter,
    },
  );
}

function readSampling(request: SharedParameters): GenerateOptions {
  const { temperature, top_p: topP, top_k: topK, min_p: minP, stop } = request;
  const repetitionPenalty = request.repetition_penalty;
  return {
    ...(temperature != null && { temperature }),
    // OpenAI accepts a nucleus of nothing: the most probable token remains.
    ...(topP != null && (topP === 0 ? { greedy: true } : { topP })),
    ...(topK != null && { topK: Math.max(0, topK) }),
    ...(minP != null && { minP }),
    ...(repetitionPenalty != null && { repetitionPenalty }),
    ...(stop != null && { stop: typeof stop === "string" ? [stop] : stop }),
  };
}

/** Runs the plans and answers, as a stream where the request asks for one. */
export async function answerGeneration(
  context: ServeContext,
  request: ServeRequest,
  parameters: SharedParameters,
  plans: readonly SequencePlan[],
  format: AnswerFormat,
): Promise<Response> {
  const drafter = await context.drafters.find(parameters.drafter);
  const drafted = drafter
    ? plans.map((plan) => ({ ...plan, options: { ...plan.options, drafter } }))
    : plans;
  const answer = new Answer(context, request.get("request"), drafted, format);
  try {
    // Whatever goes wrong up to the first token still becomes a proper status.
    const first = await answer.take();
    if (parameters.stream !== true) return request.json(await answer.collect(first));
    const withUsage = parameters.stream_options?.include_usage === true;
    const { outgoing } = request.env;
    const cut = (): void => void outgoing.destroy();
    return request.body(answer.stream(first, { withUsage, cut }), 200, {
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
  readonly #format: AnswerFormat;
  readonly #run: GenerationRun;
  readonly #writers: readonly ChoiceWriter[];
  readonly #results: Map<number, GenerateResult> = new Map();
  readonly #head: {
    readonly id: string;
    readonly created: number;
    readonly model: string;
    readonly system_fingerprint: string;
  };
  #hasBegun = false;

  constructor(
    context: ServeContext,
    state: RequestState,
    plans: readonly SequencePlan[],
    format: AnswerFormat,
  ) {
    const { model, generate, queue } = context;
    this.#context = context;
    this.#state = state;
    this.#plans = plans;
    this.#format = format;
    this.#run = new GenerationRun({ model, generate, queue, plans, signal: state.signal });
    this.#writers = plans.map((plan) => format.writeChoice(plan));
    this.#head = {
      id: createId(format.idPrefix),
      created: Math.floor(Date.now() / 1000),
      model: context.modelName,
      system_fingerprint: context.fingerprint,
    };
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
    } else {
      this.#results.set(event.index, event.result);
      metrics.promptTokens.add(event.result.promptTokens);
      metrics.cachedPromptTokens.add(event.result.reusedTokens);
    }
    return event;
  }

  /** The answer as one document. */
  async collect(first: RunEvent | undefined): Promise<object> {
    const tokens = this.#plans.map((): GeneratedToken[] => []);
    for (let event = first; event !== undefined; event = await this.take()) {
      if (event.kind === "token") tokens[event.index]!.push(event.token);
    }
    await this.close();
    return {
      id: this.#head.id,
      object: this.#format.wholeObject,
      created: this.#head.created,
      model: this.#head.model,
      system_fingerprint: this.#head.system_fingerprint,
      choices: this.#plans.map(({ index }) =>
        this.#writers[index]!.whole(tokens[index]!, this.#results.get(index)!),
      ),
      usage: this.#usage(),
    };
  }

  /** The answer as a stream of chunks, the usage last where it is wanted; `cut` ends a stalled one. */
  stream(
    first: RunEvent | undefined,
    { withUsage, cut }: { withUsage: boolean; cut: () => void },
  ): ReadableStream<Uint8Array> {
    const chunk = (choices: readonly object[], usage: object | null): object => ({
      id: this.#head.id,
      object: this.#format.chunkObject,
      created: this.#head.created,
      model: this.#head.model,
      system_fingerprint: this.#head.system_fingerprint,
      choices,
      ...(withUsage && { usage }),
    });
    let held: readonly object[] | undefined = this.#plans.flatMap(({ index }) => {
      const start = this.#writers[index]!.start();
      return start === undefined ? [] : [chunk([start], null)];
    });
    let event: RunEvent | undefined = first;
    let isUsageDue = withUsage;
    return createEventStream({
      next: async () => {
        const before = held ?? [];
        if (held === undefined) event = await this.take();
        held = undefined;
        if (event === undefined) {
          if (!isUsageDue) return undefined;
          isUsageDue = false;
          return [...before, chunk([], this.#usage())];
        }
        const writer = this.#writers[event.index]!;
        const choice =
          event.kind === "token" ? writer.piece(event.token) : writer.end(event.result);
        return choice === undefined ? before : [...before, chunk([choice], null)];
      },
      close: () => this.close(),
      describeError: (error) => {
        logFailure(this.#context, this.#state, error);
        return toApiError(error).body;
      },
      stallMs: this.#context.stallMs,
      onStall: () => {
        this.#context.log(
          `${this.#state.id} is cut: nothing was read for ${this.#context.stallMs / 1000} s`,
        );
        cut();
      },
    });
  }

  /** Tokens of the request; a prompt counts once however many choices it has. */
  #usage(): object {
    let promptTokens = 0;
    let cachedTokens = 0;
    let completionTokens = 0;
    const counted = new Set<number>();
    for (const plan of this.#plans) {
      const result = this.#results.get(plan.index);
      completionTokens += result?.ids.length ?? 0;
      if (counted.has(plan.promptNumber)) continue;
      counted.add(plan.promptNumber);
      promptTokens += plan.ids.length;
      cachedTokens += result?.reusedTokens ?? 0;
    }
    return {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
      prompt_tokens_details: { cached_tokens: cachedTokens },
      ...describeDrafting(this.#plans.map(({ index }) => this.#results.get(index)?.drafting)),
    };
  }
}

/** What guessing ahead brought to all sequences of a request: OpenAI's fields, and ours. */
function describeDrafting(each: readonly (DraftStatistics | undefined)[]): object {
  const counted = each.filter((drafting) => drafting !== undefined);
  if (counted.length === 0) return {};
  const sum = (value: (drafting: DraftStatistics) => number): number =>
    counted.reduce((total, drafting) => total + value(drafting), 0);
  const forwardPasses = sum((drafting) => drafting.forwardPasses);
  const drafted = sum((drafting) => drafting.drafted);
  const accepted = sum((drafting) => drafting.accepted);
  const byDrafter = new Map<string, { forwardPasses: number; drafted: number; accepted: number }>();
  const byDepth: { tried: number; accepted: number }[] = [];
  for (const drafting of counted) {
    for (const share of drafting.byDrafter) {
      const known = byDrafter.get(share.drafter) ?? { forwardPasses: 0, drafted: 0, accepted: 0 };
      known.forwardPasses += share.forwardPasses;
      known.drafted += share.drafted;
      known.accepted += share.accepted;
      byDrafter.set(share.drafter, known);
    }
    for (const [index, entry] of drafting.byDepth.entries()) {
      const known = byDepth[index] ?? { tried: 0, accepted: 0 };
      byDepth[index] = {
        tried: known.tried + entry.tried,
        accepted: known.accepted + entry.accepted,
      };
    }
  }
  return {
    completion_tokens_details: {
      accepted_prediction_tokens: accepted,
      rejected_prediction_tokens: drafted - accepted,
    },
    drafting: {
      drafter: counted[0]!.drafter,
      forwardPasses,
      drafted_tokens: drafted,
      accepted_tokens: accepted,
      mean_acceptance_length:
        forwardPasses === 0 ? 0 : sum((drafting) => drafting.tokens) / forwardPasses,
      by_drafter: Object.fromEntries(
        [...byDrafter].map(([name, share]) => [
          name,
          {
            forwards: share.forwardPasses,
            drafted_tokens: share.drafted,
            accepted_tokens: share.accepted,
          },
        ]),
      ),
      acceptance_by_depth: byDepth.map(({ tried, accepted: came }) => came / tried),
      seconds: {
        draft: sum((drafting) => drafting.draftSeconds),
        forward: sum((drafting) => drafting.forwardSeconds),
        verify: sum((drafting) => drafting.verifySeconds),
      },
    },
  };
}
