/**
 * From the messages of a request to the prompt that the model's template makes of them.
 */
import { JetonError } from "../../core/index.ts";
import {
  type ChatMessage,
  hasChatTemplate,
  type RenderChatOptions,
  renderChat,
  type Tokenizer,
} from "../../tokenizer/index.ts";
import type { ServeContext } from "../context.ts";
import { ApiError, invalidValue } from "../middleware/errors.ts";
import type { ChatRequest } from "../requests/chat-request.ts";
import {
  adjustedParameter,
  describeName,
  ignoredParameter,
  type RequestWarning,
} from "../requests/request-warning.ts";
import { excludesTools } from "../requests/tool-choice.ts";
import { readMessage } from "./chat-messages.ts";

/** The fields of a chat request that decide its prompt. */
export type PromptFields = Pick<
  ChatRequest,
  | "messages"
  | "tools"
  | "tool_choice"
  | "functions"
  | "function_call"
  | "documents"
  | "reasoning_effort"
  | "chat_template_kwargs"
  | "add_generation_prompt"
  | "continue_final_message"
  | "add_special_tokens"
>;

/** A prompt, and what had no effect on it. */
export interface ChatPrompt {
  readonly ids: Int32Array;
  readonly warnings: readonly RequestWarning[];
}

/**
 * Renders the prompt of a chat request.
 *
 * @param param the request's field that holds the messages, for errors
 * @throws ApiError 400 `chat_template_missing`, `invalid_value`; JetonError `chat-template-failed`
 */
export function renderPrompt(
  context: ServeContext,
  request: PromptFields,
  param: string,
): ChatPrompt {
  const { tokenizer } = context.model;
  if (!hasChatTemplate(tokenizer)) {
    throw new ApiError(
      `The model '${context.modelName}' has no chat template; use /v1/completions instead.`,
      { status: 400, code: "chat_template_missing", param },
    );
  }
  const warnings: RequestWarning[] = [];
  const options = readTemplateOptions(tokenizer, request, warnings);
  const messages = request.messages.map((message, index) =>
    readMessage(message, `${param}[${index}]`, warnings),
  );
  const text = renderMessages(tokenizer, messages, options);
  // The template has written the special tokens already.
  const addSpecialTokens = request.add_special_tokens ?? false;
  const ids = tokenizer.encodeIds(text, { addSpecialTokens, applyLimits: false });
  if (ids.length > 0) return { ids, warnings };
  throw invalidValue(param, "The chat template makes an empty prompt of these messages.");
}

/** Variables that the fields of a request decide; `chat_template_kwargs` must not replace them. */
const ownVariables: ReadonlySet<string> = new Set([
  "messages",
  "tools",
  "documents",
  "add_generation_prompt",
  "continue_final_message",
  "chat_template",
  "tokenize",
]);

function readTemplateOptions(
  tokenizer: Tokenizer,
  request: PromptFields,
  warnings: RequestWarning[],
): RenderChatOptions {
  const uses = (name: string): boolean =>
    [...(tokenizer.settings.chatTemplates?.values() ?? [])].some((source) => source.includes(name));
  const tools = readTools(request);
  if (tools !== undefined && !uses("tools")) {
    warnings.push(ignoredParameter("tools", "the model's chat template does not mention tools"));
  } else if (tools !== undefined) {
    const why = "the model was told of them; calls in its answer stay text";
    warnings.push(adjustedParameter("tools", `'tools' are not called: ${why}.`));
  }
  const { documents, reasoning_effort: effort } = request;
  if (documents != null && documents.length > 0 && !uses("documents")) {
    warnings.push(ignoredParameter("documents", "the model's chat template does not read them"));
  }
  if (effort != null && !uses("reasoning_effort")) {
    const why = "the model's chat template does not read it";
    warnings.push(ignoredParameter("reasoning_effort", why));
  }
  const kwargs = request.chat_template_kwargs ?? {};
  for (const name of Object.keys(kwargs)) {
    const param = `chat_template_kwargs.${describeName(name)}`;
    if (ownVariables.has(name)) {
      throw invalidValue(param, `'${param}' is set by the request's own fields.`);
    }
    if (!uses(name)) {
      warnings.push(ignoredParameter(param, "the model's chat template does not read it"));
    }
  }
  const variables = {
    ...(effort != null && { reasoning_effort: effort }),
    ...kwargs,
  };
  const continues = request.continue_final_message === true;
  return {
    addGenerationPrompt: request.add_generation_prompt ?? !continues,
    continueFinalMessage: continues,
    variables,
    ...(tools !== undefined && { tools }),
    ...(documents != null && { documents }),
  };
}

/** The tools that the template is told of. */
function readTools(request: PromptFields): readonly object[] | undefined {
  const functions = excludesTools(request.function_call) ? [] : (request.functions ?? []);
  const tools = excludesTools(request.tool_choice) ? [] : (request.tools ?? []);
  const all = [...tools, ...functions.map((one) => ({ type: "function", function: one }))];
  return all.length === 0 ? undefined : all;
}

/**
 * Renders messages, some of which may have no content beside their tool calls. They keep `null`, which
 * some templates ask for, unless the template fails on it or would print it.
 */
function renderMessages(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: RenderChatOptions,
): string {
  if (messages.every(({ content }) => content !== null)) {
    return renderChat(tokenizer, messages, options);
  }
  const withContent = (content: string): ChatMessage[] =>
    messages.map((message) => (message.content === null ? { ...message, content } : message));
  let text: string;
  try {
    text = renderChat(tokenizer, messages, options);
  } catch (error) {
    if (!JetonError.isInstance(error) || error.code !== "chat-template-failed") throw error;
    return renderChat(tokenizer, withContent(""), options);
  }
  const mark = "\ue000null\ue000";
  return printsNull(() => renderChat(tokenizer, withContent(mark), options), mark, text)
    ? renderChat(tokenizer, withContent(""), options)
    : text;
}

/** True where the text is what the template makes of a mark, with Python's `None` in the mark's places. */
function printsNull(renderMarked: () => string, mark: string, text: string): boolean {
  try {
    const marked = renderMarked();
    return marked.includes(mark) && marked.replaceAll(mark, "None") === text;
  } catch {
    return false;
  }
}
