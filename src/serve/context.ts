/**
 * What the routes of one server share.
 */

import { randomUUID } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { Generate } from "../generate/types.ts";
import type { LoadedEncoder } from "../model/encoder/types.ts";
import type { LoadedModel } from "../model/types.ts";
import type { DescribeToken } from "../tokenizer/token-text.ts";
import type { ServedPolicy } from "./answers/context-policies.ts";
import type { Score } from "./answers/generation-run.ts";
import type { DrafterPool } from "./drafters.ts";
import { ApiError, toApiError } from "./middleware/errors.ts";
import type { ServerMetrics } from "./middleware/metrics.ts";
import type { AdmissionQueue } from "./middleware/queue.ts";
import type { RequestWarning } from "./requests/request-warning.ts";

/** One server's state. */
export interface ServeContext {
  /** Longest body of a request. */
  readonly maxBodyBytes: number;
  readonly model: LoadedModel;
  /** What answers requests for vectors and relevance, and its name as clients write it. */
  readonly encoder: { readonly encoder: LoadedEncoder; readonly name: string } | undefined;
  /** The model's name as clients write it. */
  readonly modelName: string;
  /** What every answer says of how it was computed: see `systemFingerprint`. */
  readonly fingerprint: string;
  readonly generate: Generate;
  readonly score: Score;
  readonly drafters: DrafterPool;
  /** Policies that requests may name. */
  readonly contextPolicies: readonly ServedPolicy[];
  readonly queue: AdmissionQueue;
  readonly metrics: ServerMetrics;
  readonly describeToken: DescribeToken;
  /** Unix time at which the server started. */
  readonly created: number;
  readonly stallMs: number;
  readonly log: (line: string) => void;
  isClosing: boolean;
}

/** State of one request that the first middleware sets for the routes. */
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
 * Logs an internal error, with its stack. Errors that the client caused are not logged, nor those of
 * a request whose client has gone.
 */
export function logFailure(context: ServeContext, state: RequestState, error: unknown): void {
  if (toApiError(error).status !== 500 || state.signal.aborted) return;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  context.log(`${state.id} failed: ${stack}`);
}

/** Logs what a request asked for without effect. */
export function logWarnings(
  context: ServeContext,
  request: ServeRequest,
  warnings: readonly RequestWarning[],
): void {
  const { id } = request.get("request");
  for (const { message } of warnings) context.log(`${id} warning: ${message}`);
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
