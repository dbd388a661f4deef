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
