/** Products of rows of vectors, four at a time: what exact scans spend their time on. */

/**
 * Dot products of one query row with many rows.
 *
 * @param rows `[count, dim]`
 * @param into gets `count` products
 */
export function multiplyRows(
  query: Float32Array,
  rows: Float32Array,
  dim: number,
  into: Float32Array,
): void {
  const count = rows.length / dim;
  for (let row = 0; row < count; row++) into[row] = dotAt(query, 0, rows, row * dim, dim);
}

/**
 * The dot product of two rows. Every product of this module is summed in this order, so that one pair of
 * rows has one product wherever it is computed.
 */
export function dotAt(
  a: Float32Array,
  atA: number,
  b: Float32Array,
  atB: number,
  dim: number,
): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const whole = dim - (dim & 3);
  let i = 0;
  for (; i < whole; i += 4) {
    s0 += a[atA + i]! * b[atB + i]!;
    s1 += a[atA + i + 1]! * b[atB + i + 1]!;
    s2 += a[atA + i + 2]! * b[atB + i + 2]!;
    s3 += a[atA + i + 3]! * b[atB + i + 3]!;
  }
  for (; i < dim; i++) s0 += a[atA + i]! * b[atB + i]!;
  return s0 + s1 + (s2 + s3);
}
