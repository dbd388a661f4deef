/** The tests that `is` asks: `is defined`, `is string`, `is divisibleby 3`, … */
import { bindPositional } from "./python/arguments.ts";
import { compareOrder, equals, type OrderOperator } from "./python/compare.ts";
import { Dict } from "./python/containers/dict.ts";
import { contains, isIterable } from "./python/containers/sequence.ts";
import { modulo } from "./python/numbers/modulo.ts";
import { toText } from "./python/representation.ts";
import type { Runtime } from "./python/runtime-type.ts";
import { hasOnlyCase } from "./python/strings/letter-case.ts";
import {
  asInteger,
  asNumber,
  asText,
  Bytes,
  type CallArguments,
  Float,
  Invocable,
  Markup,
  Range,
  Tuple,
  Undefined,
  type Value,
} from "./python/values.ts";

/** Says something about a value. */
export type ValueTest = (value: Value, callArguments: CallArguments, runtime: Runtime) => boolean;

function alone(
  name: string,
  ask: (value: Value, runtime: Runtime) => boolean,
): [string, ValueTest] {
  return [
    name,
    (value, callArguments, runtime) => {
      bindPositional(name, callArguments, 0, 0);
      return ask(value, runtime);
    },
  ];
}

function beside(
  names: string,
  ask: (value: Value, other: Value) => boolean,
): [string, ValueTest][] {
  return names.split(" ").map((name) => [
    name,
    (value, callArguments) => {
      const [other] = bindPositional(name, callArguments, 1, 1);
      return ask(value, other!);
    },
  ]);
}

function ordered(names: string, operator: OrderOperator): [string, ValueTest][] {
  return beside(names, (value, other) => compareOrder(operator, value, other));
}

/** Whether the value has a length and items by index or key. */
function isSequence(value: Value): boolean {
  return (
    Array.isArray(value) ||
    asText(value) !== undefined ||
    value instanceof Tuple ||
    value instanceof Dict ||
    value instanceof Range ||
    value instanceof Bytes ||
    value instanceof Undefined
  );
}

/** Whether two values are one object; numbers and texts count by type and value. */
function isSame(a: Value, b: Value): boolean {
  return a === b || (a instanceof Float && b instanceof Float && equals(a, b));
}

function leaves(value: Value, divisor: Value, rest: number): boolean {
  return equals(modulo(value, divisor), rest);
}

/** All tests by name. */
export const valueTests: ReadonlyMap<string, ValueTest> = new Map([
  alone("defined", (value) => !(value instanceof Undefined)),
  alone("undefined", (value) => value instanceof Undefined),
  alone("none", (value) => value === null),
  alone("boolean", (value) => typeof value === "boolean"),
  alone("true", (value) => value === true),
  alone("false", (value) => value === false),
  alone("integer", (value) => typeof value !== "boolean" && asInteger(value) !== undefined),
  alone("float", (value) => value instanceof Float),
  alone("number", (value) => asNumber(value) !== undefined),
  alone("string", (value) => asText(value) !== undefined),
  alone("mapping", (value) => value instanceof Dict),
  alone("sequence", isSequence),
  alone("iterable", isIterable),
  alone("callable", (value) => value instanceof Invocable || value instanceof Undefined),
  alone("escaped", (value) => value instanceof Markup),
  alone("lower", (value) => hasOnlyCase(toText(value), "lower")),
  alone("upper", (value) => hasOnlyCase(toText(value), "upper")),
  alone("odd", (value) => leaves(value, 2, 1)),
  alone("even", (value) => leaves(value, 2, 0)),
  alone("filter", (value, runtime) => runtime.hasFilter(value)),
  alone("test", (value, runtime) => runtime.hasTest(value)),
  ...beside("divisibleby", (value, divisor) => leaves(value, divisor, 0)),
  ...beside("sameas", isSame),
  ...beside("in", (value, container) => contains(container, value)),
  ...beside("== eq equalto", equals),
  ...beside("!= ne", (value, other) => !equals(value, other)),
  ...ordered("< lt lessthan", "<"),
  ...ordered("<= le", "<="),
  ...ordered("> gt greaterthan", ">"),
  ...ordered(">= ge", ">="),
]);
