/** UTF-8 as the kinds of its characters, byte for byte. */
import { kindOf } from "./word-properties.ts";

/** Characters of a text. */
export interface DecodedKinds {
  /** Kind of each character, as `kindOf` gives it; 0 for a byte that is no valid UTF-8. */
  readonly kinds: Uint16Array;
  /** First byte of each character. */
  readonly starts: Uint32Array;
}

/** Decodes bytes; each byte that begins no valid sequence is a character of its own. */
export function decodeKinds(bytes: Uint8Array): DecodedKinds {
  const kinds = new Uint16Array(bytes.length);
  const starts = new Uint32Array(bytes.length);
  let count = 0;
  for (let at = 0; at < bytes.length; count++) {
    const length = sequenceLength(bytes, at);
    starts[count] = at;
    kinds[count] = length === 0 ? 0 : kindOf(codePoint(bytes, at, length));
    at += Math.max(1, length);
  }
  return { kinds: kinds.subarray(0, count), starts: starts.subarray(0, count) };
}

/**
 * Bytes of the character that begins at a place; 0 where no valid one does (overlong, a surrogate, beyond
 * U+10FFFF, cut short).
 */
export function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  for (let next = 1; next < length; next++) {
    if (((bytes[at + next] ?? 0) & 0xc0) !== 0x80) return 0;
  }
  const second = bytes[at + 1] ?? 0;
  const isWrong =
    (first === 0xe0 && second < 0xa0) ||
    (first === 0xed && second > 0x9f) ||
    (first === 0xf0 && second < 0x90) ||
    (first === 0xf4 && second > 0x8f);
  return isWrong ? 0 : length;
}

function codePoint(bytes: Uint8Array, at: number, length: number): number {
  const first = bytes[at]!;
  if (length === 1) return first;
  let code = first & (0xff >> (length + 1));
  for (let next = 1; next < length; next++) code = (code << 6) | (bytes[at + next]! & 0x3f);
  return code;
}
