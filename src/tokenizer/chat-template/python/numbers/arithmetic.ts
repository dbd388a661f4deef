/** Python's arithmetic: whole numbers without bounds, floats apart from them, sequences. */
import { reserve } from "../budget.ts";
import { checkDefined } from "../compare.ts";
import { DictView, PySet } from "../containers/dict.ts";
import { toList } from "../containers/sequence.ts";
import { failure, type TemplateFailure, typeFailure } from "../failure.ts";
import { escapeMarkup } from "../strings/markup.ts";
import {
  asInteger,
  asNumber,
  asText,
  Bytes,
  Float,
  fromBigInt,
  Markup,
  Tuple,
  typeName,
  type Value,
} from "../values.ts";
import { divideIntegers, toFloat } from "./division.ts";
import { powerOf } from "./power.ts";

function unsupported(operator: string, a: Value, b: Value): TemplateFailure {
  checkDefined(a, b);
  return typeFailure(
    `unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`,
  );
}

interface IntegerOperation {
  quick(a: number, b: number): number;
  exact(a: bigint, b: bigint): bigint;
}

/** Computes with doubles where the result is exact, with bigints otherwise. */
function computeInteger(
  operation: IntegerOperation,
  a: number | bigint,
  b: number | bigint,
): number | bigint {
  if (typeof a === "number" && typeof b === "number") {
    const result = operation.quick(a, b);
    if (Number.isSafeInteger(result)) return result + 0;
  }
  return fromBigInt(operation.exact(BigInt(a), BigInt(b)));
}

const addition: IntegerOperation = { quick: (a, b) => a + b, exact: (a, b) => a + b };
const subtraction: IntegerOperation = { quick: (a, b) => a - b, exact: (a, b) => a - b };
const multiplication: IntegerOperation = { quick: (a, b) => a * b, exact: (a, b) => a * b };

/** Both numbers, and whether either is a float; undefined when one is no number. */
function numbersOf(
  a: Value,
  b: Value,
): { x: number | bigint; y: number | bigint; float: boolean } | undefined {
  const x = asNumber(a);
  const y = asNumber(b);
  if (x === undefined || y === undefined) return undefined;
  return { x, y, float: a instanceof Float || b instanceof Float };
}

/** `a + b`. */
export function add(a: Value, b: Value): Value {
  if (typeof a === "string" && typeof b === "string") {
    reserve(a.length + b.length);
    return a + b;
  }
  const numbers = numbersOf(a, b);
  if (numbers !== undefined) {
    const { x, y, float } = numbers;
    return float ? new Float(toFloat(x) + toFloat(y)) : computeInteger(addition, x, y);
  }
  const textA = asText(a);
  const textB = asText(b);
  if (textA !== undefined && textB !== undefined) {
    const [left, right] = [escapeMarkup(a), escapeMarkup(b)];
    reserve(left.length + right.length);
    return new Markup(left + right);
  }
  return addSequences(a, b);
}

function addSequences(a: Value, b: Value): Value {
  if (Array.isArray(a) && Array.isArray(b)) {
    reserve(a.length + b.length);
    return [...a, ...b];
  }
  if (a instanceof Tuple && b instanceof Tuple) {
    reserve(a.items.length + b.items.length);
    return new Tuple([...a.items, ...b.items]);
  }
  if (a instanceof Bytes && b instanceof Bytes) {
    return new Bytes(Uint8Array.from([...a.data, ...b.data]));
  }
  checkDefined(a, b);
  const name = asText(a) === undefined ? typeName(a) : "str";
  if (name === "str" || name === "list" || name === "tuple") {
    throw typeFailure(`can only concatenate ${name} (not "${typeName(b)}") to ${name}`);
  }
  throw unsupported("+", a, b);
}

/** `a - b`. */
export function subtract(a: Value, b: Value): Value {
  const numbers = numbersOf(a, b);
  if (numbers === undefined) return subtractItems(a, b);
  const { x, y, float } = numbers;
  return float ? new Float(toFloat(x) - toFloat(y)) : computeInteger(subtraction, x, y);
}

/** The items of a set, or of a dict's view, without those of another value. */
function subtractItems(a: Value, b: Value): Value {
  const isSet = (value: Value): value is DictView | PySet =>
    value instanceof PySet || (value instanceof DictView && value.kind !== "values");
  if (!isSet(a) || (a instanceof PySet && !isSet(b))) throw unsupported("-", a, b);
  const removed = new PySet(toList(b));
  return new PySet(a.items.filter((item) => !removed.has(item)));
}

/** `a * b`. */
export function multiply(a: Value, b: Value): Value {
  const numbers = numbersOf(a, b);
  if (numbers !== undefined) {
    const { x, y, float } = numbers;
    return float ? new Float(toFloat(x) * toFloat(y)) : computeInteger(multiplication, x, y);
  }
  return repeat(a, b) ?? repeat(b, a) ?? refuseProduct(a, b);
}

function refuseProduct(a: Value, b: Value): never {
  checkDefined(a, b);
  for (const [sequence, other] of [
    [a, b],
    [b, a],
  ] as const) {
    if (asText(sequence) !== undefined || Array.isArray(sequence) || sequence instanceof Tuple) {
      throw typeFailure(`can't multiply sequence by non-int of type '${typeName(other)}'`);
    }
  }
  throw unsupported("*", a, b);
}

/** A sequence a whole number of times; undefined when these are no sequence and whole number. */
function repeat(sequence: Value, count: Value): Value | undefined {
  const integer = asInteger(count);
  if (integer === undefined) return undefined;
  const times = Number(integer) > 0 ? Number(integer) : 0;
  const text = asText(sequence);
  if (text !== undefined) {
    reserve(text.length * times);
    const repeated = text === "" ? "" : text.repeat(times);
    return sequence instanceof Markup ? new Markup(repeated) : repeated;
  }
  const items = Array.isArray(sequence)
    ? sequence
    : sequence instanceof Tuple
      ? sequence.items
      : undefined;
  if (items === undefined) return undefined;
  reserve(items.length * times);
  const repeated: Value[] = [];
  if (items.length > 0) for (let i = 0; i < times; i++) repeated.push(...items);
  return Array.isArray(sequence) ? repeated : new Tuple(repeated);
}

function divisionByZero(message: string): TemplateFailure {
  return failure("ZeroDivisionError", message);
}

/** `a / b`: always a float. */
export function divide(a: Value, b: Value): Value {
  const numbers = numbersOf(a, b);
  if (numbers === undefined) throw unsupported("/", a, b);
  const { x, y, float } = numbers;
  if (isZero(y)) throw divisionByZero(float ? "float division by zero" : "division by zero");
  if (float || (typeof x === "number" && typeof y === "number")) {
    return new Float(toFloat(x) / toFloat(y));
  }
  const quotient = divideIntegers(BigInt(x), BigInt(y));
  if (!Number.isFinite(quotient)) {
    throw failure("OverflowError", "integer division result too large for a float");
  }
  return new Float(quotient);
}

function isZero(value: number | bigint): boolean {
  return typeof value === "bigint" ? value === 0n : value === 0;
}

/** `a // b`. */
export function floorDivide(a: Value, b: Value): Value {
  const numbers = numbersOf(a, b);
  if (numbers === undefined) throw unsupported("//", a, b);
  const { x, y, float } = numbers;
  if (isZero(y)) {
    throw divisionByZero(
      float ? "float floor division by zero" : "integer division or modulo by zero",
    );
  }
  return float
    ? new Float(divideFloats(toFloat(x), toFloat(y)).quotient)
    : computeInteger(integerQuotient, x, y);
}

const integerQuotient: IntegerOperation = {
  // A quotient of safe integers can round up to the next whole number, so the remainder decides.
  quick: (a, b) => (a - integerRemainder.quick(a, b)) / b,
  exact: (a, b) => (a - integerRemainder.exact(a, b)) / b,
};

/** The remainder has the sign of the divisor. */
const integerRemainder: IntegerOperation = {
  quick(a, b) {
    const rest = a % b;
    return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
  },
  exact(a, b) {
    const rest = a % b;
    return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
  },
};

/** `divmod` of floats. */
function divideFloats(a: number, b: number): { quotient: number; remainder: number } {
  let remainder = a % b;
  let quotient = (a - remainder) / b;
  if (remainder !== 0) {
    if (b < 0 !== remainder < 0) {
      remainder += b;
      quotient -= 1;
    }
  } else {
    remainder = b < 0 || Object.is(b, -0) ? -0 : 0;
  }
  if (quotient === 0) return { quotient: a / b < 0 || Object.is(a / b, -0) ? -0 : 0, remainder };
  const whole = Math.floor(quotient);
  return { quotient: quotient - whole > 0.5 ? whole + 1 : whole, remainder };
}

/** The remainder of numbers; `%` of a string formats instead. */
export function remainder(a: Value, b: Value): Value {
  const numbers = numbersOf(a, b);
  if (numbers === undefined) throw unsupported("%", a, b);
  const { x, y, float } = numbers;
  if (isZero(y)) throw divisionByZero(float ? "float modulo" : "integer modulo by zero");
  return float
    ? new Float(divideFloats(toFloat(x), toFloat(y)).remainder)
    : computeInteger(integerRemainder, x, y);
}

/** `a ** b`. */
export function power(a: Value, b: Value): Value {
  const numbers = numbersOf(a, b);
  if (numbers === undefined) throw unsupported("** or pow()", a, b);
  return powerOf(numbers.x, numbers.y, numbers.float);
}

/** `-a`. */
export function negate(a: Value): Value {
  if (a instanceof Float) return new Float(-a.value);
  const integer = asInteger(a);
  if (integer === undefined) throw refuseSign("-", a);
  return typeof integer === "bigint" ? fromBigInt(-integer) : 0 - integer;
}

/** `+a`. */
export function positive(a: Value): Value {
  if (a instanceof Float) return a;
  const integer = asInteger(a);
  if (integer === undefined) throw refuseSign("+", a);
  return integer;
}

function refuseSign(sign: string, a: Value): TemplateFailure {
  checkDefined(a);
  return typeFailure(`bad operand type for unary ${sign}: '${typeName(a)}'`);
}
