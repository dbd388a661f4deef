/** `int(…)` and `float(…)` of texts and numbers. */
import { checkDefined } from "../compare.ts";
import { failure, typeFailure, valueFailure } from "../failure.ts";
import { represent } from "../representation.ts";
import { strip } from "../strings/text.ts";
import { asNumber, asText, Float, fromBigInt, typeName, type Value } from "../values.ts";

const digitValues = "0123456789abcdefghijklmnopqrstuvwxyz";
const prefixes: Readonly<Record<string, number>> = { "0b": 2, "0o": 8, "0x": 16 };

/** Decimal digits of all scripts as ASCII ones; their blocks of ten begin at multiples of ten. */
export function toAsciiDigits(text: string): string {
  return text.replace(/\p{Nd}/gu, (digit) => {
    const code = digit.codePointAt(0)!;
    if (code < 0x80) return digit;
    let start = code;
    while (code - start < 9 && /\p{Nd}/u.test(String.fromCodePoint(start - 1))) start--;
    // Mathematical digits follow each other in several sets of ten.
    if (code >= 0x1d7ce && code <= 0x1d7ff) return String((code - 0x1d7ce) % 10);
    return String(code - start);
  });
}

/** `int(text, base)`; throws ValueError. */
export function parseInteger(text: string, base: number): number | bigint {
  const invalid = (): never => {
    throw valueFailure(`invalid literal for int() with base ${base}: ${represent(text)}`);
  };
  if (base !== 0 && (base < 2 || base > 36)) {
    throw valueFailure("int() base must be >= 2 and <= 36, or 0");
  }
  const match = /^([+-]?)(0[box]_?)?(\w+)$/i.exec(toAsciiDigits(strip(text)));
  if (match === null) return invalid();
  const [, sign, prefix = "", rest = ""] = match;
  let radix = base;
  let digits = prefix + rest;
  const prefixBase = prefixes[prefix.slice(0, 2).toLowerCase()];
  if (prefixBase !== undefined && (base === 0 || base === prefixBase)) {
    radix = prefixBase;
    digits = rest;
  } else if (base === 0) {
    if (/^0[_0-9]*[1-9]/.test(digits)) return invalid();
    radix = 10;
  }
  if (!/^[0-9a-z]+(_[0-9a-z]+)*$/i.test(digits)) return invalid();
  let value = 0n;
  digits = digits.replaceAll("_", "").toLowerCase();
  for (const digit of digits) if (digitValues.indexOf(digit) >= radix) return invalid();
  if (radix === 10) {
    if (digits.length > 4300) return invalid();
    value = BigInt(digits);
  } else {
    for (const digit of digits) value = value * BigInt(radix) + BigInt(digitValues.indexOf(digit));
  }
  return fromBigInt(sign === "-" ? -value : value);
}

/** `int(value)`. */
export function toInteger(value: Value): number | bigint {
  const text = asText(value);
  if (text !== undefined) return parseInteger(text, 10);
  const number = asNumber(value);
  if (number === undefined) {
    checkDefined(value);
    throw typeFailure(
      "int() argument must be a string, a bytes-like object or a real number, not " +
        `'${typeName(value)}'`,
    );
  }
  return value instanceof Float ? truncateFloat(value.value) : number;
}

/** A float without its decimals. */
export function truncateFloat(value: number): number | bigint {
  if (Number.isNaN(value)) throw valueFailure("cannot convert float NaN to integer");
  if (!Number.isFinite(value)) {
    throw failure("OverflowError", "cannot convert float infinity to integer");
  }
  const whole = Math.trunc(value);
  return Number.isSafeInteger(whole) ? whole + 0 : BigInt(whole);
}

/** `float(text)`; throws ValueError. */
export function parseFloatText(text: string): number {
  const stripped = toAsciiDigits(strip(text));
  const special = /^([+-]?)(inf|infinity|nan)$/i.exec(stripped);
  if (special !== null) {
    const size = special[2]!.toLowerCase() === "nan" ? Number.NaN : Number.POSITIVE_INFINITY;
    return special[1] === "-" ? -size : size;
  }
  const digits = "\\d+(_\\d+)*";
  const pattern = new RegExp(
    `^[+-]?(${digits}\\.?(${digits})?|\\.${digits})(e[+-]?${digits})?$`,
    "i",
  );
  if (!pattern.test(stripped)) {
    throw valueFailure(`could not convert string to float: ${represent(text)}`);
  }
  return Number(stripped.replaceAll("_", ""));
}

/** `float(value)`. */
export function toFloatValue(value: Value): number {
  const text = asText(value);
  if (text !== undefined) return parseFloatText(text);
  const number = asNumber(value);
  if (number === undefined) {
    checkDefined(value);
    throw typeFailure(
      `float() argument must be a string or a real number, not '${typeName(value)}'`,
    );
  }
  const float = Number(number);
  if (typeof number === "bigint" && !Number.isFinite(float)) {
    throw failure("OverflowError", "int too large to convert to float");
  }
  return float;
}
