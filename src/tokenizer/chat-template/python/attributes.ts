/** `object.name` and `object[key]` as a sandboxed environment looks them up. */
import { checkDefined } from "./compare.ts";
import {
  bytesMethods,
  dictMethods,
  listMethods,
  rangeMethods,
  tupleMethods,
  withheldMethods,
} from "./containers/container-methods.ts";
import { Dict } from "./containers/dict.ts";
import { itemAt, type SliceBounds, sliceOf } from "./containers/sequence.ts";
import { isFailure, typeFailure } from "./failure.ts";
import { floatMethods, integerMethods, numberAttribute } from "./numbers/number-methods.ts";
import { represent } from "./representation.ts";
import { markupMethods } from "./strings/markup-methods.ts";
import { type Method, stringMethods } from "./strings/string-methods.ts";
import {
  asText,
  Bytes,
  Callable,
  Float,
  Markup,
  PyObject,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

const noMethods: ReadonlyMap<string, Method> = new Map();

function methodsOf(value: Value): ReadonlyMap<string, Method> {
  switch (typeof value) {
    case "string":
      return stringMethods;
    case "number":
    case "bigint":
    case "boolean":
      return integerMethods;
    default:
  }
  if (value instanceof Dict) return dictMethods;
  if (Array.isArray(value)) return listMethods;
  if (value instanceof Markup) return markupMethods;
  if (value instanceof Tuple) return tupleMethods;
  if (value instanceof Float) return floatMethods;
  if (value instanceof Range) return rangeMethods;
  return value instanceof Bytes ? bytesMethods : noMethods;
}

/** A method of the value's type; undefined when there is none of this name. */
export function findMethod(value: Value, name: string): Method | undefined {
  return methodsOf(value).get(name);
}

function bind(self: Value, name: string, method: Method): Callable {
  return new Callable(name, (callArguments, runtime) => method(self, callArguments, runtime));
}

function withheld(value: Value, name: string): Undefined {
  return new Undefined(
    () => `access to attribute '${name}' of '${typeName(value)}' object is unsafe.`,
    "SecurityError",
  );
}

/** An attribute of the value, without a look at its items; undefined when there is none. */
export function findAttribute(value: Value, name: string): Value | undefined {
  const method = findMethod(value, name);
  if (method !== undefined) return bind(value, name, method);
  if (withheldMethods[typeName(value)]?.has(name)) return withheld(value, name);
  const found = value instanceof PyObject ? value.attribute(name) : undefined;
  if (found !== undefined) return name.startsWith("_") ? withheld(value, name) : found;
  return typeof value === "number" ||
    typeof value === "bigint" ||
    typeof value === "boolean" ||
    value instanceof Float
    ? numberAttribute(value, name)
    : undefined;
}

/** How jinja2 names an object in a message. */
function describeObject(value: Value): string {
  return value === null ? "None" : `${typeName(value)} object`;
}

function missing(object: Value, key: Value): Undefined {
  const name = asText(key);
  return new Undefined(() =>
    name === undefined
      ? `${describeObject(object)} has no element ${represent(key)}`
      : `'${describeObject(object)}' has no attribute '${name}'`,
  );
}

/** What texts lack, by name: an undefined value that any text may give, since it names the type alone. */
const missingOfTexts = new Map<string, Undefined>();
/** Names come from templates, but also from their data. */
const maxMissing = 1000;

/**
 * `text.name` and `text["name"]`. Many templates ask each part of a message for its type, and a message of text
 * has its characters for parts: what they lack is found out once.
 */
function attributeOfText(text: string, name: string): Value {
  const known = missingOfTexts.get(name);
  if (known !== undefined) return known;
  const found = findAttribute(text, name);
  if (found !== undefined && !(found instanceof Undefined)) return found;
  // Of the empty text, so that no long one is held.
  const absent = found === undefined ? missing("", name) : withheld("", name);
  if (missingOfTexts.size < maxMissing) missingOfTexts.set(name, absent);
  return absent;
}

/** `object.name`: an attribute first, then an item. Throws for undefined objects. */
export function getAttribute(object: Value, name: string): Value {
  if (typeof object === "string") return attributeOfText(object, name);
  if (object instanceof Undefined) {
    if (!/^__.*__$/.test(name)) checkDefined(object);
    return missing(object, name);
  }
  const attribute = findAttribute(object, name);
  if (attribute !== undefined) return attribute;
  const item = object instanceof Dict ? object.get(name) : undefined;
  return item === undefined ? missing(object, name) : item;
}

/** `object[key]`: an item first, then an attribute. Throws for undefined objects. */
export function getItem(object: Value, key: Value): Value {
  if (typeof object === "string" && typeof key === "string") return attributeOfText(object, key);
  checkDefined(object);
  const item = object instanceof Dict ? getKey(object, key) : itemAt(object, key);
  if (item !== undefined) return item;
  const name = asText(key);
  const attribute = name === undefined ? undefined : findAttribute(object, name);
  return attribute === undefined ? missing(object, key) : attribute;
}

function getKey(dict: Dict, key: Value): Value | undefined {
  try {
    return dict.get(key);
  } catch (error) {
    if (isFailure(error, "TypeError")) return undefined;
    throw error;
  }
}

/** `object[start:stop:step]`. Throws for what cannot be sliced. */
export function getSlice(object: Value, bounds: SliceBounds): Value {
  const sliced = sliceOf(object, bounds);
  if (sliced !== undefined) return sliced;
  checkDefined(object);
  throw object instanceof Dict
    ? typeFailure("unhashable type: 'slice'")
    : typeFailure(`'${typeName(object)}' object is not subscriptable`);
}
