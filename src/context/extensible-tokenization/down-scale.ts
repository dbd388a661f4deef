/** Which outputs of a compressor are kept: the last of every group of tokens, window by window. */

/** How outputs are thinned out. */
export interface DownScaleOptions {
  /** Tokens that are compressed together; groups begin anew with each window. */
  readonly window: number;
  /** Tokens for each kept output. */
  readonly factor: number;
}

/**
 * Places of the tokens whose outputs are kept: the last of every `factor` tokens of a window, and the last of a
 * window whose rest is shorter, so that every token is covered by an embedding behind it.
 *
 * @param length tokens in all
 */
export function keptPlaces(length: number, { window, factor }: DownScaleOptions): number[] {
  const places: number[] = [];
  for (let start = 0; start < length; start += window) {
    const end = Math.min(length, start + window);
    for (let at = start + factor - 1; at < end; at += factor) places.push(at);
    if ((end - start) % factor !== 0) places.push(end - 1);
  }
  return places;
}

/** Embeddings of a text of `length` tokens. */
export function countKept(length: number, { window, factor }: DownScaleOptions): number {
  const whole = Math.floor(length / window);
  return whole * Math.ceil(window / factor) + Math.ceil((length - whole * window) / factor);
}

/**
 * The smallest factor with which texts fit, or undefined where none does.
 *
 * @param lengths tokens of each text
 * @param rows embeddings that there may be in all
 * @param factors allowed ones, in any order
 */
export function smallestFactor(
  lengths: readonly number[],
  rows: number,
  { window, factors }: { readonly window: number; readonly factors: readonly number[] },
): number | undefined {
  return [...factors]
    .sort((a, b) => a - b)
    .find((factor) => {
      const kept = lengths.map((length) => countKept(length, { window, factor }));
      return kept.reduce((sum, count) => sum + count, 0) <= rows;
    });
}
