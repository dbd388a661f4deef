/** Checks of what callers in plain JavaScript give to a tokenizer. */
import { checkOptionNames, invalidValue } from "../core/option-rules.ts";
import type { DecodeOptions, EncodeOptions } from "./tokenizer-interface.ts";

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

const encodeNames: Readonly<Record<keyof EncodeOptions, true>> = {
  addSpecialTokens: true,
  pair: true,
  applyLimits: true,
  maxLength: true,
  allowedSpecial: true,
  disallowedSpecial: true,
  offsetUnit: true,
};
const decodeNames: Readonly<Record<keyof DecodeOptions, true>> = {
  skipSpecialTokens: true,
  cleanUp: true,
};

const what = "a tokenizer";
const [ofEncoding, ofDecoding] = [Object.keys(encodeNames), Object.keys(decodeNames)];

/** @throws JetonError `tokenizer-input-invalid` for names that are no options of `encode` */
export function checkEncodeNames(options: object): void {
  checkOptionNames(options, ofEncoding, { what, invalidCode: code });
}

/** @throws JetonError `tokenizer-input-invalid` for names that are no options of `decode` */
export function checkDecodeNames(options: object): void {
  checkOptionNames(options, ofDecoding, { what, invalidCode: code });
}
