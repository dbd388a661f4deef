/** A model behind an OpenAI-compatible endpoint. */
import { setTimeout as wait } from "node:timers/promises";
import { JetonError } from "../../core/index.ts";
import type { EvaluatedModel } from "./evaluated-model.ts";

/** Options of `evaluateEndpoint`. */
export interface EvaluateEndpointOptions {
  /** Address up to and including the version, e.g. `"http://localhost:8080/v1"`. */
  readonly url: string;
  /** The model's name there. */
  readonly model: string;
  /** Sent as a bearer token. Default: none. */
  readonly apiKey?: string | undefined;
  /** `chat`: the prompt is one message of a user (default); `completions`: it is continued as it is. */
  readonly api?: "chat" | "completions";
  /** Longest sequence in tokens, where it is known; longer prompts are skipped. Needs `countTokens`. */
  readonly contextLength?: number | undefined;
  /** Counts tokens of a prompt. Default: none, and only the endpoint says what is too long. */
  readonly countTokens?: ((prompt: string) => number) | undefined;
  /** Requests at the same time. Default 4. */
  readonly concurrency?: number;
  /** Tokens that an answer may take, e.g. for models that think first. Default: the answer's characters. */
  readonly maxTokens?: number | undefined;
  /** Seconds until a request counts as failed. Default 300. */
  readonly timeout?: number;
  /** Attempts for one question. Default 5. */
  readonly attempts?: number;
  /** Milliseconds before the second attempt; doubled after each. Default 1,000. */
  readonly retryDelay?: number;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
}

/**
 * A model behind an OpenAI-compatible endpoint, asked with temperature 0. Requests that are refused for a while (status
 * 408, 409, 429 and from 500) or fail on the way are tried again.
 *
 * @throws JetonError `endpoint-url-invalid`; `answer` throws `endpoint-context-exceeded` for a prompt that is too long for
 *   the model, `endpoint-refused`, `endpoint-unreachable`, `endpoint-answer-invalid`
 */
export function evaluateEndpoint(options: EvaluateEndpointOptions): EvaluatedModel {
  const { url, model, api = "chat", concurrency = 4, contextLength, countTokens } = options;
  const path = api === "chat" ? "chat/completions" : "completions";
  const address = endpointAddress(url, path);
  return {
    name: model,
    contextLength,
    countTokens,
    concurrency,
    async answer(prompt, { maxCharacters, signal }) {
      const body = {
        model,
        temperature: 0,
        max_tokens: options.maxTokens ?? maxCharacters,
        ...(api === "chat" ? { messages: [{ role: "user", content: prompt }] } : { prompt }),
      };
      const answer = await requestRepeatedly(address, body, options, signal);
      const text = textOf(answer);
      if (text !== undefined) return text;
      throw new JetonError(`${address.href} answers without a text`, {
        code: "endpoint-answer-invalid",
        details: { found: answer, expected: "choices[0].message.content or choices[0].text" },
      });
    },
  };
}

function endpointAddress(url: string, path: string): URL {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base === undefined || !/^https?:$/.test(base.protocol)) {
    throw new JetonError(`the endpoint ${JSON.stringify(url)} is no http or https address`, {
      code: "endpoint-url-invalid",
      details: { found: url, expected: "an address such as http://localhost:8080/v1" },
    });
  }
  return new URL(`${base.href.replace(/\/*$/, "/")}${path}`);
}

/** The text of a chat message or of a completion; a message without content is an empty answer. */
function textOf(answer: unknown): string | undefined {
  const choice = (answer as { choices?: unknown[] } | null)?.choices?.[0] as
    | { text?: unknown; message?: { content?: unknown } }
    | undefined;
  const text = choice?.message === undefined ? choice?.text : (choice.message.content ?? "");
  return typeof text === "string" ? text : undefined;
}

/** A failure after which the request is sent again. */
class PassingFailure extends Error {
  readonly seconds: number;

  constructor(message: string, seconds: number, cause?: unknown) {
    super(message, { cause });
    this.seconds = seconds;
  }
}

async function requestRepeatedly(
  address: URL,
  body: object,
  options: EvaluateEndpointOptions,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const { attempts = 5, retryDelay = 1000 } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      return await requestOnce(address, body, options, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof PassingFailure)) throw error;
      if (attempt >= attempts) {
        throw new JetonError(`${address.href}: ${error.message} (${attempts} attempts)`, {
          code: "endpoint-unreachable",
          details: { url: address.href, attempts },
          cause: error.cause ?? error,
        });
      }
      const milliseconds = Math.max(retryDelay * 2 ** (attempt - 1), error.seconds * 1000);
      await wait(milliseconds, undefined, signal && { signal });
    }
  }
}

async function requestOnce(
  address: URL,
  body: object,
  { apiKey, timeout = 300, fetch: send = fetch }: EvaluateEndpointOptions,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const limit = AbortSignal.timeout(timeout * 1000);
  let status: number;
  let text: string;
  let retryAfter = 0;
  try {
    const response = await send(address, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify(body),
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    });
    status = response.status;
    retryAfter = Math.min(60, Number(response.headers.get("retry-after")) || 0);
    text = await response.text();
  } catch (cause) {
    const why = limit.aborted
      ? `no answer within ${timeout} seconds`
      : cause instanceof Error
        ? cause.message
        : String(cause);
    throw new PassingFailure(why, 0, cause);
  }
  if (status >= 200 && status < 300) return parseAnswer(address, text);
  if ([408, 409, 429].includes(status) || status >= 500) {
    throw new PassingFailure(`status ${status}: ${text.slice(0, 200)}`, retryAfter);
  }
  const isTooLong = /context_length|context length|maximum context|too long|too many tokens/i;
  const message = `${address.href} refuses with status ${status}: ${text.slice(0, 500)}`;
  const details = { url: address.href, status };
  if (isTooLong.test(text)) {
    throw new JetonError(message, { code: "endpoint-context-exceeded", details });
  }
  throw new JetonError(message, { code: "endpoint-refused", details });
}

function parseAnswer(address: URL, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new JetonError(`${address.href} answers with something that is not JSON`, {
      code: "endpoint-answer-invalid",
      details: { found: text.slice(0, 200), expected: "JSON" },
      cause,
    });
  }
}
