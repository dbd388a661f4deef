/** Probabilities from logarithms. */

/** The softmax of numbers: positive, of sum 1. The largest is subtracted first, so that none overflows. */
export function softmax(values: ArrayLike<number>): Float64Array {
  const powers = new Float64Array(values.length);
  let largest = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < values.length; at++) largest = Math.max(largest, values[at]!);
  let total = 0;
  for (let at = 0; at < values.length; at++) {
    powers[at] = Math.exp(values[at]! - largest);
    total += powers[at]!;
  }
  return powers.map((power) => power / total);
}
