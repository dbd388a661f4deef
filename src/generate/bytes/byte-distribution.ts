/**
 * The second interface of generation: the distribution of the next byte. Byte models, hierarchical
 * models and *exact-byte-probabilities* provide it; generation by bytes, ensembles, fill-in-the-middle
 * and bits per byte consume it.
 */

/** Outcomes of one step: the 256 bytes, and the end of the text. */
export const byteOutcomes = 257;
/** Index of the end of the text among the outcomes. */
export const endOutcome = 256;

/** Options of `ByteDistribution.prefill`. */
export interface BytePrefillOptions {
  /**
   * Token ids before the text, special tokens included: a rendered chat template, or the parts of a
   * fill-in-the-middle prompt. Only for providers over token models. Default: the tokens that the model
   * puts before a text, BOS mostly.
   */
  readonly before?: readonly number[];
  /** Aborting ends the reading with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * A text that is read byte by byte, and the distribution of the byte after it. It holds one sequence:
 * calls follow one another. One during another is rejected (`byte-distribution-busy`), and so is one after the end
 * (`byte-distribution-closed`).
 */
export interface ByteDistribution {
  /** Label for messages, such as the model's name. */
  readonly name: string;
  /** Bytes read so far, those of `prefill` included. */
  readonly length: number;
  /**
   * Most bytes that still fit, or fewer: what the context leaves. `Infinity` where nothing limits it.
   */
  readonly remaining: number;
  /** Forgets what was read and reads this text, which may end anywhere, also inside a character. */
  prefill(bytes: Uint8Array, options?: BytePrefillOptions): Promise<void>;
  /**
   * `[257]` natural logarithms of the probabilities of each byte and of the end (index 256) after the
   * bytes read so far; they sum to one, and an impossible outcome has -Infinity. The array is the
   * caller's. Without `prefill` the text is empty.
   */
  logProbabilities(options?: { readonly signal?: AbortSignal }): Promise<Float64Array>;
  /**
   * Reads one byte, 0 to 255.
   *
   * @throws JetonError `byte-impossible` where its probability is zero
   */
  advance(byte: number): Promise<void>;
  /**
   * Tells which bytes will be read next, so that what they need is computed in few forward passes. It
   * changes no result, and may read only a part of them.
   */
  expect?(bytes: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Frees what it holds. Safe to call twice; a model that was given stays open. */
  close(): Promise<void>;
}
