/**
 * Errors of the HTTP interface: OpenAI's shape and status codes, and how the library's own errors
 * become such answers. They leave this module only as responses.
 */
import { JetonError } from "../../core/index.ts";

/** What stands under `error` in the body of a failed request. */
export interface ErrorBody {
  readonly message: string;
  readonly type: string;
  /** The parameter at fault, as `messages[0].content`, or null. */
  readonly param: string | null;
  readonly code: string | null;
}

export interface ApiErrorOptions {
  status: number;
  code: string | null;
  param?: string;
  /** Default: OpenAI's name for the class of the status. */
  type?: string;
  /** Seconds after which another try makes sense. */
  retryAfter?: number;
  cause?: unknown;
}

/** An answer other than success. The message is for the client: it holds nothing internal. */
export class ApiError extends Error {
  readonly status: number;
  readonly body: ErrorBody;
  readonly retryAfter: number | undefined;

  constructor(message: string, options: ApiErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ApiError";
    this.status = options.status;
    this.retryAfter = options.retryAfter;
    this.body = {
      message,
      type: options.type ?? typeOf(options.status),
      param: options.param ?? null,
      code: options.code,
    };
  }
}

function typeOf(status: number): string {
  if (status === 429) return "rate_limit_error";
  if (status === 503) return "service_unavailable_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/** A parameter has a value that cannot be used. */
export function invalidValue(param: string, message: string, code = "invalid_value"): ApiError {
  return new ApiError(message, { status: 400, code, param });
}

/** A body that is JSON, but no object. */
export function malformedBody(): ApiError {
  return new ApiError("The body of the request must be a JSON object.", {
    status: 400,
    code: "invalid_type",
  });
}

/** A parameter that peers know and that this server does not act on. */
export function unsupportedParameter(param: string, message: string): ApiError {
  return new ApiError(message, { status: 400, code: "unsupported_parameter", param });
}

/** The server is closing. */
export function shuttingDown(): ApiError {
  return new ApiError("The server is shutting down.", {
    status: 503,
    code: "server_shutting_down",
    retryAfter: 5,
  });
}

/** Errors of lower modules that say that prompt and answer are too long together. */
const contextFaults: ReadonlySet<string> = new Set([
  "generate-context-exceeded",
  "model-context-exceeded",
]);

/** Errors of lower modules that the client caused otherwise. */
const clientFaults: ReadonlySet<string> = new Set([
  "byte-tokens-unsupported",
  "generate-no-token-left",
  "generate-option-invalid",
  "generate-prompt-empty",
  "generate-prompt-invalid",
  "chat-template-failed",
  "chat-template-missing",
  "chat-variable-invalid",
  // Of requests to the lens: other ones name policies that the server was started with.
  "context-policy-drafts",
  "context-policy-option",
  "context-policy-unavailable",
  "context-policy-unknown",
  "lens-request-invalid",
  "model-experts-none",
]);

/**
 * Turns anything thrown into an answer. An error that the client did not cause becomes a bare 500 (or
 * a 503 where the model was closed): no internal message, stack or path leaves the process.
 */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (JetonError.isInstance(error)) {
    if (contextFaults.has(error.code)) {
      return new ApiError(error.message, {
        status: 400,
        code: "context_length_exceeded",
        cause: error,
      });
    }
    if (error.code === "model-closed") {
      return new ApiError("The model has been closed.", {
        status: 503,
        code: "model_closed",
        cause: error,
      });
    }
    if (clientFaults.has(error.code)) {
      const code = error.code.replaceAll("-", "_");
      return new ApiError(error.message, { status: 400, code, cause: error });
    }
  }
  return new ApiError("The server had an error while processing the request.", {
    status: 500,
    code: "internal_error",
    cause: error,
  });
}
