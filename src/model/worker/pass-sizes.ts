/** How much a forward pass computes at once, and how the cache holds what it gave. */
import type { WeightFormat } from "../types.ts";
import type { CacheType } from "./key-value-cache.ts";

/** Reading half the bytes of a long cache saves more than widening them costs (measured). */
export function defaultCacheType(format: WeightFormat): CacheType {
  return format === "f32" ? "float32" : "float16";
}

/**
 * Rows of one pass over a prompt behind `length` tokens. More are not faster (measured up to 512 in every
 * format; blocks need fewest), but scores take memory for each row and each token of the cache: behind
 * many tokens half the rows are as fast in blocks of 4 bits, and 3 % slower in 8 bits. In single
 * precision the weights outweigh the scores.
 */
export function rowsOfPass(format: WeightFormat, length: number): number {
  if (format === "f32") return 128;
  return (format === "int8-channel" ? 128 : 64) / (length < 2048 ? 1 : 2);
}
