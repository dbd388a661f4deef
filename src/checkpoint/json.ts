/**
 * A JSON reader for files that strangers wrote.
 *
 * `JSON.parse` keeps the last of two equal keys without a word, refuses the `NaN` and `Infinity` that
 * Python writes into `config.json`, and overflows the stack on deep nesting. This reader reports
 * repeated keys where a format forbids them, accepts non-finite numbers on request, limits nesting,
 * and refuses the key `__proto__`, so that no later copy of an object can change a prototype.
 * Grammar: RFC 8259.
 */
import { JetonError } from "../core/index.ts";

/** What JSON can hold. With `allowNonFinite`, numbers may also be NaN or infinite. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

/** A JSON object; absent keys read as `undefined`. */
export interface JsonObject {
  [key: string]: JsonValue | undefined;
}

export interface ParseJsonOptions {
  /** What is being read, for messages, e.g. a path. Default `"JSON text"`. */
  source?: string;
  /** Code of the error for text that is not JSON. Default `"json-invalid"`. */
  code?: string;
  /** Code of the error for a repeated key. Absent: the last value of a repeated key holds. */
  duplicateKeyCode?: string;
  /** Accept `NaN`, `Infinity` and `-Infinity` as numbers. Default false. */
  allowNonFinite?: boolean;
  /** Deepest nesting of arrays and objects. Default 64. */
  maxDepth?: number;
}

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const nonFinite: readonly (readonly [string, number])[] = [
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
];
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/**
 * Parses JSON text.
 *
 * @throws JetonError with `options.code` (default `json-invalid`) at the first character that does
 * not fit, or with `options.duplicateKeyCode` at a repeated key.
 */
export function parseJson(text: string, options: ParseJsonOptions = {}): JsonValue {
  const { source = "JSON text", code = "json-invalid", duplicateKeyCode } = options;
  const { allowNonFinite = false, maxDepth = 64 } = options;
  let at = 0;

  const fail = (expected: string): never => {
    const found = at < text.length ? JSON.stringify(text.slice(at, at + 20)) : "the end";
    throw new JetonError(`${source}: expected ${expected} at character ${at}, found ${found}`, {
      code,
      details: { source, position: at, found, expected },
    });
  };
  const skipSpace = (): void => {
    for (; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
    }
  };
  const readString = (): string => {
    let result = "";
    let start = ++at; // past the opening quote
    for (; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit === 0x22) return result + text.slice(start, at++);
      if (unit < 0x20) fail("no control character inside a string");
      if (unit !== 0x5c) continue;
      result += text.slice(start, at);
      const letter = text[++at] ?? "";
      if (letter === "u") {
        const digits = text.slice(at + 1, at + 5);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) fail("four hexadecimal digits after \\u");
        result += String.fromCharCode(Number.parseInt(digits, 16));
        at += 4;
      } else {
        result += Object.hasOwn(escapes, letter) ? escapes[letter]! : fail("an escape sequence");
      }
      start = at + 1;
    }
    return fail("a closing quote");
  };
  const readNumber = (): number => {
    numberPattern.lastIndex = at;
    const match = numberPattern.exec(text);
    if (match) {
      at += match[0].length;
      return Number(match[0]);
    }
    return fail("a value");
  };
  const readObject = (depth: number): JsonObject => {
    const object: JsonObject = {};
    at++;
    skipSpace();
    if (text[at] === "}") {
      at++;
      return object;
    }
    for (;;) {
      if (text[at] !== '"') fail("a quoted key");
      const keyAt = at;
      const key = readString();
      if (key === "__proto__") {
        at = keyAt;
        fail("a key other than __proto__");
      }
      if (duplicateKeyCode !== undefined && Object.hasOwn(object, key)) {
        throw new JetonError(`${source}: the key ${JSON.stringify(key)} appears twice`, {
          code: duplicateKeyCode,
          details: { source, key, position: keyAt, expected: "unique keys" },
        });
      }
      skipSpace();
      if (text[at] !== ":") fail("a colon");
      at++;
      object[key] = readValue(depth);
      if (text[at] === "}") {
        at++;
        return object;
      }
      if (text[at] !== ",") fail("a comma or a closing brace");
      at++;
      skipSpace();
    }
  };
  const readArray = (depth: number): JsonValue[] => {
    const array: JsonValue[] = [];
    at++;
    skipSpace();
    if (text[at] === "]") {
      at++;
      return array;
    }
    for (;;) {
      array.push(readValue(depth));
      if (text[at] === "]") {
        at++;
        return array;
      }
      if (text[at] !== ",") fail("a comma or a closing bracket");
      at++;
    }
  };
  /** Reads one value and the white space on both sides of it. */
  const readValue = (depth: number): JsonValue => {
    skipSpace();
    const value = readBareValue(depth + 1);
    skipSpace();
    return value;
  };
  const readBareValue = (depth: number): JsonValue => {
    switch (text[at]) {
      case "{":
        if (depth > maxDepth) fail(`at most ${maxDepth} levels of nesting`);
        return readObject(depth);
      case "[":
        if (depth > maxDepth) fail(`at most ${maxDepth} levels of nesting`);
        return readArray(depth);
      case '"':
        return readString();
    }
    for (const [word, value] of [["true", true] as const, ["false", false] as const]) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return value;
      }
    }
    if (text.startsWith("null", at)) {
      at += 4;
      return null;
    }
    if (allowNonFinite) {
      for (const [word, value] of nonFinite) {
        if (text.startsWith(word, at)) {
          at += word.length;
          return value;
        }
      }
    }
    return readNumber();
  };

  const value = readValue(0);
  if (at < text.length) fail("nothing after the value");
  return value;
}

/** True for a JSON object: not null, not an array. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
