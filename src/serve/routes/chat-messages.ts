/**
 * From the messages of a request to those that a template reads.
 */
import type { ChatMessage } from "../../tokenizer/index.ts";
import { invalidValue, unsupportedParameter } from "../middleware/errors.ts";
import type { ChatRequest, ContentPart } from "../requests/chat-request.ts";
import { adjustedParameter, type RequestWarning } from "../requests/request-warning.ts";

type RequestMessage = ChatRequest["messages"][number];

/**
 * Reads one message: text of its parts, the roles that templates know, calls of tools in their newer form
 * and with decoded arguments.
 *
 * @param path the message's place in the request, for errors and warnings
 * @throws ApiError 400 for a message without content, or with audio
 */
export function readMessage(
  message: RequestMessage,
  path: string,
  warnings: RequestWarning[],
): ChatMessage {
  const { function_call: olderCall, ...fields } = message;
  if (fields["audio"] != null) {
    throw unsupportedParameter(`${path}.audio`, "Messages of audio are not supported, only text.");
  }
  const calls = fields.role === "assistant" ? listCalls(fields["tool_calls"], olderCall) : [];
  const content = readContent(message, path) ?? (calls.length > 0 ? null : "");
  return {
    ...fields,
    role: templateRoles[fields.role] ?? fields.role,
    content,
    ...(calls.length > 0 && {
      tool_calls: calls.map((call) => decodeArguments(call, path, warnings)),
    }),
  };
}

/** Templates know the older name of the developer's role, and the newer one of a function's. */
const templateRoles: Readonly<Record<string, string>> = { developer: "system", function: "tool" };

/** The text of a message; null where an assistant's message has none. */
function readContent(message: RequestMessage, path: string): string | null {
  const { content, role } = message;
  if (Array.isArray(content)) return content.map(readPart).join("");
  if (typeof content === "string") return content;
  if (role !== "assistant") {
    throw invalidValue(
      `${path}.content`,
      `Missing required parameter: '${path}.content': only an assistant's message may be without.`,
      "missing_required_parameter",
    );
  }
  // OpenAI's answers hold a refusal beside content that is null.
  return typeof message["refusal"] === "string" ? message["refusal"] : null;
}

function readPart(part: ContentPart): string {
  return part.type === "refusal" ? part.refusal : part.text;
}

/** All calls of a message; OpenAI's older `function_call` as the newer form writes it. */
function listCalls(calls: unknown, olderCall: unknown): unknown[] {
  const newer: unknown[] = Array.isArray(calls) ? calls : [];
  return olderCall == null ? newer : [...newer, { type: "function", function: olderCall }];
}

/** A tool call with its arguments as an object: OpenAI writes them as JSON text, templates do so again. */
function decodeArguments(call: unknown, path: string, warnings: RequestWarning[]): unknown {
  if (typeof call !== "object" || call === null || !("function" in call)) return call;
  const called = call.function;
  if (typeof called !== "object" || called === null || !("arguments" in called)) return call;
  const text = called.arguments;
  if (typeof text !== "string") return call;
  try {
    const decoded: unknown = text.trim() === "" ? {} : JSON.parse(text);
    return { ...call, function: { ...called, arguments: decoded } };
  } catch {
    const message = "The arguments of a tool call are not JSON; the template reads them as text.";
    warnings.push(adjustedParameter(`${path}.tool_calls`, message));
    return call;
  }
}
