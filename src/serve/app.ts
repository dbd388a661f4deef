/**
 * The routes of the server and what every request passes through.
 */
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { suggest } from "../core/index.ts";
import type { LensHost } from "../lens/index.ts";
import {
  createId,
  logFailure,
  type RequestState,
  type ServeContext,
  type ServeEnvironment,
  type ServeRequest,
} from "./context.ts";
import { ApiError, shuttingDown, toApiError } from "./middleware/errors.ts";
import { createHostCheck, createKeyCheck } from "./middleware/guards.ts";
import { metricsContentType } from "./middleware/metrics.ts";
import { answerChat } from "./routes/chat-route.ts";
import { answerCompletion } from "./routes/completion-route.ts";
import { answerEmbeddings, answerRerank } from "./routes/encoder-routes.ts";
import { answerResponses } from "./routes/responses-route.ts";
import { answerDetokenize, answerTokenize } from "./routes/tokenize-route.ts";
import { answerLens } from "./studio/lens-route.ts";
import { answerPageFile, type PageFolders } from "./studio/page-files.ts";

export interface AppOptions {
  readonly apiKey: string | undefined;
  readonly corsOrigin: string | readonly string[] | undefined;
  /** Host names that requests may be for; undefined: any. */
  readonly allowedHosts: readonly string[] | undefined;
  /** The page of `jeton studio`: its files, and the lens on the model. */
  readonly studio: { readonly folders: PageFolders; readonly lens: LensHost } | undefined;
  /** Called with every request; `done` is to be called when its connection has ended. */
  readonly track: (state: RequestState) => { done: () => void };
}

type Handler = (context: ServeContext, request: ServeRequest) => Response | Promise<Response>;

const routes: readonly (readonly [method: "GET" | "POST", path: string, handler: Handler])[] = [
  ["GET", "/health", answerHealth],
  ["GET", "/metrics", answerMetrics],
  ["GET", "/v1/models", answerModels],
  // A hub name has a slash in it, which some clients escape and some do not.
  ["GET", "/v1/models/:id{.+}", answerModel],
  ["POST", "/v1/completions", answerCompletion],
  ["POST", "/v1/chat/completions", answerChat],
  ["POST", "/v1/responses", answerResponses],
  ["POST", "/v1/embeddings", answerEmbeddings],
  ["POST", "/v1/rerank", answerRerank],
  ["POST", "/rerank", answerRerank],
  ["POST", "/tokenize", answerTokenize],
  ["POST", "/detokenize", answerDetokenize],
];
const labels: ReadonlySet<string> = new Set([...routes.map(([, path]) => path), "/studio/lens"]);

/** A status that no answer has: the client left before one. */
const clientGoneStatus = 499;

/** Makes the application that answers one server's requests. */
export function createApp(context: ServeContext, options: AppOptions): Hono<ServeEnvironment> {
  const app = new Hono<ServeEnvironment>();
  const checkKey = options.apiKey === undefined ? undefined : createKeyCheck(options.apiKey);
  const checkHost =
    options.allowedHosts === undefined ? undefined : createHostCheck(options.allowedHosts);

  app.use(async (request, next) => {
    follow(context, request, options);
    await next();
  });
  app.use(async (request, next) => {
    checkHost?.(request.req.header("host"));
    if (context.isClosing) request.header("connection", "close");
    await next();
  });
  const { corsOrigin } = options;
  if (corsOrigin !== undefined) {
    const origin = typeof corsOrigin === "string" ? corsOrigin : [...corsOrigin];
    app.use(cors({ origin, exposeHeaders: ["x-request-id", "retry-after"], maxAge: 600 }));
  }
  app.use(async (request, next) => {
    const { path } = request.req;
    if (path !== "/health") checkKey?.(request.req.header("authorization"));
    if (context.isClosing && path !== "/health" && path !== "/metrics") throw shuttingDown();
    await next();
  });
  const { studio } = options;
  const served: typeof routes = studio
    ? [
        ...routes,
        ["POST", "/studio/lens", (_, request) => answerLens(context, studio.lens, request)],
      ]
    : routes;
  for (const [method, path, handler] of served) {
    app.on(method, path, (request) => handler(context, request));
    app.all(path, (request) => {
      request.header("allow", method);
      throw new ApiError(`${request.req.method} is not allowed here, only ${method}.`, {
        status: 405,
        code: "method_not_allowed",
      });
    });
  }
  app.notFound(async (request) => {
    const { method, path } = request.req;
    if (studio && (method === "GET" || method === "HEAD")) {
      const file = await answerPageFile(studio.folders, request);
      if (file) return file;
    }
    const hint = describeNearPath(
      path,
      served.map(([, known]) => known),
    );
    throw new ApiError(`There is nothing at ${method} ${path.slice(0, 200)}; ${hint}`, {
      status: 404,
      code: "not_found",
    });
  });
  app.onError((error, request) => answerError(context, error, request));
  return app;
}

/** The endpoint that was probably meant, e.g. where a client's base URL lacks `/v1`; otherwise all of them. */
function describeNearPath(path: string, paths: readonly string[]): string {
  const bare = path.slice(0, 200).replace(/\/+$/, "");
  const near = [bare, `/v1${bare}`].find((known) => paths.includes(known)) ?? suggest(bare, paths);
  return near === undefined ? `there are ${paths.join(", ")}.` : `did you mean ${near}?`;
}

/** Gives the request its identity, and counts it when its connection has ended. */
function follow(context: ServeContext, request: ServeRequest, options: AppOptions): void {
  const given = request.req.header("x-request-id");
  const id = given !== undefined && /^[\w.-]{1,128}$/.test(given) ? given : createId("req_");
  const arrived = performance.now() / 1000;
  const controller = new AbortController();
  const state: RequestState = {
    id,
    arrived,
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
  };
  request.set("request", state);
  request.header("x-request-id", id);
  const { done } = options.track(state);
  const { outgoing } = request.env;
  const { method, path } = request.req;
  outgoing.once("close", () => {
    const wasCut = !outgoing.writableFinished;
    if (wasCut) state.abort(new Error("the client went away"));
    const { metrics } = context;
    const route = labelOf(path);
    const seconds = performance.now() / 1000 - arrived;
    const status = wasCut && !outgoing.headersSent ? clientGoneStatus : outgoing.statusCode;
    metrics.requests.add(1, { route, status: String(status) });
    metrics.duration.observe(seconds, { route });
    if (wasCut) metrics.aborted.add();
    context.log(
      `${method} ${route} ${status}${wasCut ? " aborted" : ""} ${Math.round(seconds * 1000)} ms ${id}`,
    );
    done();
  });
}

/** Routes that exist, and one name for all others: clients must not make up labels. */
function labelOf(path: string): string {
  if (labels.has(path)) return path;
  return path.startsWith("/v1/models/") ? "/v1/models/{id}" : "other";
}

function answerError(context: ServeContext, error: unknown, request: ServeRequest): Response {
  const known = toApiError(error);
  logFailure(context, request.get("request"), error);
  if (known.retryAfter !== undefined) request.header("retry-after", String(known.retryAfter));
  if (known.status === 401) request.header("www-authenticate", "Bearer");
  return request.json({ error: known.body }, known.status as ContentfulStatusCode);
}

function answerHealth(context: ServeContext, request: ServeRequest): Response {
  const body = {
    status: context.isClosing ? "shutting down" : "ok",
    model: context.modelName,
    open_sequences: context.model.openSequences,
    running: context.queue.running,
    queued: context.queue.waiting,
  };
  return request.json(body, context.isClosing ? 503 : 200);
}

function answerMetrics(context: ServeContext, request: ServeRequest): Response {
  return request.body(context.metrics.registry.render(), 200, {
    "content-type": metricsContentType,
  });
}

function describeModel(context: ServeContext): object {
  return {
    id: context.modelName,
    object: "model",
    created: context.created,
    owned_by: "jeton",
    context_length: context.model.contextLength,
    format: context.model.format,
  };
}

/** The model that gives vectors, where there is one. */
function describeEncoder({ encoder, created }: ServeContext): object[] {
  if (encoder === undefined) return [];
  const { contextLength, format, embeddingSize } = encoder.encoder;
  return [
    {
      ...{ id: encoder.name, object: "model", created, owned_by: "jeton" },
      ...{ context_length: contextLength, format, embedding_length: embeddingSize },
    },
  ];
}

function answerModels(context: ServeContext, request: ServeRequest): Response {
  return request.json({
    object: "list",
    data: [describeModel(context), ...describeEncoder(context)],
  });
}

function answerModel(context: ServeContext, request: ServeRequest): Response {
  const id = request.req.param("id") ?? "";
  if (id === context.modelName) return request.json(describeModel(context));
  if (id === context.encoder?.name) return request.json(describeEncoder(context)[0]!);
  throw new ApiError(`The model '${id.slice(0, 200)}' does not exist here.`, {
    status: 404,
    code: "model_not_found",
    param: "model",
  });
}
