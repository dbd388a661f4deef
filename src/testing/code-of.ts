/** What an action fails with, for tests of errors that a table or a later check looks at. */
import { JetonError } from "../core/index.ts";

/** A promise, or a function that may throw or reject. */
type Action = Promise<unknown> | (() => unknown);

/** The `JetonError` that an action ends in; any other error, and none, fails the test. */
export async function errorOf(action: Action): Promise<JetonError> {
  const error = await findError(action);
  if (error === undefined) throw new Error("expected a JetonError, but there was no error");
  return error;
}

/** The code of the `JetonError` that an action ends in, `"accepted"` without an error; others fail the test. */
export async function codeOf(action: Action): Promise<string> {
  return (await findError(action))?.code ?? "accepted";
}

async function findError(action: Action): Promise<JetonError | undefined> {
  try {
    await (typeof action === "function" ? action() : action);
  } catch (error) {
    if (JetonError.isInstance(error)) return error;
    throw error;
  }
  return undefined;
}
