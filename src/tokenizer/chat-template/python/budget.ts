/**
 * Bounds of one rendering. A template is a program from elsewhere: it must neither run nor grow
 * without end. Rendering is synchronous, so one counter serves all of it.
 */
import { failure } from "./failure.ts";

/** Most steps (iterations, calls, items looked at) of one rendering. */
export const maxSteps = 50_000_000;
/** Longest text or list that a template makes, in UTF-16 units or items. */
export const maxLength = 33_554_432;
/** Deepest nesting of macro calls and recursive loops. */
export const maxDepth = 200;

let remaining = maxSteps;

/** Counts steps; throws when the rendering has used up all of them. */
export function spend(steps = 1): void {
  remaining -= steps;
  if (remaining < 0) throw failure("OverflowError", `the template takes over ${maxSteps} steps`);
}

/** Refuses to make a text or list of this length when it is too long; otherwise counts it. */
export function reserve(length: number): void {
  if (length > maxLength) {
    throw failure("MemoryError", `the template makes a value longer than ${maxLength}`);
  }
  if (length > 64) spend(length / 64);
}

/** Runs an action with fresh bounds; those of an outer rendering come back afterwards. */
export function withBudget<Result>(action: () => Result): Result {
  const outer = remaining;
  remaining = maxSteps;
  try {
    return action();
  } finally {
    remaining = outer;
  }
}
