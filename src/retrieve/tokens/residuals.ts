/** Residuals of tokens from their centroids: four bits a number, and a byte for the scale of all. */
import { quantile } from "../../core/index.ts";

/** Numbers that a code stands for. */
export const levels = 16;

/**
 * The cut-offs and values of the codes of residuals of length 1: the values by which the squared error is least (Lloyd's
 * algorithm), divided half-way between them; one table for all dimensions. PLAID's, quantiles of the residuals as they
 * are, cut off the largest numbers and leave the shortest residuals a few codes.
 */
export interface Codebook {
  /** 15 cut-offs, ascending. */
  readonly cutOffs: Float32Array;
  /** 16 values. */
  readonly values: Float32Array;
}

/** Bytes of a token's residual. */
export function bytesPerRow(dim: number): number {
  return (dim + 1) >> 1;
}

/** Rounds of Lloyd's algorithm; the error changes little after ten. */
const codebookRounds = 25;

/** Learns a codebook from numbers of residuals of length 1; any order. */
export function learnCodebook(numbers: Float32Array): Codebook {
  const sorted = numbers.slice().sort();
  const sums = new Float64Array(sorted.length + 1);
  for (const [at, value] of sorted.entries()) sums[at + 1] = sums[at]! + value;
  const values = Float32Array.from({ length: levels }, (_, i) =>
    sorted.length === 0 ? 0 : quantile(sorted, (i + 0.5) / levels),
  );
  for (let round = 0; round < codebookRounds; round++) {
    const cutOffs = halfWay(values);
    let start = 0;
    for (let level = 0; level < levels; level++) {
      const end = level + 1 === levels ? sorted.length : countBelow(sorted, cutOffs[level]!);
      if (end > start) values[level] = (sums[end]! - sums[start]!) / (end - start);
      start = end;
    }
  }
  return { cutOffs: halfWay(values), values };
}

function halfWay(values: Float32Array): Float32Array {
  return Float32Array.from(
    { length: values.length - 1 },
    (_, i) => (values[i]! + values[i + 1]!) / 2,
  );
}

/** How many of ascending numbers are at most a bound. */
function countBelow(sorted: Float32Array, bound: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! <= bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Steps of a scale for each doubling: scales are right within 1.5 %. */
const scaleSteps = 24;
/** The byte that stands for 1. */
const unitScale = 231;

/** The factor of a residual's values that each byte stands for: 0, or powers of two from 0.0013 to 2. */
export const scaleOf: Float32Array = Float32Array.from({ length: 256 }, (_, byte) =>
  byte === 0 ? 0 : 2 ** ((byte - unitScale) / scaleSteps),
);

/** The byte of the scale that is nearest to a factor. */
export function scaleByte(factor: number): number {
  if (!(factor > 0)) return 0;
  const byte = Math.round(unitScale + scaleSteps * Math.log2(factor));
  return Math.min(255, Math.max(1, byte));
}

/**
 * Writes the codes of one residual: dimension 2i in the low half of byte i, 2i + 1 in the high half.
 *
 * @returns the byte of the scale by which the codes' values come nearest to the residual
 */
export function encodeResidual(
  residual: Float32Array,
  { cutOffs, values }: Codebook,
  codes: Uint8Array,
  at: number,
): number {
  const length = lengthOf(residual);
  let [product, square] = [0, 0];
  for (let i = 0; i < residual.length; i++) {
    const number = length === 0 ? 0 : residual[i]! / length;
    let [low, high] = [0, cutOffs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cutOffs[middle]! < number) low = middle + 1;
      else high = middle;
    }
    codes[at + (i >> 1)]! |= low << (4 * (i & 1));
    product += residual[i]! * values[low]!;
    square += values[low]! ** 2;
  }
  return scaleByte(product / square);
}

/** The length of a residual. */
export function lengthOf(residual: Float32Array): number {
  let square = 0;
  for (const number of residual) square += number * number;
  return Math.sqrt(square);
}

/** The values that the codes of one residual stand for, before they are scaled. */
export function decodeResidual(
  codes: Uint8Array,
  at: number,
  values: Float32Array,
  into: Float32Array,
): void {
  for (let i = 0; i < into.length; i++) {
    into[i] = values[(codes[at + (i >> 1)]! >> (4 * (i & 1))) & 15]!;
  }
}

/**
 * What each byte of a residual adds to the product with a query vector: `[bytes, 256]`. With it the product
 * of a token takes one addition for two dimensions, and its vector is never rebuilt. Scales are applied to the sum.
 */
export function byteProducts(query: Float32Array, values: Float32Array): Float32Array {
  const bytes = bytesPerRow(query.length);
  const table = new Float32Array(bytes * 256);
  for (let byte = 0; byte < bytes; byte++) {
    const low = query[2 * byte]!;
    const high = query[2 * byte + 1] ?? 0;
    for (let code = 0; code < 256; code++) {
      table[byte * 256 + code] = low * values[code & 15]! + high * values[code >> 4]!;
    }
  }
  return table;
}
