/**
 * `POST /v1/completions`: text or ids go on.
 */
import type { GeneratedToken } from "../../generate/types.ts";
import { checkModelName, readJson, type ServeContext, type ServeRequest } from "../context.ts";
import { invalidValue } from "../middleware/errors.ts";
import {
  type AnswerFormat,
  answerGeneration,
  type ChoiceWriter,
  planSequences,
} from "./generation-route.ts";
import type { SequencePlan } from "./generation-run.ts";
import { writeLogProbability } from "./log-probability.ts";
import { type CompletionRequest, readCompletionRequest } from "./schemas.ts";

/** OpenAI's default for this endpoint. */
const defaultMaxTokens = 16;

/** Answers one completion request. */
export async function answerCompletion(
  context: ServeContext,
  request: ServeRequest,
): Promise<Response> {
  const body = readCompletionRequest(await readJson(context, request));
  checkModelName(context, body.model);
  const prompts = listPrompts(body.prompt).map((prompt) => readPrompt(context, prompt));
  const plans = planSequences(
    context,
    prompts.map((prompt) => prompt.ids),
    body,
    {
      maxTokens: body.max_tokens ?? undefined,
      defaultMaxTokens,
      maxTokensParameter: "max_tokens",
      promptParameter: "prompt",
      topLogProbabilities: body.logprobs ?? 0,
    },
  );
  const format: AnswerFormat = {
    idPrefix: "cmpl-",
    wholeObject: "text_completion",
    chunkObject: "text_completion",
    writeChoice: (plan) => {
      const echo = body.echo === true ? prompts[plan.promptNumber]!.text() : "";
      return new CompletionChoice(context, plan, echo, typeof body.logprobs === "number");
    },
  };
  return answerGeneration(context, request, body, plans, format);
}

interface ReadPrompt {
  readonly ids: Int32Array;
  /** The prompt as text, for `echo`. */
  readonly text: () => string;
}

function listPrompts(prompt: CompletionRequest["prompt"]): (string | number[])[] {
  if (typeof prompt === "string") return [prompt];
  if (typeof prompt[0] === "number") return [prompt as number[]];
  return prompt as (string | number[])[];
}

function readPrompt({ model }: ServeContext, prompt: string | readonly number[]): ReadPrompt {
  const { tokenizer } = model;
  if (typeof prompt !== "string") {
    const wrong = prompt.find((id) => id >= tokenizer.vocabSize);
    if (wrong !== undefined) {
      throw invalidValue(
        "prompt",
        `Invalid token id in 'prompt': ${wrong}; the vocabulary has ${tokenizer.vocabSize} tokens.`,
      );
    }
    return { ids: Int32Array.from(prompt), text: () => tokenizer.decode(prompt) };
  }
  const ids = encodePrompt(model, prompt);
  if (ids.length === 0) {
    throw invalidValue(
      "prompt",
      "'prompt' is empty, and the model has no beginning-of-sequence token.",
    );
  }
  return { ids, text: () => prompt };
}

/** Special tokens around the text as the tokenizer sets them; the empty text is the first of them. */
function encodePrompt(model: ServeContext["model"], text: string): Int32Array {
  const { bosTokenId } = model;
  if (text === "" && bosTokenId !== undefined) return Int32Array.of(bosTokenId);
  return model.tokenizer.encodeIds(text, { applyLimits: false });
}

/** OpenAI's older form of log-probabilities: four lists, one entry for each token. */
interface CompletionLogProbabilities {
  tokens: string[];
  token_logprobs: number[];
  top_logprobs: Record<string, number>[] | null;
  text_offset: number[];
}

class CompletionChoice implements ChoiceWriter {
  readonly #context: ServeContext;
  readonly #plan: SequencePlan;
  readonly #echo: string;
  readonly #withLogProbabilities: boolean;
  /** Where the next token begins in the text of the choice. */
  #offset: number;

  constructor(
    context: ServeContext,
    plan: SequencePlan,
    echo: string,
    withLogProbabilities: boolean,
  ) {
    this.#context = context;
    this.#plan = plan;
    this.#echo = echo;
    this.#withLogProbabilities = withLogProbabilities;
    this.#offset = echo.length;
  }

  start(): object | undefined {
    return this.#echo === "" ? undefined : this.#write(this.#echo, null, null);
  }

  piece(token: GeneratedToken): object | undefined {
    if (token.text === "" && !this.#withLogProbabilities) return undefined;
    return this.#write(token.text, this.#logProbabilities([token]), null);
  }

  end(result: { tail: string; finishReason: string }): object {
    return this.#write(result.tail, null, result.finishReason);
  }

  whole(tokens: readonly GeneratedToken[], result: { text: string; finishReason: string }): object {
    return this.#write(
      this.#echo + result.text,
      this.#logProbabilities(tokens),
      result.finishReason,
    );
  }

  #write(text: string, logprobs: object | null, finishReason: string | null): object {
    return { index: this.#plan.index, text, logprobs, finish_reason: finishReason };
  }

  #logProbabilities(tokens: readonly GeneratedToken[]): object | null {
    if (!this.#withLogProbabilities) return null;
    const { describeToken } = this.#context;
    const isTopWanted = (this.#plan.options.topLogProbabilities ?? 0) > 0;
    const lists: CompletionLogProbabilities = {
      tokens: [],
      token_logprobs: [],
      top_logprobs: isTopWanted ? [] : null,
      text_offset: [],
    };
    for (const token of tokens) {
      const { name, text } = describeToken(token.id);
      lists.tokens.push(name);
      lists.token_logprobs.push(writeLogProbability(token.logProbability));
      lists.text_offset.push(this.#offset);
      this.#offset += text.length;
      if (lists.top_logprobs === null) continue;
      const top: Record<string, number> = Object.create(null);
      for (const { id, logProbability } of token.topLogProbabilities ?? []) {
        top[describeToken(id).name] = writeLogProbability(logProbability);
      }
      // The chosen token is always among them, so there may be one more than asked for.
      top[name] ??= writeLogProbability(token.logProbability);
      lists.top_logprobs.push(top);
    }
    return lists;
  }
}
