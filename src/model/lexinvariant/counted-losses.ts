/** What counting alone predicts of symbols whose names mean nothing. */
import type { SymbolBatch } from "./lexinvariant.ts";

/**
 * Losses, in nats, of counting the symbols of each sequence read so far (add one): alone, or after the symbol before.
 * Nothing is known of the language: the least that a model which deciphers must do better than. One number for each
 * symbol but the first.
 */
export function countedLosses(
  whole: SymbolBatch,
  symbols: number,
  order: "unigrams" | "bigrams",
): Float64Array[] {
  const { batch, time, ids } = whole;
  return Array.from({ length: batch }, (_, row) => {
    const window = ids.subarray(row * time, (row + 1) * time);
    const counts = new Map<number, Float64Array>();
    return Float64Array.from({ length: time - 1 }, (_, at) => {
      // Counts of what stands before position `at + 1`.
      const add = (symbol: number, before: number): void => {
        const own = counts.get(before) ?? new Float64Array(symbols);
        own[symbol]!++;
        counts.set(before, own);
      };
      if (order === "unigrams") add(window[at]!, 0);
      else if (at > 0) add(window[at]!, window[at - 1]!);
      const own = counts.get(order === "unigrams" ? 0 : window[at]!);
      const total = own?.reduce((sum, count) => sum + count, 0) ?? 0;
      return -Math.log(((own?.[window[at + 1]!] ?? 0) + 1) / (total + symbols));
    });
  });
}
