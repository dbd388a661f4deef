/**
 * `POST /v1/chat/completions`: a conversation goes on, written as the model's own template says.
 */
import type { GeneratedToken } from "../../generate/types.ts";
import { type ChatMessage, hasChatTemplate, renderChat } from "../../tokenizer/index.ts";
import { checkModelName, readJson, type ServeContext, type ServeRequest } from "../context.ts";
import { ApiError } from "../middleware/errors.ts";
import {
  type AnswerFormat,
  answerGeneration,
  type ChoiceWriter,
  planSequences,
} from "./generation-route.ts";
import type { SequencePlan } from "./generation-run.ts";
import { writeLogProbability } from "./log-probability.ts";
import { type ChatRequest, readChatRequest } from "./schemas.ts";

/** Answers one chat request. */
export async function answerChat(context: ServeContext, request: ServeRequest): Promise<Response> {
  const body = readChatRequest(await readJson(context, request));
  checkModelName(context, body.model);
  const { tokenizer, contextLength } = context.model;
  if (!hasChatTemplate(tokenizer)) {
    throw new ApiError(
      `The model '${context.modelName}' has no chat template; use /v1/completions instead.`,
      { status: 400, code: "chat_template_missing", param: "messages" },
    );
  }
  const text = renderChat(tokenizer, body.messages.map(readMessage), {
    ...(body.chat_template_kwargs != null && { variables: body.chat_template_kwargs }),
  });
  // The template has written the special tokens already.
  const ids = tokenizer.encodeIds(text, { addSpecialTokens: false, applyLimits: false });
  if (ids.length === 0) {
    throw new ApiError("The chat template makes an empty prompt of these messages.", {
      status: 400,
      code: "invalid_value",
      param: "messages",
    });
  }
  const plans = planSequences(context, [ids], body, {
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    defaultMaxTokens: contextLength,
    maxTokensParameter: body.max_completion_tokens == null ? "max_tokens" : "max_completion_tokens",
    promptParameter: "messages",
    topLogProbabilities: body.top_logprobs ?? 0,
  });
  const format: AnswerFormat = {
    idPrefix: "chatcmpl-",
    wholeObject: "chat.completion",
    chunkObject: "chat.completion.chunk",
    writeChoice: (plan) => new ChatChoice(context, plan, body.logprobs === true),
  };
  return answerGeneration(context, request, body, plans, format);
}

/** Templates want plain text, and know the older name of the developer's role. */
function readMessage(message: ChatRequest["messages"][number]): ChatMessage {
  const { content, role } = message;
  return {
    ...message,
    role: role === "developer" ? "system" : role,
    content: Array.isArray(content) ? content.map((part) => part.text).join("") : (content ?? ""),
  };
}

class ChatChoice implements ChoiceWriter {
  readonly #context: ServeContext;
  readonly #plan: SequencePlan;
  readonly #withLogProbabilities: boolean;

  constructor(context: ServeContext, plan: SequencePlan, withLogProbabilities: boolean) {
    this.#context = context;
    this.#plan = plan;
    this.#withLogProbabilities = withLogProbabilities;
  }

  start(): object {
    return this.#chunk({ role: "assistant", content: "" }, null, null);
  }

  piece(token: GeneratedToken): object | undefined {
    if (token.text === "" && !this.#withLogProbabilities) return undefined;
    return this.#chunk({ content: token.text }, this.#logProbabilities([token]), null);
  }

  end(result: { tail: string; finishReason: string }): object {
    const delta = result.tail === "" ? {} : { content: result.tail };
    return this.#chunk(delta, null, result.finishReason);
  }

  whole(tokens: readonly GeneratedToken[], result: { text: string; finishReason: string }): object {
    return {
      index: this.#plan.index,
      message: { role: "assistant", content: result.text, refusal: null },
      logprobs: this.#logProbabilities(tokens),
      finish_reason: result.finishReason,
    };
  }

  #chunk(delta: object, logprobs: object | null, finishReason: string | null): object {
    return { index: this.#plan.index, delta, logprobs, finish_reason: finishReason };
  }

  #logProbabilities(tokens: readonly GeneratedToken[]): object | null {
    if (!this.#withLogProbabilities) return null;
    return {
      content: tokens.map((token) => ({
        ...this.#describe(token.id, token.logProbability),
        top_logprobs: (token.topLogProbabilities ?? []).map(({ id, logProbability }) =>
          this.#describe(id, logProbability),
        ),
      })),
      refusal: null,
    };
  }

  #describe(id: number, logProbability: number): object {
    const { text, bytes } = this.#context.describeToken(id);
    return { token: text, logprob: writeLogProbability(logProbability), bytes };
  }
}
