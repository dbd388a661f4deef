/** Going through values, their length, items, slices and what they contain. */
import { reserve, spend } from "../budget.ts";
import { checkDefined, isSameOrEqual } from "../compare.ts";
import { typeFailure, valueFailure } from "../failure.ts";
import { codePointLength, codePoints, isBasic } from "../strings/text.ts";
import {
  asInteger,
  asText,
  Bytes,
  Markup,
  PyIterator,
  PyObject,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "../values.ts";
import { Dict, DictView, PySet } from "./dict.ts";

/** The items of a value that has them all at hand; undefined for iterators and what has no items. */
export function itemsOf(value: Value): readonly Value[] | undefined {
  if (Array.isArray(value)) return value;
  const text = asText(value);
  if (text !== undefined) return codePoints(text);
  if (value instanceof Tuple) return value.items;
  if (value instanceof Dict) return value.keys();
  if (value instanceof DictView || value instanceof PySet) return value.items;
  if (value instanceof Range) {
    spend(value.length);
    return Array.from({ length: value.length }, (_, i) => value.start + i * value.step);
  }
  if (value instanceof Bytes) return Array.from(value.data);
  return value instanceof Undefined ? [] : undefined;
}

/** An object of the runtime that Python's `iter` takes, such as a loop. */
export interface IterableObject extends PyObject {
  [Symbol.iterator](): Iterator<Value>;
}

function isIterableObject(value: Value): value is IterableObject {
  return value !== null && typeof value === "object" && Symbol.iterator in value;
}

/** `iter(value)`. */
export function iterate(value: Value): Iterator<Value> {
  const items = itemsOf(value);
  if (items !== undefined) {
    spend(items.length);
    return items[Symbol.iterator]();
  }
  if (isIterableObject(value)) return value[Symbol.iterator]();
  checkDefined(value);
  throw typeFailure(`'${typeName(value)}' object is not iterable`);
}

/** True when `iter(value)` works. */
export function isIterable(value: Value): boolean {
  return value instanceof Range || itemsOf(value) !== undefined || isIterableObject(value);
}

/** `list(value)`. */
export function toList(value: Value): Value[] {
  const items = itemsOf(value);
  if (items !== undefined) {
    spend(items.length);
    return [...items];
  }
  const list: Value[] = [];
  const iterator = iterate(value);
  for (let step = iterator.next(); step.done !== true; step = iterator.next()) {
    spend();
    list.push(step.value);
  }
  return list;
}

/** `len(value)`, undefined when it has none. */
export function lengthOf(value: Value): number | undefined {
  if (Array.isArray(value)) return value.length;
  const text = asText(value);
  if (text !== undefined) return codePointLength(text);
  if (value instanceof Tuple) return value.items.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof DictView) return value.dict.size;
  if (value instanceof PySet) return value.items.length;
  if (value instanceof Range) return value.length;
  if (value instanceof Bytes) return value.data.length;
  if (value instanceof Undefined) return 0;
  const length = value instanceof PyObject ? value.attribute("__len__") : undefined;
  return typeof length === "number" ? length : undefined;
}

/** `len(value)`. */
export function requireLength(value: Value): number {
  const length = lengthOf(value);
  if (length === undefined) {
    checkDefined(value);
    throw typeFailure(`object of type '${typeName(value)}' has no len()`);
  }
  return length;
}

/** `item in container`. */
export function contains(container: Value, item: Value): boolean {
  const text = asText(container);
  if (text !== undefined) {
    const part = asText(item);
    if (part !== undefined) return text.includes(part);
    throw typeFailure(`'in <string>' requires string as left operand, not ${typeName(item)}`);
  }
  if (container instanceof Dict || container instanceof PySet) return container.has(item);
  if (container instanceof DictView && container.kind === "keys") return container.dict.has(item);
  if (container instanceof Range) return rangeIndex(container, item) !== undefined;
  if (container !== null && !isIterable(container)) checkDefined(container);
  if (container === null || !isIterable(container)) {
    throw typeFailure(`argument of type '${typeName(container)}' is not iterable`);
  }
  const iterator = iterate(container);
  for (let step = iterator.next(); step.done !== true; step = iterator.next()) {
    if (isSameOrEqual(step.value, item)) return true;
  }
  return false;
}

/** Where a value stands in a range. */
export function rangeIndex(range: Range, item: Value): number | undefined {
  const number = typeof item === "boolean" ? Number(item) : item;
  for (let i = 0; i < range.length; i++) {
    if (isSameOrEqual(range.start + i * range.step, number)) return i;
  }
  return undefined;
}

/** An index that counts from the end when negative; undefined when there is no such item. */
function resolveIndex(index: Value, length: number): number | undefined {
  const integer = asInteger(index);
  if (integer === undefined) return undefined;
  const at = Number(integer) < 0 ? Number(integer) + length : Number(integer);
  return at >= 0 && at < length ? at : undefined;
}

/** `value[index]` of a value with items in order; undefined when there is no such item. */
export function itemAt(value: Value, index: Value): Value | undefined {
  const text = asText(value);
  if (text !== undefined) {
    if (asInteger(index) === undefined) return undefined;
    const characters = isBasic(text) ? text : codePoints(text);
    const at = resolveIndex(index, characters.length);
    if (at === undefined) return undefined;
    return value instanceof Markup ? new Markup(characters[at]!) : characters[at]!;
  }
  if (value instanceof Range) {
    const at = resolveIndex(index, value.length);
    return at === undefined ? undefined : value.start + at * value.step;
  }
  const items = itemsInOrder(value);
  if (items === undefined) return undefined;
  const at = resolveIndex(index, items.length);
  return at === undefined ? undefined : items[at];
}

function itemsInOrder(value: Value): readonly Value[] | undefined {
  if (Array.isArray(value)) return value;
  if (value instanceof Tuple) return value.items;
  return value instanceof Bytes ? Array.from(value.data) : undefined;
}

/** Start, stop and step of a slice; null where the template leaves them out. */
export interface SliceBounds {
  readonly start: Value;
  readonly stop: Value;
  readonly step: Value;
}

interface ResolvedSlice {
  readonly start: number;
  readonly stop: number;
  readonly step: number;
  readonly count: number;
}

function sliceNumber(value: Value): number | undefined {
  if (value === null) return undefined;
  const integer = asInteger(value);
  if (integer === undefined) {
    throw typeFailure("slice indices must be integers or None or have an __index__ method");
  }
  return Number(integer);
}

/** Bounds of a slice in a sequence of this length. */
function resolveSlice(bounds: SliceBounds, length: number): ResolvedSlice {
  const step = sliceNumber(bounds.step) ?? 1;
  if (step === 0) throw valueFailure("slice step cannot be zero");
  const [lowest, highest] = step > 0 ? [0, length] : [-1, length - 1];
  const clamp = (value: number): number =>
    Math.min(highest, Math.max(lowest, value < 0 ? value + length : value));
  const first = sliceNumber(bounds.start);
  const last = sliceNumber(bounds.stop);
  const start = first === undefined ? (step > 0 ? lowest : highest) : clamp(first);
  const stop = last === undefined ? (step > 0 ? highest : lowest) : clamp(last);
  return { start, stop, step, count: Math.max(0, Math.ceil((stop - start) / step)) };
}

function pick<Item>(items: ArrayLike<Item>, slice: ResolvedSlice): Item[] {
  const { start, step, count } = slice;
  return Array.from({ length: count }, (_, i) => items[start + i * step]!);
}

/** `value[start:stop:step]`; undefined when the value cannot be sliced. */
export function sliceOf(value: Value, bounds: SliceBounds): Value | undefined {
  const text = asText(value);
  if (text !== undefined) {
    const sliced = sliceText(text, bounds);
    return value instanceof Markup ? new Markup(sliced) : sliced;
  }
  if (Array.isArray(value)) return pick(value, resolveSlice(bounds, value.length));
  if (value instanceof Tuple) {
    return new Tuple(pick(value.items, resolveSlice(bounds, value.items.length)));
  }
  if (value instanceof Bytes) {
    return new Bytes(Uint8Array.from(pick(value.data, resolveSlice(bounds, value.data.length))));
  }
  if (!(value instanceof Range)) return undefined;
  const { start, stop, step } = resolveSlice(bounds, value.length);
  // The end as Python has it, which a range shows when it is printed.
  const at = (place: number): number => value.start + place * value.step;
  return new Range(at(start), at(stop), step * value.step);
}

function sliceText(text: string, bounds: SliceBounds): string {
  const characters = isBasic(text) ? text : codePoints(text);
  const slice = resolveSlice(bounds, characters.length);
  if (slice.step !== 1) return pick(characters, slice).join("");
  const part = characters.slice(slice.start, slice.start + slice.count);
  return typeof part === "string" ? part : part.join("");
}

/** `reversed(value)`; undefined for values that can only be iterated in order. */
export function reversed(value: Value): PyIterator | undefined {
  const backwards =
    Array.isArray(value) ||
    asText(value) !== undefined ||
    value instanceof Tuple ||
    value instanceof Dict ||
    value instanceof DictView ||
    value instanceof Range ||
    value instanceof Bytes;
  if (!backwards) return undefined;
  const items = [...itemsOf(value)!].reverse();
  spend(items.length);
  return new PyIterator(items[Symbol.iterator](), "reversed");
}

/** Exactly this many items, as an assignment to several names takes them. */
export function unpack(value: Value, count: number): readonly Value[] {
  if (!isIterable(value)) {
    checkDefined(value);
    throw typeFailure(`cannot unpack non-iterable ${typeName(value)} object`);
  }
  const items = toList(value);
  if (items.length > count) {
    throw valueFailure(`too many values to unpack (expected ${count})`);
  }
  if (items.length < count) {
    throw valueFailure(`not enough values to unpack (expected ${count}, got ${items.length})`);
  }
  return items;
}

/** `str.join` and the like: texts with a separator between them. */
export function joinTexts(texts: readonly string[], separator: string): string {
  let length = separator.length * Math.max(0, texts.length - 1);
  for (const text of texts) length += text.length;
  reserve(length);
  // Templates append to one text again and again: adding copies nothing, joining copies all of it.
  if (separator !== "" || texts.length > 16) return texts.join(separator);
  let joined = "";
  for (const text of texts) joined += text;
  return joined;
}
