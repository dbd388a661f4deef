/** Checks of what callers in plain JavaScript give to a tokenizer. */
import { invalidValue } from "../core/option-rules.ts";

const code = "tokenizer-input-invalid";

/** @throws JetonError `tokenizer-input-invalid` */
export function checkText(text: unknown, name = "text"): void {
  if (typeof text !== "string") throw invalidValue(name, text, "a string", code);
}

/** @throws JetonError `tokenizer-input-invalid` */
export function checkIds(ids: unknown): void {
  if (!Array.isArray(ids) && !ArrayBuffer.isView(ids)) {
    throw invalidValue("ids", ids, "a list of token ids", code);
  }
}

/** @throws JetonError `tokenizer-input-invalid` */
export function checkOffsetUnit(unit: unknown): void {
  if (unit === undefined || unit === "utf16" || unit === "codepoint") return;
  throw invalidValue("offsetUnit", unit, "utf16 or codepoint", code);
}
