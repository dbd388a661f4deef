/**
 * `POST /v1/responses`: OpenAI's newer form of chat, without its stored conversations.
 */
import { answerGeneration } from "../answers/answer.ts";
import { planSequences } from "../answers/plan-sequences.ts";
import { ResponseWriter } from "../answers/response-writer.ts";
import { checkModelName, logWarnings, type ServeContext, type ServeRequest } from "../context.ts";
import type { ChatRequest } from "../requests/chat-request.ts";
import { readJson } from "../requests/json-body.ts";
import {
  type ResponseItem,
  type ResponsePart,
  type ResponsesRequest,
  readResponsesRequest,
} from "../requests/responses-request.ts";
import { renderPrompt } from "./chat-prompt.ts";

/** Answers one request for a response. */
export async function answerResponses(
  context: ServeContext,
  request: ServeRequest,
): Promise<Response> {
  const { body, warnings } = readResponsesRequest(await readJson(context, request));
  checkModelName(context, body.model);
  const prompt = renderPrompt(
    context,
    {
      messages: readMessages(body),
      tools: body.tools?.map(({ type, ...called }) => ({ type, function: called })),
      tool_choice: body.tool_choice,
      reasoning_effort: body.reasoning?.effort,
      chat_template_kwargs: body.chat_template_kwargs,
    },
    "input",
  );
  const planned = planSequences(context, [prompt.ids], body, {
    maxTokens: body.max_output_tokens,
    defaultMaxTokens: Infinity,
    maxTokensParameter: "max_output_tokens",
    promptParameter: "input",
    topLogProbabilities: body.top_logprobs ?? 0,
  });
  const allWarnings = [...warnings, ...prompt.warnings, ...planned.warnings];
  logWarnings(context, request, allWarnings);
  const writer = new ResponseWriter({ context, request: body, warnings: allWarnings });
  const options = { stream: body.stream === true, drafter: body.drafter };
  return answerGeneration(context, request, planned.plans, writer, options);
}

type Message = ChatRequest["messages"][number];

/** The conversation as chat messages. */
function readMessages({ input, instructions }: ResponsesRequest): Message[] {
  const messages: Message[] = [];
  if (instructions != null) messages.push({ role: "system", content: instructions });
  if (typeof input === "string") return [...messages, { role: "user", content: input }];
  for (const item of input) {
    const message = readItem(item);
    const last = messages.at(-1);
    // Calls of one turn are items of their own; a chat message holds them all.
    if (message?.tool_calls !== undefined && last?.role === "assistant") {
      const before = (last["tool_calls"] ?? []) as unknown[];
      last["tool_calls"] = [...before, ...(message["tool_calls"] as unknown[])];
    } else if (message !== undefined) messages.push(message);
  }
  return messages;
}

/** One item as a message; undefined for reasoning, which templates do not take back. */
function readItem(item: ResponseItem): Message | undefined {
  if (item.type === "reasoning") return undefined;
  if (item.type === "function_call") {
    const { call_id: id, name, arguments: text } = item;
    const call = { id, type: "function", function: { name, arguments: text } };
    return { role: "assistant", content: null, tool_calls: [call] };
  }
  if (item.type === "function_call_output") {
    return { role: "tool", tool_call_id: item.call_id, content: readContent(item.output) };
  }
  return { role: item.role, content: readContent(item.content) };
}

function readContent(content: string | readonly ResponsePart[]): string {
  if (typeof content === "string") return content;
  return content.map((part) => (part.type === "refusal" ? part.refusal : part.text)).join("");
}
