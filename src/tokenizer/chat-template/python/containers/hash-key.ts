/** Keys of dicts: values that are equal in Python become the same key of a JavaScript `Map`. */
import { typeFailure } from "../failure.ts";
import {
  Bytes,
  Float,
  Markup,
  PyObject,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "../values.ts";

/** Types with items that can change, beside lists. */
const unhashable: ReadonlySet<string> = new Set(["dict", "dict_keys", "dict_items", "set"]);
const undefinedKey = Symbol("Undefined");

/** A key for a `Map`. Throws for values that Python cannot hash. */
export function hashKey(value: Value): unknown {
  switch (typeof value) {
    case "string":
      // Composite keys are texts that begin with a null character.
      return value.startsWith("\0") ? `\0s${value}` : value;
    case "number":
    case "bigint":
      return value;
    case "boolean":
      return value ? 1 : 0;
    default:
  }
  if (value === null) return null;
  if (value instanceof Float) return hashFloat(value);
  if (value instanceof Markup) return hashKey(value.text);
  if (value instanceof Bytes) return `\0b${value.data.join(",")}`;
  if (value instanceof Tuple) return `\0t${value.items.map(composeKey).join("")}`;
  if (value instanceof Undefined) return undefinedKey;
  if (Array.isArray(value) || unhashable.has(value.typeName)) {
    throw typeFailure(`unhashable type: '${typeName(value)}'`);
  }
  return value;
}

/** A whole float equals the `int` of its size. */
function hashFloat(float: Float): unknown {
  const { value } = float;
  if (Number.isNaN(value)) return float;
  if (Number.isSafeInteger(value)) return value + 0;
  return Number.isInteger(value) ? BigInt(value) : value;
}

const identities: WeakMap<PyObject, number> = new WeakMap();
let nextIdentity = 1;

/** A part of a tuple's key: type and length first, so that no two tuples share a text. */
function composeKey(item: Value): string {
  const key = hashKey(item);
  let text: string;
  if (key instanceof PyObject) {
    let identity = identities.get(key);
    if (identity === undefined) {
      identity = nextIdentity++;
      identities.set(key, identity);
    }
    text = String(identity);
  } else {
    text = typeof key === "symbol" ? "" : String(key);
  }
  const type = typeof key === "bigint" ? "number" : typeof key;
  return `${type}:${text.length}:${text}`;
}
