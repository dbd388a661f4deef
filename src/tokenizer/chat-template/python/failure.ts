/** How a template fails: before it runs, by its own `raise_exception`, or because Python would refuse. */

/** `syntax`: cannot be parsed. `raised`: the template called `raise_exception`. `failed`: anything else. */
export type FailureKind = "syntax" | "raised" | "failed";

/** What every part of the interpreter throws; `renderChat` turns it into a `JetonError`. */
export class TemplateFailure extends Error {
  readonly kind: FailureKind;
  /** Name of the exception in Python, e.g. `TypeError`. */
  readonly type: string;
  /** Line of the template, from 1, where it is known. */
  line: number | undefined;

  constructor(kind: FailureKind, type: string, message: string, line?: number) {
    super(message);
    this.name = "TemplateFailure";
    this.kind = kind;
    this.type = type;
    this.line = line;
  }
}

/** A template that cannot be parsed. */
export function syntaxFailure(message: string, line: number): TemplateFailure {
  return new TemplateFailure("syntax", "TemplateSyntaxError", message, line);
}

/** An operation on a value of the wrong type. */
export function typeFailure(message: string): TemplateFailure {
  return new TemplateFailure("failed", "TypeError", message);
}

/** An operation on a wrong value of the right type. */
export function valueFailure(message: string): TemplateFailure {
  return new TemplateFailure("failed", "ValueError", message);
}

/** Any other exception, named as Python names it. */
export function failure(type: string, message: string): TemplateFailure {
  return new TemplateFailure("failed", type, message);
}

/** True for a failure that Python code would catch as one of these exceptions. */
export function isFailure(error: unknown, ...types: readonly string[]): error is TemplateFailure {
  return error instanceof TemplateFailure && types.includes(error.type);
}
