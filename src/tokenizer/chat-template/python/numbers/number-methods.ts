/** Attributes and methods of `int`, `bool` and `float`. */
import { bindPositional } from "../arguments.ts";
import { failure, valueFailure } from "../failure.ts";
import type { Method } from "../strings/string-methods.ts";
import { asInteger, Float, fromBigInt, Tuple, type Value } from "../values.ts";
import { floatText, splitFloat } from "./float-text.ts";

function method(name: string, apply: (self: Value) => Value): [string, Method] {
  return [
    name,
    (self, callArguments) => {
      bindPositional(name, callArguments, 0, 0);
      return apply(self);
    },
  ];
}

function bits(self: Value): string {
  const integer = asInteger(self)!;
  return integer < 0 ? (-integer).toString(2) : integer.toString(2);
}

/** Methods of `int` and `bool` by name. */
export const integerMethods: ReadonlyMap<string, Method> = new Map([
  method("bit_length", (self) => (bits(self) === "0" ? 0 : bits(self).length)),
  method("bit_count", (self) => bits(self).replaceAll("0", "").length),
  method("conjugate", (self) => asInteger(self)!),
  method("as_integer_ratio", (self) => new Tuple([asInteger(self)!, 1])),
]);

/** A float as the fraction that it is. */
function integerRatio(value: number): Value {
  if (Number.isNaN(value)) throw valueFailure("cannot convert NaN to integer ratio");
  if (!Number.isFinite(value)) {
    throw failure("OverflowError", "cannot convert Infinity to integer ratio");
  }
  let { mantissa, exponent } = splitFloat(value);
  if (mantissa === 0n) return new Tuple([0, 1]);
  while ((mantissa & 1n) === 0n) {
    mantissa >>= 1n;
    exponent++;
  }
  const [numerator, denominator] =
    exponent >= 0 ? [mantissa << BigInt(exponent), 1n] : [mantissa, 1n << BigInt(-exponent)];
  return new Tuple([fromBigInt(numerator), fromBigInt(denominator)]);
}

/** A float in hexadecimal, as C's `%a` writes it. */
function hexText(value: number): string {
  if (!Number.isFinite(value)) return floatText(value);
  const { mantissa, exponent } = splitFloat(Math.abs(value));
  const normal = mantissa >= 1n << 52n;
  const fraction = (mantissa & ((1n << 52n) - 1n)).toString(16).padStart(13, "0");
  const power = mantissa === 0n ? 0 : exponent + 52;
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const digits = mantissa === 0n ? "0.0" : `${normal ? 1 : 0}.${fraction}`;
  return `${sign}0x${digits}p${power < 0 ? "" : "+"}${power}`;
}

/** Methods of `float` by name. */
export const floatMethods: ReadonlyMap<string, Method> = new Map([
  method("is_integer", (self) => Number.isInteger((self as Float).value)),
  method("conjugate", (self) => self),
  method("hex", (self) => hexText((self as Float).value)),
  method("as_integer_ratio", (self) => integerRatio((self as Float).value)),
]);

/** A data attribute of a number, e.g. `real`; undefined when there is none of this name. */
export function numberAttribute(self: Value, name: string): Value | undefined {
  const float = self instanceof Float;
  if (name === "real") return float ? self : asInteger(self);
  if (name === "imag") return float ? new Float(0) : 0;
  if (float) return undefined;
  if (name === "numerator") return asInteger(self);
  return name === "denominator" ? 1 : undefined;
}
