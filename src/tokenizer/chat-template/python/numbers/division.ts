/** Whole numbers as floats. */
import { failure } from "../failure.ts";

/** A number as a float. Throws where it is too large. */
export function toFloat(value: number | bigint): number {
  const float = Number(value);
  if (typeof value === "bigint" && !Number.isFinite(float)) {
    throw failure("OverflowError", "int too large to convert to float");
  }
  return float;
}

/** The double nearest to a quotient of whole numbers. */
export function divideIntegers(a: bigint, b: bigint): number {
  const negative = a < 0n !== b < 0n;
  const [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  const shift = 70 + y.toString(2).length - x.toString(2).length;
  const [numerator, denominator] = shift >= 0 ? [x << BigInt(shift), y] : [x, y << BigInt(-shift)];
  const quotient = numerator / denominator;
  // The lowest bit says that something was cut off, so that rounding is right.
  const sticky = quotient * denominator === numerator ? quotient : quotient | 1n;
  const half = Math.trunc(shift / 2);
  const size = Number(sticky) * 2 ** -half * 2 ** -(shift - half);
  return negative ? -size : size;
}
