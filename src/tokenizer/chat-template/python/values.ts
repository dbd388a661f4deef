/**
 * Python's values in JavaScript.
 *
 * `None` is null, `bool` is boolean, `str` is string, `list` is an array. An `int` is a safe integer
 * or, beyond that, a bigint; a `float` is a `Float`, so that 1 and 1.0 stay apart. All else is a
 * `PyObject`. Nothing of JavaScript is reachable from a template: attributes are looked up in tables.
 */
import type { Runtime } from "./runtime-type.ts";

export type Value = null | boolean | number | bigint | string | Value[] | PyObject;

/** A value that JavaScript has no type for. */
export abstract class PyObject {
  /** Name of the type, as Python's messages give it. */
  abstract readonly typeName: string;

  /** A data attribute of this object, or undefined when it has none of this name. */
  attribute(_name: string): Value | undefined {
    return undefined;
  }
}

/** `float`. */
export class Float extends PyObject {
  readonly typeName: string = "float";
  readonly value: number;

  constructor(value: number) {
    super();
    this.value = value;
  }
}

/** `markupsafe.Markup`: a string that counts as escaped. */
export class Markup extends PyObject {
  readonly typeName: string = "Markup";
  readonly text: string;

  constructor(text: string) {
    super();
    this.text = text;
  }
}

/** `bytes`, as `str.encode` makes them. */
export class Bytes extends PyObject {
  readonly typeName: string = "bytes";
  readonly data: Uint8Array;

  constructor(data: Uint8Array) {
    super();
    this.data = data;
  }
}

/** `tuple`. */
export class Tuple extends PyObject {
  readonly typeName: string = "tuple";
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    super();
    this.items = items;
  }
}

/** `range`. */
export class Range extends PyObject {
  readonly typeName: string = "range";
  readonly start: number;
  readonly stop: number;
  readonly step: number;
  readonly length: number;

  constructor(start: number, stop: number, step: number) {
    super();
    this.start = start;
    this.stop = stop;
    this.step = step;
    this.length = Math.max(0, Math.ceil((stop - start) / step));
  }

  override attribute(name: string): Value | undefined {
    return name === "start" || name === "stop" || name === "step" ? this[name] : undefined;
  }
}

/** An iterator that can be gone through once, e.g. what `map` returns. */
export class PyIterator extends PyObject implements IterableIterator<Value> {
  readonly typeName: string;
  readonly #source: Iterator<Value>;

  constructor(source: Iterator<Value>, typeName = "generator") {
    super();
    this.#source = source;
    this.typeName = typeName;
  }

  next(): IteratorResult<Value> {
    return this.#source.next();
  }

  [Symbol.iterator](): this {
    return this;
  }
}

/** jinja2's `Undefined`: prints as nothing, is false and empty; nearly all else fails. */
export class Undefined extends PyObject {
  readonly typeName: string = "Undefined";
  /** Name of the exception in Python. */
  readonly failureType: string;
  readonly #describe: () => string;

  constructor(describe: () => string, failureType = "UndefinedError") {
    super();
    this.#describe = describe;
    this.failureType = failureType;
  }

  /** What an operation on it fails with. */
  get message(): string {
    return this.#describe();
  }
}

/** Arguments of a call. */
export interface CallArguments {
  readonly positional: readonly Value[];
  readonly keyword: ReadonlyMap<string, Value>;
}

export type Invocation = (callArguments: CallArguments, runtime: Runtime) => Value;

/** A value that can be called. */
export abstract class Invocable extends PyObject {
  abstract invoke(callArguments: CallArguments, runtime: Runtime): Value;
}

/** A function, a bound method or a class. */
export class Callable extends Invocable {
  readonly typeName: string;
  readonly name: string;
  readonly #invocation: Invocation;

  constructor(name: string, invocation: Invocation, typeName = "builtin_function_or_method") {
    super();
    this.name = name;
    this.#invocation = invocation;
    this.typeName = typeName;
  }

  override invoke(callArguments: CallArguments, runtime: Runtime): Value {
    return this.#invocation(callArguments, runtime);
  }
}

/** Name of a value's type, as Python's messages give it. */
export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "number":
    case "bigint":
      return "int";
    case "string":
      return "str";
    default:
      return Array.isArray(value) ? "list" : value.typeName;
  }
}

/** The text of a `str` (or `Markup`), undefined for any other value. */
export function asText(value: Value): string | undefined {
  if (typeof value === "string") return value;
  return value instanceof Markup ? value.text : undefined;
}

/** The number of an `int`, `bool` or `float`, undefined for any other value. */
export function asNumber(value: Value): number | bigint | undefined {
  if (typeof value === "number" || typeof value === "bigint") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  return value instanceof Float ? value.value : undefined;
}

/** The number of an `int` or `bool`, undefined for any other value. */
export function asInteger(value: Value): number | bigint | undefined {
  return value instanceof Float ? undefined : asNumber(value);
}

/** A bigint as an `int`. */
export function fromBigInt(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;
}
