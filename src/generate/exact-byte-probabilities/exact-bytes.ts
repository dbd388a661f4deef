/** What an exact byte distribution is asked for, and what it gives beside bytes. */
import type { TokenValidity } from "../../tokenizer/validity/validity.ts";
import type { ByteDistribution } from "../bytes/byte-distribution.ts";

/** Options of `createExactBytes`. */
export interface ExactBytesOptions {
  /**
   * `"exact"` (default): tokens that may not follow have no probability. `"fast"`: after the prompt they
   * have what the model gives them, as in the authors' generation.
   */
  mode?: "exact" | "fast";
  /** What counts as text: legal UTF-8 (default) or any bytes. */
  text?: "utf8" | "bytes";
  /**
   * Most further sequences of one forward pass, so that the next bytes need none. Default 10: more of them make
   * passes longer than they save. 0: every byte takes a pass of its own.
   */
  maxAhead?: number;
  /** A sequence is computed ahead where the text reaches it with this probability. Default 0.05. */
  minAhead?: number;
  /**
   * A token with less probability than this after a sequence counts as one that may not follow: then few tokens
   * are looked at. Default 0, exact.
   */
  minProbability?: number;
  /**
   * True: sequences are followed from the beginning of the text, so that `coverings` reports whole
   * probabilities. Default false: from the last certain boundary of words, the same conditionals.
   */
  whole?: boolean;
}

/** A covering of the text, for inspection. */
export interface Covering {
  /** Tokens from where the sequences are followed. */
  readonly ids: readonly number[];
  /** ln P of them. */
  readonly logProbability: number;
  /** Bytes beyond the text. */
  readonly rest: Uint8Array;
}

/** `ByteDistribution` of a token model, with what it is made of. */
export interface ExactBytes extends ByteDistribution {
  expect(bytes: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** The coverings of the bytes read so far. */
  coverings(): Promise<Covering[]>;
  /** Token ids before those of `coverings`: what was put before the text, and its certain beginning. */
  readonly certainIds: readonly number[];
  /** Which token sequences are beginnings of encodings. */
  readonly validity: TokenValidity;
  /** Forward passes so far. */
  readonly passes: number;
}
