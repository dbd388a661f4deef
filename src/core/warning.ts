/**
 * Warnings: what went otherwise than asked, without being a reason to fail.
 */
import type { JetonError } from "./error.ts";

/** Takes a warning; it has a stable `code` and `details`, as errors do. */
export type WarningHandler = (warning: JetonError) => void;

/**
 * Hands a warning to its handler. Without a handler it is a warning of the process, which Node
 * writes to standard error, or a line in the console of a browser.
 */
export function warn(warning: JetonError, onWarning?: WarningHandler): void {
  if (onWarning) onWarning(warning);
  else if (typeof process !== "undefined" && typeof process.emitWarning === "function") {
    process.emitWarning(warning.message, { type: "JetonWarning", code: warning.code });
  } else console.warn(warning.message);
}
