/** Messages, tools and variables as values of a template. */
import { JetonError } from "../../core/error.ts";
import { Dict } from "./python/containers/dict.ts";
import { Float, fromBigInt, type Value } from "./python/values.ts";

/** Deepest nesting of a variable. */
const maxDepth = 200;
/** From here on, JavaScript writes a whole number with an exponent, which Python reads as a float. */
const exponentFrom = 1e21;

/**
 * A JavaScript value as Python would read it from JSON: whole numbers become `int`, other numbers
 * `float`, objects and maps `dict`; fields that are undefined are left out. Copies everything, so that
 * a template reaches nothing of the caller's. `path` names the value in errors.
 *
 * Throws `chat-variable-invalid` for functions, symbols, and values that nest without end.
 */
export function fromJavaScript(value: unknown, path: string): Value {
  return convert(value, path, 0);
}

function convert(value: unknown, path: string, depth: number): Value {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return fromNumber(value);
    case "bigint":
      return fromBigInt(value);
    case "undefined":
      return null;
    case "object":
      return value === null ? null : convertObject(value, path, depth);
    default:
      throw invalid(`${path} is a ${typeof value}, which a template cannot use`, path);
  }
}

function invalid(message: string, path: string): JetonError {
  return new JetonError(message, { code: "chat-variable-invalid", details: { path } });
}

function fromNumber(value: number): Value {
  if (!Number.isInteger(value) || Math.abs(value) >= exponentFrom) return new Float(value);
  return Number.isSafeInteger(value) ? value + 0 : BigInt(value);
}

function convertObject(value: object, path: string, depth: number): Value {
  if (depth >= maxDepth) {
    throw invalid(`${path} nests deeper than ${maxDepth} levels, or contains itself`, path);
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => convert(item, `${path}[${index}]`, depth + 1));
  }
  if ("toJSON" in value && typeof value.toJSON === "function") {
    return convert(value.toJSON(), path, depth + 1);
  }
  if (value instanceof Set) return convertObject([...value], path, depth);
  const dict = new Dict();
  const entries = value instanceof Map ? value : Object.entries(value);
  for (const [key, item] of entries as Iterable<[unknown, unknown]>) {
    if (item === undefined) continue;
    dict.set(
      convert(key, `a key of ${path}`, depth + 1),
      convert(item, `${path}.${key}`, depth + 1),
    );
  }
  return dict;
}
