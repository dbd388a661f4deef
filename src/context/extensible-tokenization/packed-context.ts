/** A text as a compressor's outputs, from which embeddings are taken with any factor. */
import { JetonError } from "../../core/index.ts";
import { keptPlaces, smallestFactor } from "./down-scale.ts";

/** A compressed text. */
export interface PackedContext {
  /** Digest of the model whose embeddings the outputs replace, as `identifyModel` gives it. */
  readonly model: string;
  /** Digest of the compressor. */
  readonly compressor: string;
  /** Factors that the compressor was trained for, ascending. */
  readonly factors: readonly number[];
  /** Tokens that were compressed together. */
  readonly window: number;
  /** Width of the outputs. */
  readonly width: number;
  /** Tokens for each output that is held; 1: all are, and any factor may be chosen. */
  readonly factor: number;
  /** The text's tokens. */
  readonly ids: Int32Array;
  /** `[outputs, width]`, in the order of `keptPlaces`. */
  readonly outputs: Float32Array;
}

/** What becomes of tokens at the end that do not fill a group: an embedding of their own, or they stay tokens. */
export type ContextTail = "embedding" | "raw";

/** What is read of a compressed text. */
export interface ContextRows {
  /** `[rows, width]` */
  readonly embeddings: Float32Array;
  /** Tokens behind them that stay as they are. */
  readonly raw: readonly number[];
}

/** Holds only the outputs that a factor keeps: less to store, and only its multiples may be chosen later. */
export function thinContext(packed: PackedContext, factor: number): PackedContext {
  if (factor === packed.factor) return packed;
  const { embeddings } = contextRows(packed, factor);
  return { ...packed, factor, outputs: embeddings };
}

/**
 * Embeddings of a compressed text with a factor.
 *
 * @throws JetonError `option-invalid` for a factor that the held outputs cannot give, or beyond the compressor's window
 */
export function contextRows(
  packed: PackedContext,
  factor: number,
  tail: ContextTail = "embedding",
): ContextRows {
  checkFactor(packed, factor);
  const { ids, window, width, outputs } = packed;
  const { length } = ids;
  // A short group at the end is the last one of the last window.
  const end = tail === "raw" ? length - ((length % window) % factor) : length;
  const held = keptPlaces(length, { window, factor: packed.factor });
  const row = new Map(held.map((place, at) => [place, at]));
  const kept = keptPlaces(end, { window, factor });
  const embeddings = new Float32Array(kept.length * width);
  for (const [at, place] of kept.entries()) {
    const from = row.get(place)! * width;
    embeddings.set(outputs.subarray(from, from + width), at * width);
  }
  return { embeddings, raw: [...ids.subarray(end)] };
}

/**
 * Checks a factor against what a text's compressor, and the outputs that are held, can give.
 *
 * @throws JetonError `option-invalid`
 */
export function checkFactor(
  { factor: held, window }: Pick<PackedContext, "factor" | "window">,
  factor: number,
): void {
  // A group never leaves its window: beyond it every factor would be the window's length.
  const isInWindow = Number.isSafeInteger(factor) && factor >= 1 && factor <= window;
  if (isInWindow && factor % held === 0) return;
  const expected =
    held === 1
      ? `a whole number from 1 to ${window}, the compressor's window`
      : `a multiple of ${held}, with which the text was packed, to ${window}, the compressor's window`;
  throw new JetonError(`factor is ${factor}, expected ${expected}`, {
    code: "option-invalid",
    details: { option: "factor", found: factor, expected },
  });
}

/**
 * The smallest factor with which compressed texts fit: of those that their compressor was trained for, and that the held
 * outputs give.
 *
 * @param rows embeddings that there may be
 * @throws JetonError `packed-context-too-long`
 */
export function chooseFactor(packed: readonly PackedContext[], rows: number): number {
  const [first] = packed as [PackedContext];
  // What was packed with a factor of its own can be read with that at least.
  const held = Math.max(...packed.map((one) => one.factor));
  const known = new Set([...first.factors, ...(held > 1 ? [held] : [])]);
  const factors = [...known].filter((factor) => packed.every((one) => factor % one.factor === 0));
  const lengths = packed.map(({ ids }) => ids.length);
  const { window } = first;
  const factor = smallestFactor(lengths, rows, { window, factors });
  if (factor !== undefined) return factor;
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  throw new JetonError(
    `${tokens} packed tokens leave no place in the model's context: ${Math.max(0, rows)} embeddings may stand before the prompt, with factors of ${factors.join(", ")}`,
    { code: "packed-context-too-long", details: { tokens, rows, factors } },
  );
}
