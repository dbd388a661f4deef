/**
 * What the routes of one server share.
 */

import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { Generate } from "../generate/types.ts";
import type { LoadedModel } from "../model/types.ts";
import type { DrafterPool } from "./drafters.ts";
import { ApiError, toApiError } from "./middleware/errors.ts";
import type { ServerMetrics } from "./middleware/metrics.ts";
import type { AdmissionQueue } from "./middleware/queue.ts";
import type { DescribeToken } from "./routes/token-text.ts";

/** One server's state. */
export interface ServeContext {
  /** Longest body of a request. */
  readonly maxBodyBytes: number;
  readonly model: LoadedModel;
  /** The model's name as clients write it. */
  readonly modelName: string;
  /** What every answer says of how it was computed: see `systemFingerprint`. */
  readonly fingerprint: string;
  readonly generate: Generate;
  readonly drafters: DrafterPool;
  readonly queue: AdmissionQueue;
  readonly metrics: ServerMetrics;
  readonly describeToken: DescribeToken;
  /** Unix time at which the server started. */
  readonly created: number;
  readonly stallMs: number;
  readonly log: (line: string) => void;
  isClosing: boolean;
}

/** What the first middleware leaves for the routes. */
export interface RequestState {
  readonly id: string;
  /** Seconds, on the clock of `performance.now`. */
  readonly arrived: number;
  /** Aborted when the client goes away and when the server stops for good. */
  readonly signal: AbortSignal;
  /** Aborts `signal`. */
  readonly abort: (reason: Error) => void;
}

/** Hono's types for this server. */
export interface ServeEnvironment {
  Bindings: HttpBindings;
  Variables: { request: RequestState };
}

export type ServeRequest = Context<ServeEnvironment>;

/**
 * Reads a JSON body.
 *
 * @throws ApiError 415 for another content type, 413 for a body over the limit, 400 for anything but
 *   JSON
 */
export async function readJson(context: ServeContext, request: ServeRequest): Promise<unknown> {
  const type = request.req.header("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (!/^application\/(?:[\w.-]+\+)?json$/.test(type)) {
    throw new ApiError("The body must be JSON, with content-type: application/json.", {
      status: 415,
      code: "unsupported_media_type",
    });
  }
  const text = await readText(request, context.maxBodyBytes);
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError("The body of the request is not valid JSON.", {
      status: 400,
      code: "invalid_json",
    });
  }
}

async function readText(request: ServeRequest, limit: number): Promise<string> {
  const tooLong = (): ApiError =>
    new ApiError(`The body is longer than ${limit} bytes.`, {
      status: 413,
      code: "request_too_large",
    });
  // Refused by its announced length before a byte of it is read; without one, as it comes in.
  if (Number(request.req.header("content-length") ?? 0) > limit) throw tooLong();
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Leaving the loop must not destroy the socket: the client is still to read the 413.
  const incoming: Readable = request.env.incoming;
  for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    if (bytes > limit) throw tooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * Logs an error that is a fault of ours, with its stack. What the client caused is no news, and
 * nobody need know why an answer failed that nobody waits for.
 */
export function logFailure(context: ServeContext, state: RequestState, error: unknown): void {
  if (toApiError(error).status !== 500 || state.signal.aborted) return;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  context.log(`${state.id} failed: ${stack}`);
}

/** Where a request names a model, it must be this server's. @throws ApiError 404. */
export function checkModelName(context: ServeContext, name: string | null | undefined): void {
  if (name === undefined || name === null || name === context.modelName) return;
  throw new ApiError(
    `The model '${name.slice(0, 200)}' does not exist here; this server has '${context.modelName}'.`,
    { status: 404, code: "model_not_found", param: "model" },
  );
}

/** An identifier that no other answer has. */
export function createId(prefix: string): string {
  return `${prefix}${randomUUID().replaceAll("-", "")}`;
}
