/**
 * Starts and closes the server: listening, following requests, letting running answers finish.
 */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { JetonError } from "../core/index.ts";
import type { DrafterChoice } from "../generate/speculative/drafter-names.ts";
import type { Generate } from "../generate/types.ts";
import type { LoadedEncoder } from "../model/encoder/types.ts";
import type { LoadedModel } from "../model/types.ts";
import { createTokenTexts } from "../tokenizer/token-text.ts";
import { servePolicies } from "./answers/context-policies.ts";
import type { Score } from "./answers/generation-run.ts";
import { createApp } from "./app.ts";
import { checkServerOptions } from "./check-options.ts";
import type { RequestState, ServeContext } from "./context.ts";
import { DrafterPool } from "./drafters.ts";
import { systemFingerprint } from "./fingerprint.ts";
import { shuttingDown } from "./middleware/errors.ts";
import { isLoopback } from "./middleware/guards.ts";
import { createServerMetrics } from "./middleware/metrics.ts";
import { AdmissionQueue } from "./middleware/queue.ts";
import { createServerLens } from "./studio/lens-route.ts";
import { builtPage, type PageFolders } from "./studio/page-files.ts";

/** Options of `startServer`. */
export interface StartServerOptions {
  /** 0 takes any free port. */
  port: number;
  /** Address to bind to. Default `127.0.0.1`, which keeps the server to this machine. */
  host?: string;
  /** Clients must send it as `Authorization: Bearer KEY`, except to `/health`. Default: no key. */
  apiKey?: string;
  /** Sequences that may wait beyond the model's slots before requests get a 429. Default 64. */
  maxQueue?: number;
  /** Longest body of a request. Default 1 MiB. */
  maxBodyBytes?: number;
  /** The model's name as clients write it. Default: the model's own. */
  modelName?: string;
  /** Origins of web pages that may use the server, or `"*"`. Default: none, no CORS headers. */
  corsOrigin?: string | readonly string[];
  /**
   * Host names, besides addresses and `localhost`, that requests may be for. Default: on a loopback
   * address none, so that no web page reaches the server through a name of its own; otherwise any.
   */
  allowedHosts?: readonly string[];
  /** Answers `/v1/embeddings` and, if it is a cross encoder, `/v1/rerank`. The caller closes it. */
  encoder?: LoadedEncoder;
  /** The encoder's name as clients write it. Default: its own. */
  encoderName?: string;
  /** Drafter of requests that do not name one (`drafter`). Default `"none"`. */
  drafter?: DrafterChoice;
  /**
   * Context policies that requests may name in `context_policy`, e.g. `"token-select:k=512"`, as
   * `parseContextPolicy` reads them. Each takes memory of its own once it is used. Default none.
   */
  contextPolicies?: readonly string[];
  /** A smaller model with the same tokenizer for drafters that need one; see `OpenDrafterOptions`. */
  draftModel?: string | LoadedModel;
  /** True: the page of `jeton studio` is at `/`, with a lens on the model; without `apiKey`. Default false. */
  studio?: boolean;
  /** Milliseconds that a client may leave a stream unread before it is cut. Default 60,000. */
  stallMs?: number;
  /** One line for each finished request, and for every error inside the server. */
  onLog?: (line: string) => void;
}

/** Options of closing a server. */
export interface CloseServerOptions {
  /** Milliseconds that running answers may still take. Default 10,000. */
  graceMs?: number;
}

/** A server that accepts requests. */
export interface RunningServer {
  /** Address without a path, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The port, also where 0 was asked for. */
  readonly port: number;
  /**
   * Turns new requests away (503), lets running ones finish for `graceMs`, then ends those too, and
   * stops listening. Requests that still wait for their first place get a 503 at once. A second call
   * waits for the same end, which it can bring closer with a shorter grace. The model stays open: its
   * owner closes it.
   */
  close(options?: CloseServerOptions): Promise<void>;
}

/** How long aborted answers may take to say so before their connections are cut. */
const lastWordMs = 500;

/** The parts of `generate/` that the server calls. */
export interface Generator {
  readonly generate: Generate;
  readonly score: Score;
}

/**
 * Starts the server on a loaded model with the given generator (see `startServer`).
 *
 * @throws JetonError `serve-invalid-option`, `serve-address-unavailable`, `studio-page-missing`, and those of
 *   `openDrafter` where the default drafter cannot be had.
 */
export async function startServerWith(
  { generate, score }: Generator,
  model: LoadedModel,
  options: StartServerOptions,
): Promise<RunningServer> {
  checkServerOptions(options);
  const { maxQueue: maxWaiting = 64, maxBodyBytes = 2 ** 20, stallMs = 60_000 } = options;
  const folders = options.studio ? openPage(options) : undefined;
  const drafters = new DrafterPool(model, {
    defaultDrafter: options.drafter ?? "none",
    ...(options.draftModel !== undefined && { draftModel: options.draftModel }),
  });
  // What cannot be opened must stop the start, not every request.
  await drafters.openDefault();
  const contextPolicies = await servePolicies(model, options.contextPolicies);
  const queue = new AdmissionQueue({ places: model.slots, maxWaiting });
  const context: ServeContext = {
    model,
    encoder: options.encoder && {
      encoder: options.encoder,
      name: options.encoderName ?? options.encoder.name,
    },
    modelName: options.modelName ?? model.name,
    fingerprint: systemFingerprint(model),
    generate,
    score,
    drafters,
    contextPolicies,
    queue,
    metrics: createServerMetrics({
      running: () => queue.running,
      queued: () => queue.waiting,
      openSequences: () => model.openSequences,
    }),
    describeToken: createTokenTexts(model.tokenizer),
    created: Math.floor(Date.now() / 1000),
    stallMs,
    maxBodyBytes,
    log: options.onLog ?? (() => {}),
    isClosing: false,
  };

  const active = new ActiveRequests();
  const { apiKey, corsOrigin, host = "127.0.0.1" } = options;
  const app = createApp(context, {
    apiKey,
    corsOrigin,
    allowedHosts: options.allowedHosts ?? (isLoopback(host) ? [] : undefined),
    studio: folders && { folders, lens: createServerLens(context, await drafters.available()) },
    track: (state) => active.add(state),
  });
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  const port = await listen(server, options.port, host).catch(async (error: unknown) => {
    await drafters.close();
    throw error;
  });

  let closed: Promise<void> | undefined;
  return {
    url: `http://${writeHost(host)}:${port}`,
    port,
    close({ graceMs = 10_000 } = {}) {
      context.isClosing = true;
      queue.close();
      const deadline = setTimeout(() => active.abort(shuttingDown()), graceMs);
      const cut = setTimeout(() => server.closeAllConnections(), graceMs + lastWordMs);
      closed ??= active
        .whenNone()
        .then(() => stopListening(server))
        .finally(() => drafters.close());
      return closed.finally(() => {
        clearTimeout(deadline);
        clearTimeout(cut);
      });
    },
  };
}

/** The page's folders. A browser sends no key for a page. */
function openPage({ apiKey }: StartServerOptions): PageFolders {
  if (apiKey === undefined) return builtPage();
  throw new JetonError("studio and apiKey exclude each other: a browser sends no key for a page", {
    code: "serve-invalid-option",
    details: { name: "apiKey", expected: "none, where studio is true" },
  });
}

/** The requests that have arrived and are not through. */
class ActiveRequests {
  readonly #states: Set<RequestState> = new Set();
  #waiting: (() => void)[] = [];

  add(state: RequestState): { done: () => void } {
    this.#states.add(state);
    return {
      done: () => {
        this.#states.delete(state);
        if (this.#states.size > 0) return;
        for (const resolve of this.#waiting) resolve();
        this.#waiting = [];
      },
    };
  }

  whenNone(): Promise<void> {
    if (this.#states.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  abort(reason: Error): void {
    for (const state of this.#states) state.abort(reason);
  }
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const why =
        cause.code === "EADDRINUSE"
          ? "the port is taken; port 0 chooses a free one"
          : cause.message;
      reject(
        new JetonError(`cannot listen on ${host}:${port}: ${why}`, {
          code: "serve-address-unavailable",
          details: { host, port, reason: cause.code },
          cause,
        }),
      );
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

function stopListening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    server.closeAllConnections();
  });
}

/** An address as a URL on this machine writes it. */
function writeHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}
