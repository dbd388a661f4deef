/** UTF-8 as the models need it: lengths, bytes, and the tokens that stand for single bytes. */

/** The token that stands for one byte under byte fallback, e.g. `<0x0A>`. */
export function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/** Number of UTF-8 bytes of a well-formed text. */
export function utf8LengthOf(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // A surrogate pair is two units and four bytes: one more byte for each half.
    if (unit >= 0x80) length += unit < 0x800 || (unit & 0xf800) === 0xd800 ? 1 : 2;
  }
  return length;
}

/** UTF-8 bytes of a short text. */
export function utf8Bytes(text: string): number[] {
  const bytes: number[] = [];
  for (const character of text) {
    const c = character.codePointAt(0)!;
    if (c < 0x80) bytes.push(c);
    else if (c < 0x800) bytes.push(0xc0 | (c >> 6), 0x80 | (c & 0x3f));
    else if (c < 0x10000) bytes.push(0xe0 | (c >> 12), 0x80 | ((c >> 6) & 0x3f), 0x80 | (c & 0x3f));
    else {
      bytes.push(0xf0 | (c >> 18), 0x80 | ((c >> 12) & 0x3f));
      bytes.push(0x80 | ((c >> 6) & 0x3f), 0x80 | (c & 0x3f));
    }
  }
  return bytes;
}

/** Writes the UTF-8 bytes of a well-formed text into an array that is long enough; returns their number. */
export function writeUtf8(text: string, bytes: Uint8Array): number {
  let size = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      bytes[size++] = unit;
    } else if (unit < 0x800) {
      bytes[size++] = 0xc0 | (unit >> 6);
      bytes[size++] = 0x80 | (unit & 0x3f);
    } else if (unit >= 0xd800 && unit < 0xdc00) {
      const codePoint = text.codePointAt(i)!;
      i++;
      bytes[size++] = 0xf0 | (codePoint >> 18);
      bytes[size++] = 0x80 | ((codePoint >> 12) & 0x3f);
      bytes[size++] = 0x80 | ((codePoint >> 6) & 0x3f);
      bytes[size++] = 0x80 | (codePoint & 0x3f);
    } else {
      bytes[size++] = 0xe0 | (unit >> 12);
      bytes[size++] = 0x80 | ((unit >> 6) & 0x3f);
      bytes[size++] = 0x80 | (unit & 0x3f);
    }
  }
  return size;
}
