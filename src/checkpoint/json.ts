/**
 * A JSON reader for files that strangers wrote.
 *
 * `JSON.parse` keeps the last of two equal keys without a word, rejects the `NaN` and `Infinity` that
 * Python writes into `config.json`, and overflows the stack on deep nesting. This reader reports
 * repeated keys where a format forbids them, accepts non-finite numbers on request, limits nesting,
 * and rejects the key `__proto__`, so that no later copy of an object can change a prototype.
 * Grammar: RFC 8259.
 */
import { JetonError } from "../core/index.ts";

/** What JSON can hold. With `allowNonFinite`, numbers may also be NaN or infinite. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

/** A JSON object; absent keys read as `undefined`. */
export interface JsonObject {
  [key: string]: JsonValue | undefined;
}

/** Options of `parseJson`. */
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
const words: readonly (readonly [string, null | boolean | number])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];
const allWords: typeof words = [
  ...words,
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
  return new JsonReader(text, options).readDocument();
}

/** A recursive-descent reader of one text. */
class JsonReader {
  readonly #text: string;
  readonly #source: string;
  readonly #code: string;
  readonly #duplicateKeyCode: string | undefined;
  readonly #allowNonFinite: boolean;
  readonly #maxDepth: number;
  /** Next unread UTF-16 unit. */
  #at = 0;

  constructor(text: string, options: ParseJsonOptions) {
    this.#text = text;
    this.#source = options.source ?? "JSON text";
    this.#code = options.code ?? "json-invalid";
    this.#duplicateKeyCode = options.duplicateKeyCode;
    this.#allowNonFinite = options.allowNonFinite ?? false;
    this.#maxDepth = options.maxDepth ?? 64;
  }

  readDocument(): JsonValue {
    const value = this.#readValue(0);
    if (this.#at < this.#text.length) this.#fail("nothing after the value");
    return value;
  }

  #fail(expected: string): never {
    const [text, at, source] = [this.#text, this.#at, this.#source];
    const found = at < text.length ? JSON.stringify(text.slice(at, at + 20)) : "the end";
    throw new JetonError(`${source}: expected ${expected} at character ${at}, found ${found}`, {
      code: this.#code,
      details: { source, position: at, found, expected },
    });
  }

  #skipSpace(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const unit = this.#text.charCodeAt(this.#at);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
    }
  }

  #readString(): string {
    const text = this.#text;
    let result = "";
    let start = ++this.#at; // past the opening quote
    for (; this.#at < text.length; this.#at++) {
      const unit = text.charCodeAt(this.#at);
      if (unit === 0x22) return result + text.slice(start, this.#at++);
      if (unit < 0x20) this.#fail("no control character inside a string");
      if (unit !== 0x5c) continue;
      result += text.slice(start, this.#at) + this.#readEscape();
      start = this.#at + 1;
    }
    return this.#fail("a closing quote");
  }

  /** Reads an escape sequence; `#at` moves from its backslash to its last unit. */
  #readEscape(): string {
    const letter = this.#text[++this.#at] ?? "";
    if (letter !== "u") {
      return Object.hasOwn(escapes, letter) ? escapes[letter]! : this.#fail("an escape sequence");
    }
    const digits = this.#text.slice(this.#at + 1, this.#at + 5);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#fail("four hexadecimal digits after \\u");
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #readNumber(): number {
    numberPattern.lastIndex = this.#at;
    const match = numberPattern.exec(this.#text);
    if (!match) return this.#fail("a value");
    this.#at += match[0].length;
    return Number(match[0]);
  }

  #readObject(depth: number): JsonObject {
    const object: JsonObject = {};
    this.#at++;
    this.#skipSpace();
    if (this.#take("}")) return object;
    for (;;) {
      const key = this.#readKey(object);
      this.#skipSpace();
      if (!this.#take(":")) this.#fail("a colon");
      object[key] = this.#readValue(depth);
      if (this.#take("}")) return object;
      if (!this.#take(",")) this.#fail("a comma or a closing brace");
      this.#skipSpace();
    }
  }

  #readKey(object: JsonObject): string {
    if (this.#text[this.#at] !== '"') this.#fail("a quoted key");
    const keyAt = this.#at;
    const key = this.#readString();
    if (key === "__proto__") {
      this.#at = keyAt;
      this.#fail("a key other than __proto__");
    }
    if (this.#duplicateKeyCode !== undefined && Object.hasOwn(object, key)) {
      const source = this.#source;
      throw new JetonError(`${source}: the key ${JSON.stringify(key)} appears twice`, {
        code: this.#duplicateKeyCode,
        details: { source, key, position: keyAt, expected: "unique keys" },
      });
    }
    return key;
  }

  #readArray(depth: number): JsonValue[] {
    const array: JsonValue[] = [];
    this.#at++;
    this.#skipSpace();
    if (this.#take("]")) return array;
    for (;;) {
      array.push(this.#readValue(depth));
      if (this.#take("]")) return array;
      if (!this.#take(",")) this.#fail("a comma or a closing bracket");
    }
  }

  /** Reads one value and the white space on both sides of it. */
  #readValue(depth: number): JsonValue {
    this.#skipSpace();
    const value = this.#readBareValue(depth + 1);
    this.#skipSpace();
    return value;
  }

  #readBareValue(depth: number): JsonValue {
    const first = this.#text[this.#at];
    if (first === "{" || first === "[") {
      if (depth > this.#maxDepth) this.#fail(`at most ${this.#maxDepth} levels of nesting`);
      return first === "{" ? this.#readObject(depth) : this.#readArray(depth);
    }
    if (first === '"') return this.#readString();
    for (const [word, value] of this.#allowNonFinite ? allWords : words) {
      if (this.#take(word)) return value;
    }
    return this.#readNumber();
  }

  /** Moves past `word` where it comes next. */
  #take(word: string): boolean {
    const found = this.#text.startsWith(word, this.#at);
    if (found) this.#at += word.length;
    return found;
  }
}

/** True for a JSON object: not null, not an array. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
