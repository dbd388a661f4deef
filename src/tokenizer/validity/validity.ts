/** What is asked about the token sequences that a tokenizer's encodings begin with. */
import type { ByteTokens } from "./byte-tokens.ts";

/** A valid sequence, as far as it decides what may follow. Equal states are one object. */
export interface ValidState {
  /** Last token; -1 before the first one. */
  readonly last: number;
  /** Ways to cut the text's end into words, as shapes; all begin at a boundary that is certain. */
  readonly ends: readonly string[];
}

/** Options of `createTokenValidity`. */
export interface TokenValidityOptions {
  /**
   * What counts as text: legal UTF-8 (default), which is all that a tokenizer encodes, or any bytes.
   */
  text?: "utf8" | "bytes";
}

/** Answers for one tokenizer. Answers are remembered, up to a limit of memory. */
export interface TokenValidity {
  readonly tokens: ByteTokens;
  /** Bytes of a token that some encoding contains; undefined for others. */
  bytesOf(id: number): Uint8Array | undefined;
  /** The state before the first token of a text. */
  readonly start: ValidState;
  /** `[size]`: 1 for each token that may follow. The array is shared. */
  mask(state: ValidState): Uint8Array;
  /** One entry of the mask: for a few tokens, faster than all. */
  mayFollow(state: ValidState, id: number): boolean;
  /** The state after a token; undefined where it may not follow. */
  after(state: ValidState, id: number): ValidState | undefined;
  /** Whether a text may end here with this encoding. */
  isWhole(state: ValidState): boolean;
  /**
   * Number of the token of an encoding that begins after the last boundary between words that no
   * continuation of the text moves; 0 where there is none. Undefined for a sequence that is not valid.
   */
  certainStart(ids: ArrayLike<number>): number | undefined;
}
