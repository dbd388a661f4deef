/**
 * Typed, checked access to parsed JSON of unknown origin.
 *
 * Every reader takes the value's path inside the document, so that an error can say exactly which
 * field is wrong. Fields are read as own properties only: a key such as `__proto__` or `constructor`
 * is data like any other.
 */
import { JetonError } from "../../core/error.ts";

/** A JSON object whose fields have not been checked yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A short rendering of any value for an error message. */
export function describeValue(value: unknown): string {
  if (value === undefined) return "nothing";
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = String(value);
  }
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** The error for a field of a tokenizer file that is missing or has the wrong type or value. */
export function invalidField(path: string, value: unknown, expected: string): JetonError {
  return new JetonError(`${path} is ${describeValue(value)}, expected ${expected}`, {
    code: "tokenizer-json-invalid",
    details: { path, value: describeValue(value), expected },
  });
}

/** The own field `key` of `object`, or undefined. */
export function readField(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

export function asObject(value: unknown, path: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidField(path, value, "an object");
  }
  return value as JsonObject;
}

export function asArray(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalidField(path, value, "an array");
  return value;
}

export function asString(value: unknown, path: string): string {
  if (typeof value !== "string") throw invalidField(path, value, "a string");
  return value;
}

/** An integer in [minimum, maximum]. */
export function asInteger(value: unknown, path: string, minimum: number, maximum: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
    throw invalidField(path, value, `an integer from ${minimum} to ${maximum}`);
  }
  return value;
}

/** A field that may be absent or null, for which `fallback` stands. */
export function readString(
  object: JsonObject,
  key: string,
  path: string,
  fallback?: string,
): string {
  const value = readField(object, key);
  if ((value === undefined || value === null) && fallback !== undefined) return fallback;
  return asString(value, `${path}.${key}`);
}

/** A string field that may be absent, null or empty: all three give undefined. */
export function readOptionalString(
  object: JsonObject,
  key: string,
  path: string,
): string | undefined {
  const text = readString(object, key, path, "");
  return text === "" ? undefined : text;
}

export function readBoolean(
  object: JsonObject,
  key: string,
  path: string,
  fallback?: boolean,
): boolean {
  const value = readField(object, key);
  if ((value === undefined || value === null) && fallback !== undefined) return fallback;
  if (typeof value !== "boolean") throw invalidField(`${path}.${key}`, value, "true or false");
  return value;
}

export function readInteger(
  object: JsonObject,
  key: string,
  path: string,
  range: { minimum: number; maximum: number; fallback?: number },
): number {
  const value = readField(object, key);
  if ((value === undefined || value === null) && range.fallback !== undefined)
    return range.fallback;
  return asInteger(value, `${path}.${key}`, range.minimum, range.maximum);
}

/** One of a fixed list of strings. */
export function readChoice<Choice extends string>(
  object: JsonObject,
  key: string,
  path: string,
  choices: readonly Choice[],
  fallback?: Choice,
): Choice {
  const value = readField(object, key);
  if ((value === undefined || value === null) && fallback !== undefined) return fallback;
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw invalidField(`${path}.${key}`, value, choices.join(" or "));
  return found;
}

/** The array field `key`, each item read by `read` with its own path. */
export function readList<Item>(
  object: JsonObject,
  key: string,
  path: string,
  read: (value: unknown, path: string) => Item,
): Item[] {
  const items = asArray(readField(object, key), `${path}.${key}`);
  // Unlike `map`, this visits the holes of an array that did not come from JSON text.
  return Array.from(items, (item, index) => read(item, `${path}.${key}[${index}]`));
}
