/**
 * Chat templates: a conversation as the text that a chat model was trained on.
 *
 * The templates are Jinja programs that come with the model; `@huggingface/jinja` runs them.
 */
import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { JetonError } from "../core/error.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** One message. Templates may read further fields (`tool_calls`, `name`, …). */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [field: string]: unknown;
}

export interface RenderChatOptions {
  /** Whether the text ends with the beginning of an answer. Default true. */
  addGenerationPrompt?: boolean;
  /** Whether the text ends inside the last message, so that the model goes on with it. Default false. */
  continueFinalMessage?: boolean;
  /** JSON schemas of functions that the model may call. */
  tools?: readonly unknown[];
  /** Documents for retrieval templates. */
  documents?: readonly unknown[];
  /** Name of a template of the model. Default: `tool_use` when tools are given and it exists, or `default`. */
  template?: string;
  /** Further variables for the template, e.g. `enable_thinking`. */
  variables?: Readonly<Record<string, unknown>>;
  /** The date that `strftime_now` writes. Default: now. */
  now?: Date;
}

/** What a template needs of a tokenizer. */
export type ChatTokenizer = Pick<Tokenizer, "settings" | "idToToken" | "bosTokenId" | "eosTokenId">;

const parsed: WeakMap<ChatTokenizer, Map<string, Template>> = new WeakMap();

/** True when the tokenizer came with a chat template. */
export function hasChatTemplate(tokenizer: ChatTokenizer): boolean {
  return (tokenizer.settings.chatTemplates?.size ?? 0) > 0;
}

/**
 * Writes a conversation as the model's template says. The text already holds its special tokens:
 * encode it with `addSpecialTokens: false`.
 *
 * Throws `chat-template-missing` when the model has no (such) template, `chat-template-invalid` when
 * it cannot be parsed, `chat-template-failed` when it refuses the messages or fails.
 */
export function renderChat(
  tokenizer: ChatTokenizer,
  messages: readonly ChatMessage[],
  options: RenderChatOptions = {},
): string {
  const template = getTemplate(tokenizer, chooseTemplate(tokenizer, options));
  const { settings } = tokenizer;
  const name = (token: string | undefined, id: number | undefined): string | undefined =>
    token ?? (id === undefined ? undefined : tokenizer.idToToken(id));
  const named: Record<string, string | undefined> = {
    bos_token: name(settings.bosToken, tokenizer.bosTokenId),
    eos_token: name(settings.eosToken, tokenizer.eosTokenId),
    pad_token: settings.padToken,
    unk_token: settings.unkToken,
  };
  const variables: Record<string, unknown> = {
    ...constants,
    messages,
    add_generation_prompt:
      options.continueFinalMessage === true ? false : (options.addGenerationPrompt ?? true),
    raise_exception(message: unknown): never {
      throw new JetonError(`the chat template refuses the messages: ${String(message)}`, {
        code: "chat-template-failed",
        details: { message: String(message) },
      });
    },
    strftime_now: (format: unknown): string =>
      formatDate(options.now ?? new Date(), String(format)),
    ...options.variables,
  };
  for (const [key, token] of Object.entries(named)) if (token !== undefined) variables[key] = token;
  if (options.tools !== undefined) variables["tools"] = options.tools;
  if (options.documents !== undefined) variables["documents"] = options.documents;
  let text: string;
  try {
    text = runTemplate(template, variables);
  } catch (cause) {
    if (JetonError.isInstance(cause)) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new JetonError(`the chat template failed: ${reason}`, {
      code: "chat-template-failed",
      details: { reason },
      cause,
    });
  }
  return options.continueFinalMessage === true ? cutAfterFinalMessage(text, messages) : text;
}

/** What every Jinja template may count on. */
const constants: Readonly<Record<string, unknown>> = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range(...bounds: number[]): number[] {
    const [start, end, step] = bounds.length < 2 ? [0, bounds[0] ?? 0, 1] : [...bounds, 1];
    const values: number[] = [];
    for (let value = start!; step! > 0 ? value < end! : value > end!; value += step!) {
      values.push(value);
      if (step === 0 || values.length > 1_000_000) throw new RangeError("range is too long");
    }
    return values;
  },
};

/**
 * Runs a template in an environment of our own: the library's has a date that depends on the locale
 * and cannot be replaced.
 */
function runTemplate(template: Template, variables: Readonly<Record<string, unknown>>): string {
  const environment = new Environment();
  for (const [key, value] of Object.entries(variables)) environment.set(key, value);
  const result: unknown = new Interpreter(environment).run(template.parsed).value;
  return String(result);
}

/** The text up to the end of the last message's content. */
function cutAfterFinalMessage(text: string, messages: readonly ChatMessage[]): string {
  const content = messages.at(-1)?.content;
  const wanted = typeof content === "string" ? content.trim() : "";
  const at = wanted === "" ? -1 : text.lastIndexOf(wanted);
  if (at < 0) {
    throw new JetonError("the last message does not stand in the text, so it cannot be continued", {
      code: "chat-template-failed",
      details: { content },
    });
  }
  return text.slice(0, at + wanted.length);
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
        ? "the model has no chat template"
        : `the model has no chat template ${JSON.stringify(name)}, only ${known.join(", ")}`,
      { code: "chat-template-missing", details: { name, known } },
    );
  }
  return source;
}

function getTemplate(tokenizer: ChatTokenizer, source: string): Template {
  const templates = parsed.get(tokenizer) ?? new Map<string, Template>();
  parsed.set(tokenizer, templates);
  let template = templates.get(source);
  if (template === undefined) {
    try {
      template = new Template(source);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new JetonError(`the chat template cannot be parsed: ${reason}`, {
        code: "chat-template-invalid",
        details: { reason },
        cause,
      });
    }
    templates.set(source, template);
  }
  return template;
}

const months: readonly string[] =
  "January February March April May June July August September October November December".split(
    " ",
  );
const days: readonly string[] = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(
  " ",
);

/** Python's `strftime` for the directives that templates use, in local time. */
function formatDate(date: Date, format: string): string {
  const pad = (value: number, width = 2): string => String(value).padStart(width, "0");
  const day = days[date.getDay()]!;
  const month = months[date.getMonth()]!;
  const hour12 = date.getHours() % 12 === 0 ? 12 : date.getHours() % 12;
  const startOfYear = new Date(date.getFullYear(), 0, 1);
  const dayOfYear =
    Math.round(
      (new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime() -
        startOfYear.getTime()) /
        86_400_000,
    ) + 1;
  const directives: Record<string, string> = {
    d: pad(date.getDate()),
    e: String(date.getDate()).padStart(2, " "),
    m: pad(date.getMonth() + 1),
    b: month.slice(0, 3),
    h: month.slice(0, 3),
    B: month,
    y: pad(date.getFullYear() % 100),
    Y: String(date.getFullYear()),
    H: pad(date.getHours()),
    I: pad(hour12),
    M: pad(date.getMinutes()),
    S: pad(date.getSeconds()),
    p: date.getHours() < 12 ? "AM" : "PM",
    a: day.slice(0, 3),
    A: day,
    j: pad(dayOfYear, 3),
    w: String(date.getDay()),
    F: `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`,
    T: `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`,
    "%": "%",
  };
  return format.replace(/%(-?)([A-Za-z%])/g, (whole, bare: string, letter: string) => {
    const text = Object.hasOwn(directives, letter) ? directives[letter]! : whole;
    return bare === "" ? text : text.replace(/^0+(?=\d)/, "");
  });
}
