/** Residuals of tokens from their centroids, four bits a number. */
import { quantile } from "../../core/index.ts";

/** Numbers that a code stands for. */
export const levels = 16;

/**
 * The cut-offs and values of the codes: the quantiles i/16 of the residuals' numbers divide them, and the
 * quantiles (i + 0.5)/16 stand for them; one table for all dimensions.
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

/** Learns a codebook from numbers of residuals; any order. */
export function learnCodebook(numbers: Float32Array): Codebook {
  const sorted = numbers.slice().sort();
  const at = (share: number): number => (sorted.length === 0 ? 0 : quantile(sorted, share));
  return {
    cutOffs: Float32Array.from({ length: levels - 1 }, (_, i) => at((i + 1) / levels)),
    values: Float32Array.from({ length: levels }, (_, i) => at((i + 0.5) / levels)),
  };
}

/** Writes the codes of one residual: dimension 2i in the low half of byte i, 2i + 1 in the high half. */
export function encodeResidual(
  residual: Float32Array,
  { cutOffs }: Codebook,
  codes: Uint8Array,
  at: number,
): void {
  for (let i = 0; i < residual.length; i++) {
    let [low, high] = [0, cutOffs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cutOffs[middle]! < residual[i]!) low = middle + 1;
      else high = middle;
    }
    codes[at + (i >> 1)]! |= low << (4 * (i & 1));
  }
}

/** The values that the codes of one residual stand for. */
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
 * of a token takes one addition for two dimensions, and its vector is never rebuilt.
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
