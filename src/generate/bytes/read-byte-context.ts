/** A prompt in tokens as what a byte distribution reads: ids up to the last special token, then text. */
import type { Tokenizer } from "../../tokenizer/index.ts";

/** The parts of a prompt. */
export interface ByteContext {
  /** Ids up to the last special token. */
  readonly before: readonly number[];
  /** UTF-8 of the tokens after it. */
  readonly text: Uint8Array;
}

/** Divides a prompt. A prompt without special tokens has nothing before its text. */
export function readByteContext(tokenizer: Tokenizer, ids: readonly number[]): ByteContext {
  let start = ids.length;
  while (start > 0 && !tokenizer.isSpecial(ids[start - 1]!)) start--;
  const text = new TextEncoder().encode(tokenizer.decode(ids.slice(start)));
  return { before: ids.slice(0, start), text };
}
