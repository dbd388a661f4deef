/**
 * Chat templates: a conversation as the text that a chat model was trained on.
 *
 * The templates are Jinja programs that come with the model. They run as in transformers, which
 * renders them with Python's jinja2 in a sandbox.
 */
import { JetonError } from "../core/error.ts";
import type { TextSpan } from "./chat-template/frame.ts";
import { fromJavaScript } from "./chat-template/from-javascript.ts";
import { TemplateFailure } from "./chat-template/python/failure.ts";
import { strip, stripEnd } from "./chat-template/python/strings/text.ts";
import type { Value } from "./chat-template/python/values.ts";
import { CompiledTemplate, type RenderedTemplate } from "./chat-template/template.ts";
import type { Tokenizer } from "./tokenizer-interface.ts";

/** One message. Templates may read further fields (`tool_calls`, `name`, …). */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [field: string]: unknown;
}

/** Options of `renderChat`. */
export interface RenderChatOptions {
  /**
   * Whether the text ends with the beginning of an answer. Default true, false with
   * `continueFinalMessage`, which excludes it.
   */
  addGenerationPrompt?: boolean;
  /**
   * Whether the text ends inside the last message, so that the model goes on with it. Its content is
   * a text, perhaps an empty one, or parts of which the last one with text is continued. Default false.
   */
  continueFinalMessage?: boolean;
  /** JSON schemas of functions that the model may call. Default: none, which templates see as `None`. */
  tools?: readonly unknown[];
  /** Documents for retrieval templates. Default: none, which templates see as `None`. */
  documents?: readonly unknown[];
  /** Name of a template of the model. Default: `tool_use` when tools are given and it exists, or `default`. */
  template?: string;
  /**
   * Further variables for the template, e.g. `enable_thinking`. They take precedence over the special
   * tokens and all other variables. Whole numbers are `int` to the template, others `float`.
   */
  variables?: Readonly<Record<string, unknown>>;
  /** The date that `strftime_now` writes, in local time. Default: now. */
  now?: Date;
}

/** A conversation as text. */
export interface RenderedChat {
  readonly text: string;
  /**
   * What the template marks as written by the assistant (`{% generation %}`), in the order of the text
   * and as `text.slice(start, end)` takes it. Empty when the template marks nothing.
   */
  readonly spans: readonly TextSpan[];
}

/** What a template needs of a tokenizer. */
export type ChatTokenizer = Pick<Tokenizer, "settings" | "idToToken" | "bosTokenId" | "eosTokenId">;

const compiled: WeakMap<ChatTokenizer, Map<string, CompiledTemplate>> = new WeakMap();

/** A tokenizer, or a loaded model, which has one. */
export type ChatTokenizerHolder = ChatTokenizer | { readonly tokenizer: ChatTokenizer };

/**
 * True when the tokenizer came with a chat template.
 *
 * @throws JetonError `chat-tokenizer-invalid` for what is neither a tokenizer nor a model
 */
export function hasChatTemplate(holder: ChatTokenizerHolder): boolean {
  return (tokenizerOf(holder).settings.chatTemplates?.size ?? 0) > 0;
}

function tokenizerOf(holder: ChatTokenizerHolder): ChatTokenizer {
  const { settings, tokenizer } = (holder ?? {}) as Partial<ChatTokenizer> & {
    readonly tokenizer?: Partial<ChatTokenizer>;
  };
  const found = settings ? holder : tokenizer?.settings ? tokenizer : undefined;
  if (found !== undefined) return found as ChatTokenizer;
  throw new JetonError(
    `a chat template belongs to a tokenizer: got ${holder === null ? "null" : typeof holder}, ` +
      "expected what loadTokenizer or loadModel gives",
    { code: "chat-tokenizer-invalid", details: { found: typeof holder } },
  );
}

/**
 * Writes a conversation as the model's template says. The text already holds its special tokens:
 * encode it with `addSpecialTokens: false`.
 *
 * Throws `chat-template-missing` when the model has no (such) template, `chat-template-invalid` when
 * it cannot be parsed, `chat-template-failed` when it refuses the messages (with its own words as
 * `details.message`) or fails, `chat-options-conflict` for options that exclude each other,
 * `chat-variable-invalid` for variables that no template can use, and `chat-tokenizer-invalid` for what is
 * neither a tokenizer nor a model.
 */
export function renderChat(
  tokenizer: ChatTokenizerHolder,
  messages: readonly ChatMessage[],
  options: RenderChatOptions = {},
): string {
  return renderChatWithSpans(tokenizer, messages, options).text;
}

/**
 * Like `renderChat`, and says which parts of the text the assistant wrote, as a mask for training
 * needs it. Only templates with `{% generation %}` blocks say so.
 */
export function renderChatWithSpans(
  holder: ChatTokenizerHolder,
  messages: readonly ChatMessage[],
  options: RenderChatOptions = {},
): RenderedChat {
  const tokenizer = tokenizerOf(holder);
  const template = getTemplate(tokenizer, chooseTemplate(tokenizer, options));
  if (options.continueFinalMessage !== true) {
    return runTemplate(template, makeVariables(tokenizer, messages, options), options);
  }
  if (options.addGenerationPrompt === true) {
    throw new JetonError(
      "a text ends inside the last message or with the beginning of an answer: " +
        "continueFinalMessage and addGenerationPrompt exclude each other",
      { code: "chat-options-conflict", details: { options } },
    );
  }
  const { prefill, marked } = markFinalMessage(messages);
  const rendered = runTemplate(template, makeVariables(tokenizer, marked, options), options);
  return cutAtMark(rendered, prefill);
}

function makeVariables(
  tokenizer: ChatTokenizer,
  messages: readonly ChatMessage[],
  options: RenderChatOptions,
): ReadonlyMap<string, Value> {
  const { settings } = tokenizer;
  const name = (token: string | undefined, id: number | undefined): string | undefined =>
    token ?? (id === undefined ? undefined : tokenizer.idToToken(id));
  const variables = new Map<string, Value>([
    ["messages", fromJavaScript(messages, "messages")],
    ["tools", fromJavaScript(options.tools, "tools")],
    ["documents", fromJavaScript(options.documents, "documents")],
    ["add_generation_prompt", options.addGenerationPrompt ?? options.continueFinalMessage !== true],
  ]);
  const given: Readonly<Record<string, unknown>> = {
    bos_token: name(settings.bosToken, tokenizer.bosTokenId),
    eos_token: name(settings.eosToken, tokenizer.eosTokenId),
    pad_token: settings.padToken,
    unk_token: settings.unkToken,
    ...options.variables,
  };
  for (const [key, value] of Object.entries(given)) {
    if (value !== undefined) variables.set(key, fromJavaScript(value, key));
  }
  return variables;
}

function runTemplate(
  template: CompiledTemplate,
  variables: ReadonlyMap<string, Value>,
  options: RenderChatOptions,
): RenderedTemplate {
  try {
    return template.render(variables, options.now ?? new Date());
  } catch (cause) {
    if (!(cause instanceof TemplateFailure)) throw cause;
    const { message, line } = cause;
    if (cause.kind === "raised") {
      throw new JetonError(`the chat template refuses the messages: ${message}`, {
        code: "chat-template-failed",
        details: { message, line },
        cause,
      });
    }
    throw new JetonError(`the chat template failed in line ${line}: ${message}`, {
      code: "chat-template-failed",
      details: { reason: message, line },
      cause,
    });
  }
}

/**
 * Stands behind the content while it is rendered, and shows where the text has to end. Its own space
 * shows whether the template keeps white space at the end of a message.
 */
const mark = "CONTINUE_FINAL_MESSAGE_MARK ";

function cannotContinue(reason: string, details: Record<string, unknown>): JetonError {
  return new JetonError(`the last message cannot be continued: ${reason}`, {
    code: "chat-template-failed",
    details,
  });
}

/** The messages with a mark behind the text that is to be continued, and that text. */
function markFinalMessage(messages: readonly ChatMessage[]): {
  prefill: string;
  marked: readonly ChatMessage[];
} {
  const last = messages.at(-1);
  if (last === undefined) throw cannotContinue("there is no message", {});
  const { content } = last;
  const withContent = (marked: unknown): readonly ChatMessage[] => [
    ...messages.slice(0, -1),
    { ...last, content: marked },
  ];
  if (typeof content === "string") {
    return { prefill: content, marked: withContent(content + mark) };
  }
  const parts: readonly unknown[] = Array.isArray(content) ? content : [];
  const at = parts.findLastIndex((part) => textOf(part) !== undefined);
  const text = textOf(parts[at]);
  if (text === undefined) throw cannotContinue("its content has no text", { content });
  const marked = parts.map((part, index) =>
    index === at ? { ...(part as object), text: text + mark } : part,
  );
  return { prefill: text, marked: withContent(marked) };
}

/** The text of a content part, undefined when it has none. */
function textOf(part: unknown): string | undefined {
  if (typeof part !== "object" || part === null || !("text" in part)) return undefined;
  return typeof part.text === "string" ? part.text : undefined;
}

/** The text up to the mark; white space before it goes where the template took the mark's own. */
function cutAtMark({ text, spans }: RenderedTemplate, prefill: string): RenderedChat {
  const at = text.lastIndexOf(mark.trim());
  if (at < 0) throw cannotContinue("the template does not write its content", { content: prefill });
  if (!text.includes(strip(prefill))) {
    throw cannotContinue("the template changes its content", { content: prefill });
  }
  const head = text.slice(0, at);
  const cut = text.startsWith(mark, at) ? head : stripEnd(head, null);
  const kept = spans
    .filter(({ start }) => start < cut.length)
    .map(({ start, end }) => ({ start, end: Math.min(end, cut.length) }));
  return { text: cut, spans: kept };
}

function chooseTemplate(tokenizer: ChatTokenizer, options: RenderChatOptions): string {
  const templates = tokenizer.settings.chatTemplates ?? new Map<string, string>();
  const usual = options.tools !== undefined && templates.has("tool_use") ? "tool_use" : "default";
  const name = options.template ?? usual;
  const source = templates.get(name);
  if (source === undefined) {
    const known = [...templates.keys()];
    throw new JetonError(
      known.length === 0
        ? "the model has no chat template: give a text, or a model whose folder has chat_template.jinja"
        : `the model has no chat template ${JSON.stringify(name)}, only ${known.join(", ")}`,
      { code: "chat-template-missing", details: { name, known } },
    );
  }
  return source;
}

/** Templates are compiled once for each tokenizer. */
function getTemplate(tokenizer: ChatTokenizer, source: string): CompiledTemplate {
  const templates = compiled.get(tokenizer) ?? new Map<string, CompiledTemplate>();
  compiled.set(tokenizer, templates);
  let template = templates.get(source);
  if (template === undefined) {
    try {
      template = new CompiledTemplate(source);
    } catch (cause) {
      if (!(cause instanceof TemplateFailure)) throw cause;
      const { message, line } = cause;
      throw new JetonError(`the chat template cannot be parsed, line ${line}: ${message}`, {
        code: "chat-template-invalid",
        details: { reason: message, line },
        cause,
      });
    }
    templates.set(source, template);
  }
  return template;
}
