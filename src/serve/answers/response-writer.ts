/**
 * Answers of `/v1/responses`: one response object, or the events that build it.
 */
import type { GeneratedToken, GenerateResult, ScoredToken } from "../../generate/types.ts";
import { createId, type ServeContext } from "../context.ts";
import type { ErrorBody } from "../middleware/errors.ts";
import type { RequestWarning } from "../requests/request-warning.ts";
import { type ResponsesRequest, wantsLogProbabilities } from "../requests/responses-request.ts";
import type { AnswerWriter, ChoiceOutcome } from "./answer-writer.ts";
import type { ServerEvent } from "./event-stream.ts";
import {
  type ReportedToken,
  reportedTokens,
  writeTokenLogProbabilities,
} from "./log-probability.ts";
import type { TokenUsage } from "./usage.ts";

export interface ResponseWriterOptions {
  readonly context: ServeContext;
  readonly request: ResponsesRequest;
  readonly warnings: readonly RequestWarning[];
}

type Status = "in_progress" | "completed" | "incomplete" | "failed";

/** Writes one response with one message of one text part. */
export class ResponseWriter implements AnswerWriter {
  readonly isDoneMarked = false;
  readonly #context: ServeContext;
  readonly #request: ResponsesRequest;
  readonly #warnings: readonly RequestWarning[];
  readonly #withLogProbabilities: boolean;
  readonly #head: object;
  readonly #messageId: string = createId("msg_");
  #sequenceNumber = 0;
  #text = "";
  #logProbabilities: object[] = [];
  #result: GenerateResult | undefined;

  constructor({ context, request, warnings }: ResponseWriterOptions) {
    this.#context = context;
    this.#request = request;
    this.#warnings = warnings;
    this.#withLogProbabilities = wantsLogProbabilities(request);
    this.#head = {
      id: createId("resp_"),
      object: "response",
      created_at: Math.floor(Date.now() / 1000),
    };
  }

  document([outcome]: readonly ChoiceOutcome[], usage: TokenUsage): object {
    const { tokens, result } = outcome!;
    this.#take(reportedTokens(tokens, result), result.text);
    this.#result = result;
    const status = this.#finalStatus();
    return this.#response(status, [this.#message(status)], writeResponseUsage(usage));
  }

  begin(): readonly ServerEvent[] {
    const item = { ...this.#message("in_progress"), content: [] };
    return [
      this.#event("response.created", { response: this.#response("in_progress", [], null) }),
      this.#event("response.in_progress", { response: this.#response("in_progress", [], null) }),
      this.#event("response.output_item.added", { output_index: 0, item }),
      this.#event("response.content_part.added", { ...this.#place(), part: this.#part() }),
    ];
  }

  prompt(_index: number, _scores: readonly ScoredToken[]): readonly ServerEvent[] {
    return [];
  }

  token(_index: number, token: GeneratedToken): readonly ServerEvent[] {
    return this.#delta([token], token.text);
  }

  end(_index: number, result: GenerateResult): readonly ServerEvent[] {
    this.#result = result;
    return this.#delta(reportedTokens([], result), result.tail);
  }

  finish(usage: TokenUsage): readonly ServerEvent[] {
    const status = this.#finalStatus();
    const message = this.#message(status);
    const logprobs = this.#logProbabilities;
    return [
      this.#event("response.output_text.done", { ...this.#place(), text: this.#text, logprobs }),
      this.#event("response.content_part.done", { ...this.#place(), part: this.#part() }),
      this.#event("response.output_item.done", { output_index: 0, item: message }),
      this.#event(`response.${status}`, {
        response: this.#response(status, [message], writeResponseUsage(usage)),
      }),
    ];
  }

  fail(error: ErrorBody): readonly ServerEvent[] {
    const { code, message, param } = error;
    const output = this.#text === "" ? [] : [this.#message("incomplete")];
    return [
      this.#event("response.failed", {
        response: {
          ...this.#response("failed", output, null),
          error: { code: code ?? "server_error", message },
        },
      }),
      // The official client throws where an event holds `error`.
      this.#event("error", { code, message, param, error }),
    ];
  }

  #delta(tokens: readonly ReportedToken[], text: string): readonly ServerEvent[] {
    const logprobs = this.#take(tokens, text);
    if (text === "" && logprobs.length === 0) return [];
    return [this.#event("response.output_text.delta", { ...this.#place(), delta: text, logprobs })];
  }

  /** Adds tokens and their text to the message; returns their log-probabilities. */
  #take(tokens: readonly ReportedToken[], text: string): object[] {
    this.#text += text;
    if (!this.#withLogProbabilities) return [];
    const added = writeTokenLogProbabilities(tokens, this.#context.describeToken);
    this.#logProbabilities.push(...added);
    return added;
  }

  #event(type: string, fields: object): ServerEvent {
    return { event: type, data: { type, sequence_number: this.#sequenceNumber++, ...fields } };
  }

  #place(): object {
    return { item_id: this.#messageId, output_index: 0, content_index: 0 };
  }

  #part(): object {
    const logprobs = this.#logProbabilities;
    return { type: "output_text", text: this.#text, annotations: [], logprobs };
  }

  #message(status: Status): object {
    return {
      id: this.#messageId,
      type: "message",
      status,
      role: "assistant",
      content: [this.#part()],
    };
  }

  #finalStatus(): "completed" | "incomplete" {
    return this.#result?.finishReason === "length" ? "incomplete" : "completed";
  }

  #response(status: Status, output: readonly object[], usage: object | null): object {
    const request = this.#request;
    return {
      ...this.#head,
      status,
      background: false,
      error: null,
      incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
      instructions: request.instructions ?? null,
      max_output_tokens: request.max_output_tokens ?? null,
      metadata: request.metadata ?? {},
      model: this.#context.modelName,
      output,
      parallel_tool_calls: false,
      previous_response_id: null,
      reasoning: { effort: request.reasoning?.effort ?? null, summary: null },
      store: false,
      temperature: request.temperature ?? null,
      text: { format: { type: "text" } },
      tool_choice: request.tool_choice ?? "auto",
      tools: request.tools ?? [],
      top_logprobs: request.top_logprobs ?? 0,
      top_p: request.top_p ?? null,
      truncation: "disabled",
      usage,
      ...(this.#warnings.length > 0 && { warnings: this.#warnings }),
    };
  }
}

/** Usage in the words of this endpoint. */
function writeResponseUsage(usage: TokenUsage): object {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: usage.promptTokens + usage.completionTokens,
    ...usage.drafting,
  };
}
