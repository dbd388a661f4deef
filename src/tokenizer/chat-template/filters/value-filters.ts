/** Filters for numbers and for values of any type. */

import { bindArguments } from "../python/arguments.ts";
import { findAttribute } from "../python/attributes.ts";
import { checkDefined, isTrue } from "../python/compare.ts";
import { failure, isFailure, typeFailure } from "../python/failure.ts";
import { divide, multiply, negate, power } from "../python/numbers/arithmetic.ts";
import { divideRounded, fixedText, roundFloat } from "../python/numbers/float-text.ts";
import {
  parseInteger,
  toFloatValue,
  toInteger,
  truncateFloat,
} from "../python/numbers/parse-number.ts";
import { toText } from "../python/representation.ts";
import { requireInteger } from "../python/strings/string-search.ts";
import {
  asInteger,
  asNumber,
  asText,
  Float,
  fromBigInt,
  typeName,
  Undefined,
} from "../python/values.ts";
import type { Filter, FilterTable } from "./filter.ts";

const defaultFilter: Filter = (value, callArguments) => {
  const [otherwise = "", boolean = false] = bindArguments("default", callArguments, [
    "default_value?",
    "boolean?",
  ]);
  const missing = value instanceof Undefined || (isTrue(boolean) && !isTrue(value));
  return missing ? otherwise : value;
};

const integerFilter: Filter = (value, callArguments) => {
  const [otherwise = 0, base = 10] = bindArguments("int", callArguments, ["default?", "base?"]);
  const text = asText(value);
  try {
    return text === undefined ? toInteger(value) : parseInteger(text, requireInteger(base));
  } catch (error) {
    if (!isFailure(error, "TypeError", "ValueError")) throw error;
  }
  try {
    return truncateFloat(toFloatValue(value));
  } catch (error) {
    if (!isFailure(error, "TypeError", "ValueError", "OverflowError")) throw error;
    return otherwise;
  }
};

const floatFilter: Filter = (value, callArguments) => {
  const [otherwise = new Float(0)] = bindArguments("float", callArguments, ["default?"]);
  try {
    return new Float(toFloatValue(value));
  } catch (error) {
    if (!isFailure(error, "TypeError", "ValueError")) throw error;
    return otherwise;
  }
};

const absolute: Filter = (value, callArguments) => {
  bindArguments("abs", callArguments, []);
  if (value instanceof Float) return new Float(Math.abs(value.value));
  const integer = asInteger(value);
  if (integer === undefined) {
    checkDefined(value);
    throw typeFailure(`bad operand type for abs(): '${typeName(value)}'`);
  }
  return integer < 0 ? negate(integer) : integer;
};

/** `round(value, precision)` of a whole number: halves go to the even neighbour. */
function roundInteger(value: number | bigint, precision: number): number | bigint {
  if (precision >= 0) return value;
  if (-precision > 5000) return 0;
  const unit = 10n ** BigInt(-precision);
  const integer = BigInt(value);
  const rounded = divideRounded(integer < 0n ? -integer : integer, unit) * unit;
  return fromBigInt(integer < 0n ? -rounded : rounded);
}

const round: Filter = (value, callArguments) => {
  const [precision = 0, method = "common"] = bindArguments("round", callArguments, [
    "precision?",
    "method?",
  ]);
  if (!["common", "ceil", "floor"].includes(asText(method) ?? "")) {
    throw failure("FilterArgumentError", "method must be common, ceil or floor");
  }
  if (method !== "common") {
    const unit = power(10, precision);
    const scaled = multiply(value, unit);
    if (asNumber(scaled) === undefined) {
      throw typeFailure(`must be real number, not ${typeName(scaled)}`);
    }
    if (!(scaled instanceof Float)) return divide(asNumber(scaled)!, unit);
    const whole = truncateFloat(
      method === "ceil" ? Math.ceil(scaled.value) : Math.floor(scaled.value),
    );
    return divide(whole, unit);
  }
  const integer = asInteger(value);
  if (integer !== undefined) return roundInteger(integer, requireInteger(precision));
  if (!(value instanceof Float)) {
    checkDefined(value);
    throw typeFailure(`type ${typeName(value)} doesn't define __round__ method`);
  }
  if (!Number.isFinite(value.value)) return value;
  return new Float(roundFloat(value.value, requireInteger(precision)));
};

const decimalUnits: readonly string[] = "kB MB GB TB PB EB ZB YB".split(" ");
const binaryUnits: readonly string[] = "KiB MiB GiB TiB PiB EiB ZiB YiB".split(" ");

const fileSize: Filter = (value, callArguments) => {
  const [binary = false] = bindArguments("filesizeformat", callArguments, ["binary?"]);
  const bytes = toFloatValue(value);
  const base = isTrue(binary) ? 1024 : 1000;
  const units = isTrue(binary) ? binaryUnits : decimalUnits;
  if (bytes === 1) return "1 Byte";
  if (bytes < base) return `${toText(truncateFloat(bytes))} Bytes`;
  let unit = base;
  let name = "";
  for (const candidate of units) {
    name = candidate;
    unit *= base;
    if (bytes < unit) break;
  }
  return `${fixedText((base * bytes) / unit, 1)} ${name}`;
};

const attribute: Filter = (value, callArguments, runtime) => {
  const [name] = bindArguments("attr", callArguments, ["name"]);
  const text = asText(name!);
  if (text === undefined) throw typeFailure("attribute name must be string");
  if (value instanceof Undefined) return runtime.getAttribute(value, text);
  if (findAttribute(value, text) !== undefined) return runtime.getAttribute(value, text);
  return new Undefined(() => `'${typeName(value)} object' has no attribute '${text}'`);
};

export const valueFilters: FilterTable = {
  default: defaultFilter,
  d: defaultFilter,
  int: integerFilter,
  float: floatFilter,
  abs: absolute,
  round,
  filesizeformat: fileSize,
  attr: attribute,
};
