/** Powers of numbers. */

import { failure } from "../failure.ts";
import { Float, fromBigInt, type Value } from "../values.ts";
import { divideIntegers, toFloat } from "./division.ts";

/** Longest whole number that a power may have, in bits. */
const maxBits = 1_000_000;

/** x ** y; `float` says that one of them is a float. */
export function powerOf(x: number | bigint, y: number | bigint, float: boolean): Value {
  if (float) return new Float(powerOfFloats(toFloat(x), toFloat(y)));
  if (y >= 0) return integerPower(BigInt(x), y);
  if (x <= 0 && x >= 0) {
    throw failure("ZeroDivisionError", "0.0 cannot be raised to a negative power");
  }
  const base = BigInt(x);
  const exponent = -BigInt(y);
  // Small enough powers are divided exactly; for others the double is as good.
  if (bitsOf(base) * Number(exponent) <= 4000) {
    return new Float(divideIntegers(1n, base ** exponent));
  }
  return new Float(powerOfFloats(toFloat(x), toFloat(y)));
}

function bitsOf(value: bigint): number {
  return value.toString(2).length;
}

function integerPower(base: bigint, exponent: number | bigint): number | bigint {
  if (base >= -1n && base <= 1n) {
    return Number(base) ** (Number(BigInt(exponent) % 2n) || (exponent > 0 ? 2 : 0));
  }
  if (bitsOf(base) * Number(exponent) > maxBits) {
    throw failure("MemoryError", `a power of more than ${maxBits} bits`);
  }
  return fromBigInt(base ** BigInt(exponent));
}

function powerOfFloats(x: number, y: number): number {
  if (x === 1 || y === 0) return 1;
  if (x === -1 && !Number.isFinite(y) && !Number.isNaN(y)) return 1;
  if (x === 0 && y < 0) {
    throw failure("ZeroDivisionError", "0.0 cannot be raised to a negative power");
  }
  if (x < 0 && Number.isFinite(x) && Number.isFinite(y) && !Number.isInteger(y)) {
    throw failure("ValueError", "the power of a negative number is complex");
  }
  const result = x ** y;
  if (Number.isFinite(x) && Number.isFinite(y) && !Number.isFinite(result)) {
    throw failure("OverflowError", "(34, 'Numerical result out of range')");
  }
  return result;
}
