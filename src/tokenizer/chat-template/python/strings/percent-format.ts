/** `template % values`: formatting as C's `printf` does it. */
import { reserve } from "../budget.ts";
import { checkDefined } from "../compare.ts";
import { Dict } from "../containers/dict.ts";
import { failure, typeFailure, valueFailure } from "../failure.ts";
import { fixedText, generalText, scientificText } from "../numbers/float-text.ts";
import { toFloatValue, truncateFloat } from "../numbers/parse-number.ts";
import { integerText, represent, representAscii, toText } from "../representation.ts";
import {
  asInteger,
  asNumber,
  asText,
  Bytes,
  Float,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "../values.ts";
import { codePointLength, sliceCodePoints } from "./text.ts";

const directive =
  /%(?:\(((?:[^()]|\([^()]*\))*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?(.)?/gsu;

interface Directive {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly type: string;
}

/** How the texts of `%s`, `%r` and `%a` are made; `Markup` escapes them. */
export interface PercentTexts {
  text(value: Value): string;
  representation(value: Value): string;
}

const plainTexts: PercentTexts = { text: toText, representation: represent };

/** `template % values`. */
export function formatPercent(
  template: string,
  values: Value,
  texts: PercentTexts = plainTexts,
): string {
  const source = new PercentArguments(values);
  const formatted = template.replace(
    directive,
    (whole, key: string | undefined, flags: string, width, precision, type, at: number) => {
      if (type === undefined) throw valueFailure("incomplete format");
      if (type === "%" && whole === "%%") return "%";
      if (key !== undefined) source.selectKey(key);
      const wantedWidth = width === "*" ? source.nextNumber() : Number(width ?? 0);
      const hasPrecision = /\./.test(whole.slice(whole.lastIndexOf(")") + 1, -type.length));
      const digits = precision === "*" ? source.nextNumber() : Number(precision ?? 0);
      const parsed: Directive = {
        flags: wantedWidth < 0 ? `${flags}-` : flags,
        width: Math.abs(wantedWidth),
        precision: hasPrecision ? Math.max(0, digits) : undefined,
        type,
      };
      if (!"diouxXeEfFgGcrsa".includes(type)) {
        const code = type.codePointAt(0).toString(16);
        throw valueFailure(
          `unsupported format character '${type}' (0x${code}) at index ${at + whole.length - type.length}`,
        );
      }
      return convert(parsed, source.next(), texts);
    },
  );
  source.checkAllUsed();
  return formatted;
}

/** The values of a format in their order, or those of a mapping by name. */
class PercentArguments {
  readonly #values: Value;
  readonly #items: readonly Value[];
  #next = 0;
  #selected: Value | undefined;

  constructor(values: Value) {
    this.#values = values;
    this.#items = values instanceof Tuple ? values.items : [values];
  }

  selectKey(key: string): void {
    checkDefined(this.#values);
    if (!(this.#values instanceof Dict)) throw typeFailure("format requires a mapping");
    const value = this.#values.get(key);
    if (value === undefined) throw failure("KeyError", represent(key));
    this.#selected = value;
  }

  next(): Value {
    const selected = this.#selected;
    this.#selected = undefined;
    if (selected !== undefined) return selected;
    const value = this.#items[this.#next++];
    if (value === undefined) throw typeFailure("not enough arguments for format string");
    return value;
  }

  nextNumber(): number {
    const integer = asInteger(this.next());
    if (integer === undefined) throw typeFailure("* wants int");
    return Number(integer);
  }

  checkAllUsed(): void {
    // What can be asked for items by key may hold more than is used.
    const values = this.#values;
    const byKey =
      Array.isArray(values) ||
      [Dict, Range, Bytes, Undefined].some((type) => values instanceof type);
    if (!byKey && this.#next < this.#items.length) {
      throw typeFailure("not all arguments converted during string formatting");
    }
  }
}

function convert(parsed: Directive, value: Value, texts: PercentTexts): string {
  const { type, precision } = parsed;
  if ("sra".includes(type)) {
    const text =
      type === "s"
        ? texts.text(value)
        : type === "r"
          ? texts.representation(value)
          : representAscii(value);
    return pad(
      "",
      precision === undefined ? text : sliceCodePoints(text, 0, precision),
      parsed,
      false,
    );
  }
  if (type === "c") return pad("", character(value), parsed, false);
  return "eEfFgG".includes(type) ? convertFloat(parsed, value) : convertInteger(parsed, value);
}

function character(value: Value): string {
  const text = asText(value);
  if (text !== undefined && codePointLength(text) === 1) return text;
  const code = asInteger(value);
  if (code === undefined) throw typeFailure("%c requires int or char");
  if (code < 0 || code > 0x10ffff) {
    throw failure("OverflowError", "%c arg not in range(0x110000)");
  }
  return String.fromCodePoint(Number(code));
}

function convertInteger(parsed: Directive, value: Value): string {
  const { type, flags } = parsed;
  const decimal = type === "d" || type === "i" || type === "u";
  const integer = decimal && value instanceof Float ? truncateFloat(value.value) : asInteger(value);
  if (integer === undefined) {
    throw typeFailure(
      decimal
        ? `%${type} format: a real number is required, not ${typeName(value)}`
        : `%${type} format: an integer is required, not ${typeName(value)}`,
    );
  }
  const size = integer < 0 ? -integer : integer;
  let digits = decimal ? integerText(size) : size.toString(type === "o" ? 8 : 16);
  if (parsed.precision !== undefined) digits = digits.padStart(parsed.precision, "0");
  if (type === "X") digits = digits.toUpperCase();
  const prefix = flags.includes("#") && !decimal ? `0${type}` : "";
  return pad(signText(integer < 0, flags) + prefix, digits, parsed, true);
}

function convertFloat(parsed: Directive, value: Value): string {
  if (asNumber(value) === undefined) {
    throw typeFailure(`must be real number, not ${typeName(value)}`);
  }
  const float = toFloatValue(value);
  const { type, flags } = parsed;
  const precision = parsed.precision ?? 6;
  const alternate = flags.includes("#");
  const size = Math.abs(float);
  let text: string;
  if (!Number.isFinite(float)) text = Number.isNaN(float) ? "nan" : "inf";
  else if (/f/i.test(type)) text = fixedText(size, precision);
  else if (/e/i.test(type)) text = scientificText(size, precision);
  else text = generalText(size, precision, alternate);
  if (alternate && !text.includes(".") && Number.isFinite(float)) {
    text = text.replace(/(?=e|$)/, ".");
  }
  if (type >= "A" && type <= "Z") text = text.toUpperCase();
  return pad(signText(float < 0 || Object.is(float, -0), flags), text, parsed, true);
}

function signText(negative: boolean, flags: string): string {
  if (negative) return "-";
  if (flags.includes("+")) return "+";
  return flags.includes(" ") ? " " : "";
}

function pad(sign: string, body: string, parsed: Directive, numeric: boolean): string {
  const missing = parsed.width - codePointLength(sign + body);
  if (missing <= 0) return sign + body;
  reserve(missing);
  if (parsed.flags.includes("-")) return sign + body + " ".repeat(missing);
  if (numeric && parsed.flags.includes("0")) return sign + "0".repeat(missing) + body;
  return " ".repeat(missing) + sign + body;
}
