/**
 * Matchers for errors with a code, for all tests (a setup file of vitest):
 *
 *     expect(() => parse("{")).toThrowCode("json-invalid");
 *     await expect(load("nowhere")).toRejectWithCode("model-not-found");
 */
import { expect } from "vitest";
import { JetonError } from "../core/index.ts";

interface CodeMatchers<R = unknown> {
  /** The function throws a `JetonError` with this code, and with these details where given. */
  toThrowCode: (code: string, details?: Readonly<Record<string, unknown>>) => R;
  /** The promise, or the one that the function returns, rejects with such an error. */
  toRejectWithCode: (code: string, details?: Readonly<Record<string, unknown>>) => Promise<R>;
}

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: the declaration that is merged with has this default
  interface Assertion<T = any> extends CodeMatchers<T> {}
}

interface MatcherState {
  equals(a: unknown, b: unknown): boolean;
}

type Outcome = { readonly kind: "none" } | { readonly kind: "error"; readonly error: unknown };

function judge(
  { equals }: MatcherState,
  outcome: Outcome,
  code: string,
  details: Readonly<Record<string, unknown>> | undefined,
): { pass: boolean; message: () => string; actual?: unknown; expected?: unknown } {
  if (outcome.kind === "none") {
    return { pass: false, message: () => `expected a JetonError ${code}, but there was no error` };
  }
  const { error } = outcome;
  if (!JetonError.isInstance(error)) {
    return { pass: false, message: () => `expected a JetonError ${code}, found ${String(error)}` };
  }
  const actual = { code: error.code, ...(details && { details: error.details }) };
  const expected = { code, ...(details && { details: expect.objectContaining(details) }) };
  return {
    pass: equals(actual, expected),
    message: () => `expected a JetonError ${code}, found ${error.code}: ${error.message}`,
    actual,
    expected,
  };
}

expect.extend({
  toThrowCode(received: () => unknown, code: string, details?: Record<string, unknown>) {
    let outcome: Outcome = { kind: "none" };
    try {
      received();
    } catch (error) {
      outcome = { kind: "error", error };
    }
    return judge(this, outcome, code, details);
  },
  async toRejectWithCode(
    received: Promise<unknown> | (() => Promise<unknown>),
    code: string,
    details?: Record<string, unknown>,
  ) {
    let outcome: Outcome = { kind: "none" };
    try {
      await (typeof received === "function" ? received() : received);
    } catch (error) {
      outcome = { kind: "error", error };
    }
    return judge(this, outcome, code, details);
  },
});
