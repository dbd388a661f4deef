/** Errors of a worker as they cross to the page. */
import { JetonError } from "jeton/core";
import { describeError } from "../engine/engine.ts";
import type { WorkerFailure } from "../engine/messages.ts";

export function failureOf(error: unknown): WorkerFailure {
  return {
    message: describeError(error),
    code: JetonError.isInstance(error) ? error.code : "unexpected",
  };
}
