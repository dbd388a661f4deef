/** Python's equality, order and truth. */
import { Dict, DictView, PySet } from "./containers/dict.ts";
import { failure, typeFailure } from "./failure.ts";
import { compareText } from "./strings/text.ts";
import {
  asNumber,
  asText,
  Bytes,
  Float,
  PyObject,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

/** `bool(value)`. */
export function isTrue(value: Value): boolean {
  switch (typeof value) {
    case "boolean":
      return value;
    case "string":
      return value !== "";
    case "number":
      return value !== 0;
    case "bigint":
      return true;
    default:
  }
  if (value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Float) return value.value !== 0;
  if (value instanceof Dict) return value.size > 0;
  if (value instanceof Tuple) return value.items.length > 0;
  if (value instanceof DictView) return value.dict.size > 0;
  if (value instanceof PySet) return value.items.length > 0;
  if (value instanceof Range) return value.length > 0;
  if (value instanceof Bytes) return value.data.length > 0;
  if (value instanceof Undefined) return false;
  return asText(value) !== "";
}

/** `a == b`. */
export function equals(a: Value, b: Value): boolean {
  if (a === b) return !(a instanceof Float && Number.isNaN(a.value));
  if (typeof a === "string" && typeof b === "string") return false;
  const textA = asText(a);
  if (textA !== undefined) return textA === asText(b);
  const numberA = asNumber(a);
  if (numberA !== undefined) {
    const numberB = asNumber(b);
    return numberB !== undefined && numberA <= numberB && numberA >= numberB;
  }
  if (Array.isArray(a)) return Array.isArray(b) && equalItems(a, b);
  if (a === null || b === null) return false;
  return a instanceof PyObject && b instanceof PyObject && equalObjects(a, b);
}

/** What containers compare by: the same object, or equal. */
export function isSameOrEqual(a: Value, b: Value): boolean {
  return a === b || equals(a, b);
}

function equalItems(a: readonly Value[], b: readonly Value[]): boolean {
  return a.length === b.length && a.every((item, index) => isSameOrEqual(item, b[index]!));
}

function equalObjects(a: PyObject, b: PyObject): boolean {
  if (a instanceof Tuple) return b instanceof Tuple && equalItems(a.items, b.items);
  if (a instanceof Dict) return b instanceof Dict && equalDicts(a, b);
  if (a instanceof Undefined) return b instanceof Undefined;
  if (a instanceof Bytes) return b instanceof Bytes && a.data.join() === b.data.join();
  if (a instanceof Range) return b instanceof Range && equalRanges(a, b);
  const itemsA = setItems(a);
  const itemsB = setItems(b);
  if (itemsA === undefined || itemsB?.length !== itemsA.length) return false;
  return itemsA.every((item) => itemsB.some((other) => isSameOrEqual(item, other)));
}

/** Items of what is compared as a set. */
function setItems(value: PyObject): readonly Value[] | undefined {
  if (value instanceof PySet) return value.items;
  return value instanceof DictView && value.kind !== "values" ? value.items : undefined;
}

function equalDicts(a: Dict, b: Dict): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a.entries()) {
    const other = b.get(key);
    if (other === undefined || !isSameOrEqual(value, other)) return false;
  }
  return true;
}

function equalRanges(a: Range, b: Range): boolean {
  if (a.length !== b.length || a.length === 0) return a.length === b.length;
  return a.start === b.start && (a.length === 1 || a.step === b.step);
}

export type OrderOperator = "<" | "<=" | ">" | ">=";

/** `a < b` and its relatives. */
export function compareOrder(operator: OrderOperator, a: Value, b: Value): boolean {
  const numberA = asNumber(a);
  const numberB = asNumber(b);
  if (numberA !== undefined && numberB !== undefined) {
    return holds(operator, numberA, numberB);
  }
  const textA = asText(a);
  const textB = asText(b);
  if (textA !== undefined && textB !== undefined) {
    return holds(operator, compareText(textA, textB), 0);
  }
  if (Array.isArray(a) && Array.isArray(b)) return compareItems(operator, a, b);
  if (a instanceof Tuple && b instanceof Tuple) return compareItems(operator, a.items, b.items);
  if (a instanceof Bytes && b instanceof Bytes) {
    return compareItems(operator, Array.from(a.data), Array.from(b.data));
  }
  checkDefined(a, b);
  throw typeFailure(
    `'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`,
  );
}

function holds(operator: OrderOperator, a: number | bigint, b: number | bigint): boolean {
  if (operator === "<") return a < b;
  if (operator === "<=") return a <= b;
  return operator === ">" ? a > b : a >= b;
}

/** Sequences are ordered by their first difference, then by length. */
function compareItems(operator: OrderOperator, a: readonly Value[], b: readonly Value[]): boolean {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (!isSameOrEqual(a[i]!, b[i]!)) return compareOrder(operator, a[i]!, b[i]!);
  }
  return holds(operator, a.length, b.length);
}

/** `sorted`: stable, also in reverse. */
export function sortValues<Item>(
  items: readonly Item[],
  key: (item: Item) => Value,
  reverse = false,
): Item[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  keyed.sort((a, b) => {
    const [first, second] = reverse ? [b, a] : [a, b];
    if (compareOrder("<", first.key, second.key)) return -1;
    return compareOrder("<", second.key, first.key) ? 1 : 0;
  });
  return keyed.map(({ item }) => item);
}

/** Throws what an operation on an undefined value throws, when one of them is undefined. */
export function checkDefined(...values: readonly Value[]): void {
  for (const value of values) {
    if (value instanceof Undefined) throw failure(value.failureType, value.message);
  }
}
