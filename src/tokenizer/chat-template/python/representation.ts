/** `str(value)` and `repr(value)`. */
import { Dict, DictView, Namespace, PySet } from "./containers/dict.ts";
import { valueFailure } from "./failure.ts";
import { floatText } from "./numbers/float-text.ts";
import { isPrintable } from "./strings/letter-case.ts";
import {
  Bytes,
  Callable,
  Float,
  Markup,
  type PyObject,
  Range,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";

/** Longest decimal number that Python writes. */
const maxDigits = 4300;
const plainText = /^[\x20-\x26\x28-\x5b\x5d-\x7e]*$/;

/** `str(value)`, which is what a template prints. */
export function toText(value: Value): string {
  if (typeof value === "string") return value;
  if (value instanceof Markup) return value.text;
  if (value instanceof Undefined) return "";
  return represent(value);
}

/** `repr(value)`. */
export function represent(value: Value): string {
  if (value === null) return "None";
  switch (typeof value) {
    case "boolean":
      return value ? "True" : "False";
    case "number":
      return String(value);
    case "bigint":
      return integerText(value);
    case "string":
      return quote(value);
    default:
      return Array.isArray(value) ? `[${representAll(value)}]` : representObject(value);
  }
}

function representAll(items: readonly Value[]): string {
  return items.map(represent).join(", ");
}

function representObject(value: PyObject): string {
  if (value instanceof Float) return floatText(value.value);
  if (value instanceof Dict) {
    const entries = Array.from(value.entries(), ([key, item]) => {
      return `${represent(key)}: ${represent(item)}`;
    });
    return `{${entries.join(", ")}}`;
  }
  if (value instanceof Tuple) {
    return value.items.length === 1
      ? `(${represent(value.items[0]!)},)`
      : `(${representAll(value.items)})`;
  }
  if (value instanceof PySet) {
    return value.items.length === 0 ? "set()" : `{${representAll(value.items)}}`;
  }
  if (value instanceof Markup) return `Markup(${quote(value.text)})`;
  if (value instanceof Bytes) return quoteBytes(value.data);
  if (value instanceof DictView) return `${value.typeName}([${representAll(value.items)}])`;
  if (value instanceof Range) {
    const { start, stop, step } = value;
    return step === 1 ? `range(${start}, ${stop})` : `range(${start}, ${stop}, ${step})`;
  }
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Namespace) return `<Namespace ${represent(value.entries)}>`;
  if (value instanceof Callable && value.typeName === "type") return `<class '${value.name}'>`;
  const text = value.attribute("__repr__");
  return typeof text === "string" ? text : `<${value.typeName} object>`;
}

/** A whole number in decimal. Throws where Python refuses to write so many digits. */
export function integerText(value: number | bigint): string {
  const text = value.toString();
  if (text.length > maxDigits + (value < 0 ? 1 : 0)) {
    throw valueFailure(`Exceeds the limit (${maxDigits} digits) for integer string conversion`);
  }
  return text;
}

const escapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** A string between quotes: single ones, unless it holds single and no double ones. */
export function quote(text: string): string {
  if (plainText.test(text)) return `'${text}'`;
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  let quoted = mark;
  for (const character of text) {
    if (character === mark) quoted += `\\${mark}`;
    else
      quoted +=
        escapes[character] ?? (isPrintable(character) ? character : escapeCharacter(character));
  }
  return quoted + mark;
}

/** `ascii(value)`: `repr` with all else escaped. */
export function representAscii(value: Value): string {
  return represent(value).replace(/[^\0-\x7f]/gu, escapeCharacter);
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0)!;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}

function quoteBytes(data: Uint8Array): string {
  const characters = Array.from(data, (byte) => String.fromCharCode(byte)).join("");
  const mark = characters.includes("'") && !characters.includes('"') ? '"' : "'";
  const quoted = Array.from(characters, (character) => {
    if (character === mark) return `\\${mark}`;
    return (
      escapes[character] ?? (/[\x20-\x7e]/.test(character) ? character : escapeCharacter(character))
    );
  });
  return `b${mark}${quoted.join("")}${mark}`;
}
