/** Legal UTF-8 byte by byte: what may follow the bytes of a character that is not complete. */

/** What a byte makes of the bytes of a character before it. */
export type Utf8Step = "illegal" | "incomplete" | "complete";

/** Judges the next byte after the bytes of an incomplete character; none for the first byte. */
export function stepUtf8(pending: readonly number[], byte: number): Utf8Step {
  if (pending.length === 0) {
    if (byte < 0x80) return "complete";
    return byte >= 0xc2 && byte <= 0xf4 ? "incomplete" : "illegal";
  }
  const lead = pending[0]!;
  let low = 0x80;
  let high = 0xbf;
  if (pending.length === 1) {
    if (lead === 0xe0) low = 0xa0;
    else if (lead === 0xed) high = 0x9f;
    else if (lead === 0xf0) low = 0x90;
    else if (lead === 0xf4) high = 0x8f;
  }
  if (byte < low || byte > high) return "illegal";
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return pending.length + 1 === length ? "complete" : "incomplete";
}

/** The code point of the bytes of one whole character. */
export function codePointOf(bytes: readonly number[]): number {
  const [lead = 0, ...rest] = bytes;
  const mask = bytes.length === 1 ? 0x7f : bytes.length === 2 ? 0x1f : bytes.length === 3 ? 0xf : 7;
  return rest.reduce((point, byte) => (point << 6) | (byte & 0x3f), lead & mask);
}

/** The code points of the characters whose UTF-8 begins with these bytes: `[first, last]`. */
export function codePointsAfter(pending: readonly number[]): readonly [number, number] {
  const low = [...pending];
  const high = [...pending];
  for (;;) {
    const nextLow = firstLegal(low, 0, 1);
    low.push(nextLow);
    high.push(firstLegal(high, 255, -1));
    if (stepUtf8(low.slice(0, -1), nextLow) === "complete") {
      return [codePointOf(low), codePointOf(high)];
    }
  }
}

function firstLegal(pending: readonly number[], from: number, by: 1 | -1): number {
  let byte = from;
  while (stepUtf8(pending, byte) === "illegal") byte += by;
  return byte;
}
