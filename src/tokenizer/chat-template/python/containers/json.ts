/** `json.dumps` as transformers offers it to templates, under the name `tojson`. */
import { reserve } from "../budget.ts";
import { sortValues } from "../compare.ts";
import { typeFailure, valueFailure } from "../failure.ts";
import { floatText } from "../numbers/float-text.ts";
import { integerText } from "../representation.ts";
import { asText, Float, Tuple, typeName, type Value } from "../values.ts";
import { Dict } from "./dict.ts";

export interface JsonOptions {
  /** Whether all but ASCII is escaped. Default false. */
  ensureAscii?: boolean;
  /** What a level is indented with; without it all stands on one line. */
  indent?: string;
  /** Between items, and between key and value. Default `", "` and `": "`; `","` with `indent`. */
  separators?: readonly [string, string];
  /** Whether keys are sorted. Default false. */
  sortKeys?: boolean;
}

interface JsonWriter {
  readonly quote: (text: string) => string;
  readonly indent: string | undefined;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
}

/** Deepest nesting of what is written. */
const maxNesting = 900;

/** The value as JSON. Throws a `TypeError` of Python for values that JSON has no form for. */
export function toJson(value: Value, options: JsonOptions = {}): string {
  const { indent, ensureAscii = false, sortKeys = false } = options;
  const [itemSeparator, keySeparator] = options.separators ?? [
    indent === undefined ? ", " : ",",
    ": ",
  ];
  const writer: JsonWriter = {
    quote: ensureAscii ? quoteAscii : quoteJson,
    indent,
    itemSeparator,
    keySeparator,
    sortKeys,
  };
  const text = write(value, writer, "\n");
  reserve(text.length);
  return text;
}

function write(value: Value, writer: JsonWriter, newline: string): string {
  const text = asText(value);
  if (text !== undefined) return writer.quote(text);
  const scalar = scalarText(value);
  if (scalar !== undefined) return scalar;
  if (newline.length > maxNesting * ((writer.indent?.length ?? 0) + 1)) {
    throw valueFailure("Circular reference detected");
  }
  const inner = newline + (writer.indent ?? "");
  if (Array.isArray(value) || value instanceof Tuple) {
    const items = Array.isArray(value) ? value : value.items;
    return enclose(
      "[",
      "]",
      items.map((item) => write(item, writer, inner)),
      writer,
      newline,
    );
  }
  if (value instanceof Dict) {
    const entries = Array.from(value.entries());
    const sorted = writer.sortKeys ? sortValues(entries, ([key]) => key) : entries;
    const members = sorted.map(
      ([key, item]) =>
        writer.quote(keyText(key)) + writer.keySeparator + write(item, writer, inner),
    );
    return enclose("{", "}", members, writer, newline);
  }
  throw typeFailure(`Object of type ${typeName(value)} is not JSON serializable`);
}

function enclose(
  open: string,
  close: string,
  parts: readonly string[],
  writer: JsonWriter,
  newline: string,
): string {
  if (parts.length === 0) return open + close;
  if (writer.indent === undefined) return open + parts.join(writer.itemSeparator) + close;
  const inner = newline + writer.indent;
  return open + inner + parts.join(writer.itemSeparator + inner) + newline + close;
}

function scalarText(value: Value): string | undefined {
  if (value === null) return "null";
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number" || typeof value === "bigint") return integerText(value);
  if (!(value instanceof Float)) return undefined;
  const { value: float } = value;
  if (Number.isNaN(float)) return "NaN";
  if (!Number.isFinite(float)) return float > 0 ? "Infinity" : "-Infinity";
  return floatText(float);
}

function keyText(key: Value): string {
  const text = asText(key) ?? scalarText(key);
  if (text === undefined) {
    throw typeFailure(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
  }
  return text;
}

const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\f": "\\f",
  "\b": "\\b",
};

function escapeUnit(character: string): string {
  const code = character.charCodeAt(0).toString(16).padStart(4, "0");
  return shortEscapes[character] ?? `\\u${code}`;
}

function quoteJson(text: string): string {
  return `"${text.replace(/["\\\0-\x1f]/g, escapeUnit)}"`;
}

function quoteAscii(text: string): string {
  return `"${text.replace(/["\\]|[^ -~]/g, escapeUnit)}"`;
}
