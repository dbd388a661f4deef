/**
 * Requests to the hub: the token goes to the hub alone, redirects are followed here, and failures
 * that may be temporary are retried with growing pauses.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { JetonError } from "../../core/index.ts";

export interface HubClientOptions {
  endpoint: string;
  token?: string | undefined;
  signal?: AbortSignal | undefined;
  /** How many tries in a row may fail without a new byte. Default 5. */
  attempts?: number;
  /** Milliseconds before the second try; doubles up to 16 times this. Default 500. */
  retryDelay?: number;
  /** Milliseconds without a byte after which a connection counts as dropped. Default 30,000. */
  stallTimeout?: number;
}

/** A failure that another try may mend. Becomes a `JetonError` when the tries are used up. */
export class TransientFailure extends Error {
  readonly retryAfter: number | undefined;

  constructor(message: string, options: { cause?: unknown; retryAfter?: number | undefined } = {}) {
    super(message, { cause: options.cause });
    this.retryAfter = options.retryAfter;
  }
}

/** An answer whose body has to be read within `use`. */
export interface HubAnswer {
  readonly response: Response;
  /** `x-linked-etag` or `etag` of the hub's own answer, before it sent us to a store. */
  readonly etag: string | undefined;
  /** `x-linked-size` of the hub's own answer. */
  readonly size: number | undefined;
  /** Reads the body; a drop or a stall is reported as a failure that another try may mend. */
  chunks(): AsyncGenerator<Uint8Array>;
}

/** Requests to one hub. */
export interface HubClient {
  readonly endpoint: string;
  /**
   * One request; `use` gets a good answer (2xx, or 416 to a request for a range).
   *
   * @throws JetonError for answers that no other try will mend; the signal's reason.
   */
  request<T>(
    url: string,
    headers: Readonly<Record<string, string>>,
    use: (answer: HubAnswer) => Promise<T>,
    method?: "GET" | "HEAD",
  ): Promise<T>;
  /**
   * Repeats `attempt` while it fails in ways that another try may mend. `position` gives how far
   * things are: tries count from the last one that got further.
   *
   * @throws JetonError `hub-connection-failed` when the tries are used up.
   */
  retry<T>(attempt: () => Promise<T>, position?: () => number): Promise<T>;
  /** `fetch` for the hub's library: whole answers, with retries. */
  readonly fetch: typeof fetch;
}

/** Opens a client of one hub. */
export function createHubClient(options: HubClientOptions): HubClient {
  return new EndpointClient(options);
}

class EndpointClient implements HubClient {
  readonly endpoint: string;
  /** `fetch` for the hub's library, bound to this client. */
  readonly fetch: typeof fetch;
  readonly #options: HubClientOptions;
  readonly #origin: string;

  constructor(options: HubClientOptions) {
    this.endpoint = options.endpoint;
    this.#options = options;
    this.#origin = new URL(options.endpoint).origin;
    this.fetch = (input, init) => this.#fetchWhole(input, init);
  }

  async request<T>(
    url: string,
    headers: Readonly<Record<string, string>>,
    use: (answer: HubAnswer) => Promise<T>,
    method: "GET" | "HEAD" = "GET",
  ): Promise<T> {
    const { signal, stallTimeout = 30_000 } = this.#options;
    signal?.throwIfAborted();
    const controller = new AbortController();
    const forward = (): void => controller.abort(signal?.reason);
    signal?.addEventListener("abort", forward, { once: true });
    const stalled = (): void =>
      controller.abort(new TransientFailure(`nothing came for ${stallTimeout / 1000} s`));
    const timer = setTimeout(stalled, stallTimeout);
    try {
      const answer = await this.#follow(url, { method, headers }, controller.signal);
      const { response } = answer;
      async function* chunks(): AsyncGenerator<Uint8Array> {
        if (!response.body) return;
        for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
          timer.refresh();
          yield chunk;
          timer.refresh();
        }
      }
      return await use({ ...answer, chunks });
    } catch (error) {
      signal?.throwIfAborted();
      throw asTransient(error, controller.signal, url);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", forward);
      // Ends the connection if the body was not read to its end.
      controller.abort();
    }
  }

  /** Follows redirects; the token goes to the hub's own origin only. */
  async #follow(
    start: string,
    { method, headers }: { method: string; headers: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<Pick<HubAnswer, "response" | "etag" | "size">> {
    const { token } = this.#options;
    let url = new URL(start);
    let etag: string | undefined;
    let size: number | undefined;
    for (let hops = 0; hops < 10; hops++) {
      const isHub = url.origin === this.#origin;
      const response = await fetch(url, {
        method,
        headers: {
          ...headers,
          "user-agent": "jeton",
          ...(token && isHub && { authorization: `Bearer ${token}` }),
        },
        redirect: "manual",
        signal,
      });
      if (isHub) {
        // The hub names the content first; a store that it redirects to may use other tags.
        const tag = response.headers.get("x-linked-etag") ?? response.headers.get("etag");
        etag ??= tag?.replace(/^(W\/)?"(.*)"$/, "$2");
        const linked = Number.parseInt(response.headers.get("x-linked-size") ?? "", 10);
        if (Number.isSafeInteger(linked)) size ??= linked;
      }
      const location = response.headers.get("location");
      if (response.status >= 300 && response.status < 400 && location) {
        await response.body?.cancel();
        url = redirectTarget(url, location);
        continue;
      }
      if (response.ok || (response.status === 416 && "range" in headers)) {
        return { response, etag, size };
      }
      throw await refusal(response, start, token !== undefined);
    }
    throw invalidAnswer(start, "it redirects more than 10 times");
  }

  async retry<T>(attempt: () => Promise<T>, position: () => number = () => 0): Promise<T> {
    const { signal, attempts = 5, retryDelay = 500 } = this.#options;
    const { endpoint } = this;
    let failures = 0;
    for (;;) {
      const before = position();
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof TransientFailure)) throw error;
        failures = position() > before ? 1 : failures + 1;
        if (failures >= attempts) {
          throw new JetonError(
            `the hub at ${endpoint} could not be reached, or broke off, ${failures} times: ${error.message}`,
            {
              code: "hub-connection-failed",
              cause: error,
              details: { endpoint, attempts: failures, position: position() },
            },
          );
        }
        // Half of the pause is random, so that many clients do not come back at once.
        const pause = retryDelay * 2 ** Math.min(failures - 1, 4) * (0.5 + Math.random() / 2);
        const milliseconds = Math.max(pause, Math.min((error.retryAfter ?? 0) * 1000, 60_000));
        await sleep(milliseconds, undefined, signal ? { signal } : {}).catch(() => {});
        signal?.throwIfAborted();
      }
    }
  }

  #fetchWhole(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const url = String(input instanceof Request ? input.url : input);
    const headers = Object.fromEntries(new Headers(init?.headers).entries());
    return this.retry(() =>
      this.request(url, headers, async ({ response, chunks }) => {
        const parts: Uint8Array[] = [];
        let length = 0;
        for await (const chunk of chunks()) {
          parts.push(chunk);
          length += chunk.length;
          if (length > 64 * 1024 * 1024) throw invalidAnswer(url, "it is longer than 64 MB");
        }
        return new Response(Buffer.concat(parts), {
          status: response.status,
          headers: response.headers,
        });
      }),
    );
  }
}

/** The target of a redirect: HTTP or HTTPS, never from HTTPS down to HTTP. */
function redirectTarget(url: URL, location: string): URL {
  const next = new URL(location, url);
  const isWeb = /^https?:$/.test(next.protocol);
  if (!isWeb || (url.protocol === "https:" && next.protocol === "http:")) {
    throw invalidAnswer(url.href, `it redirects to ${next.protocol}//`);
  }
  return next;
}

/** The error for an answer that a hub does not give. */
export function invalidAnswer(url: string, problem: string): JetonError {
  return new JetonError(`the hub's answer for ${url} makes no sense: ${problem}`, {
    code: "hub-answer-invalid",
    details: { url, problem },
  });
}

/** True for the error of a hub that could not be reached. */
export function isConnectionFailure(error: unknown): boolean {
  return JetonError.isInstance(error) && error.code === "hub-connection-failed";
}

/** Failures of the connection itself are passed on as such; our own errors as they are. */
function asTransient(error: unknown, requestSignal: AbortSignal, url: string): unknown {
  if (error instanceof TransientFailure || JetonError.isInstance(error)) return error;
  if (requestSignal.reason instanceof TransientFailure) return requestSignal.reason;
  // `fetch` reports every failure of the network as a TypeError with a cause.
  if (error instanceof TypeError) {
    const cause = error.cause as { message?: string; code?: string } | undefined;
    const reason = cause?.code ?? cause?.message ?? error.message;
    return new TransientFailure(`${new URL(url).host}: ${reason}`, { cause: error });
  }
  return error;
}

/** The error for an answer with status 400 or more. */
async function refusal(response: Response, url: string, hasToken: boolean): Promise<Error> {
  const { status } = response;
  const kind = response.headers.get("x-error-code") ?? "";
  const said = response.headers.get("x-error-message") ?? "";
  await response.body?.cancel();
  const details = { url, status, kind, said };
  const name =
    url.match(/\/(?:api\/models\/)?([^/]+\/[^/]+)\/(?:revision|tree|resolve)\//)?.[1] ?? url;
  if (status === 408 || status === 429 || status >= 500) {
    const retryAfter = Number.parseFloat(response.headers.get("retry-after") ?? "");
    return new TransientFailure(`it answered ${status}${said && ` (${said})`}`, {
      retryAfter: Number.isFinite(retryAfter) ? retryAfter : undefined,
    });
  }
  if (kind === "GatedRepo" || status === 403) {
    return new JetonError(
      `${name} is gated: ask for access on its page, then set HF_TOKEN to a token that has it` +
        (said && ` (the hub says: ${said})`),
      { code: "hub-gated", details },
    );
  }
  if (kind === "RevisionNotFound") {
    return new JetonError(`${name} has no such revision: ${url}`, {
      code: "hub-revision-not-found",
      details,
    });
  }
  if (kind === "EntryNotFound") {
    return new JetonError(`${name} has no such file: ${url}`, {
      code: "hub-file-not-found",
      details,
    });
  }
  if (status === 401) {
    // The hub answers 401 for models that do not exist as well, so as not to tell which do.
    return new JetonError(
      `${name} does not exist, or is private; ` +
        (hasToken
          ? "the token that was sent is not accepted for it"
          : "set HF_TOKEN to see private models"),
      { code: "hub-unauthorized", details },
    );
  }
  if (status === 404) {
    return new JetonError(`${name} does not exist on the hub`, {
      code: "hub-model-not-found",
      details,
    });
  }
  return new JetonError(`the hub answered ${status} for ${url}${said && `: ${said}`}`, {
    code: "hub-request-failed",
    details,
  });
}
