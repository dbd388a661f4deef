/**
 * Tools: a model may be told of them, and its answer is text. Only requests that demand a call are
 * refused.
 */
import { unsupportedParameter } from "../middleware/errors.ts";

/** A choice of tools as clients write it. */
export type ToolChoice = string | { readonly [field: string]: unknown } | null | undefined;

/** True where the model must not be told of tools. */
export function excludesTools(choice: ToolChoice): boolean {
  return choice === "none";
}

/** @throws ApiError 400 where the choice demands a tool call. */
export function checkToolChoice(param: string, choice: ToolChoice): void {
  if (choice == null || choice === "none" || choice === "auto") return;
  if (typeof choice === "object" && choice["type"] === "allowed_tools") {
    const allowed = choice["allowed_tools"];
    const mode =
      typeof allowed === "object" && allowed !== null && "mode" in allowed
        ? allowed.mode
        : choice["mode"];
    if (mode === "auto") return;
  }
  throw unsupportedParameter(
    param,
    `'${param}' that demands a call is not supported, only 'none' and 'auto': ` +
      "constrained decoding is not available.",
  );
}
