/**
 * The one error class of the project.
 *
 * Every mistake that a caller can make (a bad file, an impossible option, a shape that does not fit)
 * ends in a `JetonError` with a stable `code`, the offending value and what was expected.
 */

const marker: symbol = Symbol.for("jeton.error");

/** What a `JetonError` is made of besides its message. */
export interface JetonErrorOptions {
  /** Stable kebab-case identifier, e.g. `"safetensors-header-too-long"`. Programs branch on this. */
  code: string;
  cause?: unknown;
  /** The offending value and what was expected, for programs and logs. */
  details?: Record<string, unknown>;
}

/** Base class of every error that the library throws on purpose. */
export class JetonError extends Error {
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, options: JetonErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "JetonError";
    this.code = options.code;
    this.details = options.details ?? {};
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for a `JetonError` of any copy of the package, across realms and workers of one process. */
  static isInstance(value: unknown): value is JetonError {
    return typeof value === "object" && value !== null && marker in value;
  }
}
