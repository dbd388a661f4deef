/** `format(value, spec)`: Python's mini-language of widths, signs, bases and precisions. */
import { reserve } from "../budget.ts";
import { failure, typeFailure, valueFailure } from "../failure.ts";
import { fixedText, floatText, generalText, scientificText } from "../numbers/float-text.ts";
import { integerText, represent, toText } from "../representation.ts";
import { asText, Float, typeName, type Value } from "../values.ts";
import { codePointLength, sliceCodePoints } from "./text.ts";

interface FormatSpec {
  readonly fill: string;
  readonly align: string;
  readonly sign: string;
  readonly alternate: boolean;
  readonly width: number;
  readonly grouping: string;
  readonly precision: number | undefined;
  readonly type: string;
}

const specPattern =
  /^(?:(.)?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/su;

function parseSpec(text: string, value: Value): FormatSpec {
  const match = specPattern.exec(text);
  if (match === null) {
    throw valueFailure(
      `Invalid format specifier '${text}' for object of type '${typeName(value)}'`,
    );
  }
  const [, fill, align, sign, , alternate, zero, width, grouping, precision, type] = match;
  const spec = {
    fill: fill ?? (zero === undefined ? " " : "0"),
    align: align ?? (zero === undefined || asText(value) !== undefined ? "" : "="),
    sign: sign ?? "",
    alternate: alternate !== undefined,
    width: Number(width ?? 0),
    grouping: grouping ?? "",
    precision: precision === undefined ? undefined : Number(precision),
    type: type ?? "",
  };
  if (spec.width > 10_000_000 || (spec.precision ?? 0) > 100_000) {
    throw valueFailure("Too many decimal digits in format string");
  }
  return spec;
}

/** `format(value, spec)`. */
export function formatValue(value: Value, specText: string): string {
  if (specText === "") return toText(value);
  const text = asText(value);
  if (text !== undefined) return formatText(text, parseSpec(specText, value));
  if (value instanceof Float) return formatFloat(value.value, parseSpec(specText, value), value);
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") {
    return formatInteger(value, parseSpec(specText, value));
  }
  throw typeFailure(`unsupported format string passed to ${typeName(value)}.__format__`);
}

function unknownCode(type: string, value: Value): never {
  throw valueFailure(`Unknown format code '${type}' for object of type '${typeName(value)}'`);
}

function formatText(text: string, spec: FormatSpec): string {
  if (spec.type !== "" && spec.type !== "s") unknownCode(spec.type, text);
  if (spec.sign !== "") throw valueFailure("Sign not allowed in string format specifier");
  if (spec.alternate) {
    throw valueFailure("Alternate form (#) not allowed in string format specifier");
  }
  if (spec.grouping !== "") throw valueFailure(`Cannot specify '${spec.grouping}' with 's'.`);
  if (spec.align === "=") {
    throw valueFailure("'=' alignment not allowed in string format specifier");
  }
  const cut = spec.precision === undefined ? text : sliceCodePoints(text, 0, spec.precision);
  return pad("", cut, { ...spec, align: spec.align || "<" });
}

function formatInteger(value: number | bigint | boolean, spec: FormatSpec): string {
  // A bool without a type is written as the number too, because there is a specification.
  const integer = typeof value === "boolean" ? Number(value) : value;
  if ("eEfFgG%".includes(spec.type) && spec.type !== "") {
    return formatFloat(Number(integer), spec, value);
  }
  if (spec.precision !== undefined) {
    throw valueFailure("Precision not allowed in integer format specifier");
  }
  const size = integer < 0 ? -integer : integer;
  const sign = signText(integer < 0, spec.sign);
  if (spec.type === "c") return formatCharacter(integer, spec);
  const radix = { b: 2, o: 8, x: 16, X: 16, d: 10, n: 10, "": 10 }[spec.type];
  if (radix === undefined) unknownCode(spec.type, value);
  if (spec.grouping === "," && radix !== 10) {
    throw valueFailure(`Cannot specify ',' with '${spec.type}'.`);
  }
  if (spec.grouping !== "" && spec.type === "n")
    throw valueFailure(`Cannot specify '${spec.grouping}' with 'n'.`);
  let digits = radix === 10 ? integerText(size) : size.toString(radix);
  if (spec.type === "X") digits = digits.toUpperCase();
  const prefix = spec.alternate && radix !== 10 ? `0${spec.type}` : "";
  return padNumber(sign + prefix, digits, "", spec, radix === 10 ? 3 : 4);
}

function formatCharacter(code: number | bigint, spec: FormatSpec): string {
  if (spec.sign !== "") throw valueFailure("Sign not allowed with integer format specifier 'c'");
  if (code < 0 || code > 0x10ffff) {
    throw failure("OverflowError", "%c arg not in range(0x110000)");
  }
  const align = spec.align || "<";
  return pad("", String.fromCodePoint(Number(code)), {
    ...spec,
    align: align === "=" ? ">" : align,
  });
}

function signText(negative: boolean, sign: string): string {
  if (negative) return "-";
  return sign === "-" ? "" : sign;
}

function formatFloat(value: number, spec: FormatSpec, original: Value): string {
  const negative = value < 0 || Object.is(value, -0);
  const sign = signText(negative, spec.sign);
  if (!Number.isFinite(value)) {
    const name = Number.isNaN(value) ? "nan" : "inf";
    const text = /[EFG]/.test(spec.type) ? name.toUpperCase() : name;
    const suffix = spec.type === "%" ? "%" : "";
    return padNumber(
      Number.isNaN(value) ? signText(false, spec.sign) : sign,
      text,
      suffix,
      spec,
      3,
    );
  }
  const body = floatBody(Math.abs(value), spec, original);
  const [whole = "", tail = ""] = /^(\d*)(.*)$/s.exec(body)!.slice(1);
  return padNumber(sign, whole, tail, spec, 3);
}

function floatBody(value: number, spec: FormatSpec, original: Value): string {
  const precision = spec.precision ?? 6;
  const point = (text: string): string =>
    spec.alternate && !text.includes(".") ? text.replace(/(?=e|$)/, ".") : text;
  switch (spec.type) {
    case "f":
    case "F":
      return point(fixedText(value, precision));
    case "%":
      return `${point(fixedText(value * 100, precision))}%`;
    case "e":
      return point(scientificText(value, precision));
    case "E":
      return point(scientificText(value, precision)).toUpperCase();
    case "g":
    case "n":
      return generalText(value, precision, spec.alternate);
    case "G":
      return generalText(value, precision, spec.alternate).toUpperCase();
    case "":
      return spec.precision === undefined
        ? floatText(value)
        : withoutType(value, spec.precision, spec.alternate);
    default:
      return unknownCode(spec.type, original);
  }
}

/** Without a type, a precision means `g` with at least one decimal, and an exponent one digit earlier. */
function withoutType(value: number, precision: number, alternate: boolean): string {
  const wanted = precision === 0 ? 1 : precision;
  const general = generalText(value, wanted, alternate);
  if (general.includes("e") || general.includes(".")) return general;
  if (general.length >= wanted && value !== 0) {
    const [mantissa, exponent] = scientificText(value, wanted - 1).split("e");
    return `${mantissa!.replace(/\.?0+$/, "")}e${exponent}`;
  }
  return `${general}.0`;
}

/** Groups digits, with zeros in front up to the width when the fill asks for it. */
function padNumber(
  sign: string,
  digits: string,
  tail: string,
  spec: FormatSpec,
  groupSize: number,
): string {
  const align = spec.align || ">";
  if (spec.grouping === "" || !/^[0-9a-fA-F]+$/.test(digits)) {
    return pad(sign, digits + tail, { ...spec, align });
  }
  let grouped = group(digits, spec.grouping, groupSize);
  if (spec.fill === "0" && align === "=") {
    let padded = digits;
    const target = spec.width - sign.length - tail.length;
    while (grouped.length < target) {
      padded = `0${padded}`;
      grouped = group(padded, spec.grouping, groupSize);
    }
  }
  return pad(sign, grouped + tail, { ...spec, align });
}

function group(digits: string, separator: string, size: number): string {
  const groups: string[] = [];
  for (let end = digits.length; end > 0; end -= size) {
    groups.unshift(digits.slice(Math.max(0, end - size), end));
  }
  return groups.join(separator);
}

function pad(sign: string, body: string, spec: FormatSpec): string {
  const missing = spec.width - codePointLength(sign + body);
  if (missing <= 0) return sign + body;
  reserve(missing);
  if (spec.align === "=") return sign + spec.fill.repeat(missing) + body;
  const before = spec.align === ">" ? missing : spec.align === "^" ? Math.floor(missing / 2) : 0;
  return spec.fill.repeat(before) + sign + body + spec.fill.repeat(missing - before);
}

/** `!s`, `!r` and `!a` before a specification. */
export function convertValue(value: Value, conversion: string): Value {
  return conversion === "s" ? toText(value) : represent(value);
}
