/** Places in UTF-8, and the bytes of texts. */

/** A text's UTF-8, or the bytes themselves. */
export function toBytes(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? new TextEncoder().encode(text) : text;
}

/** The next place from `at` on at which a character begins. */
export function characterStart(bytes: Uint8Array, at: number): number {
  let place = at;
  while (place < bytes.length && (bytes[place]! & 0xc0) === 0x80) place++;
  return place;
}

/** Length of the beginning of a text that holds no part of a character which the text's end cuts. */
export function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const lead = bytes[bytes.length - back]!;
    if ((lead & 0xc0) === 0x80) continue;
    const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;
    return back < length ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** Whether bytes are characters of UTF-8 and nothing else. */
export function isWholeText(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Whether one character of UTF-8 begins with these bytes, or is made of them. */
export function isCharacterBeginning(bytes: readonly number[]): boolean {
  const [first = 0, second, ...others] = bytes;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const isLead = first < 0x80 || (first >= 0xc2 && first < 0xf5);
  if (!isLead || bytes.length > length) return false;
  // No overlong forms, no surrogates, nothing beyond U+10FFFF.
  const [low, high] = secondByteRanges[first] ?? [0x80, 0xbf];
  const fits = second === undefined || (second >= low && second <= high);
  return fits && others.every((byte) => byte >= 0x80 && byte <= 0xbf);
}

const secondByteRanges: Readonly<Record<number, readonly [number, number]>> = {
  224: [0xa0, 0xbf],
  237: [0x80, 0x9f],
  240: [0x90, 0xbf],
  244: [0x80, 0x8f],
};
