/**
 * The byte alphabet of GPT-2: each of the 256 bytes as one printable character, so that byte
 * sequences can be written as ordinary strings in a vocabulary. Printable Latin-1 bytes stand for
 * themselves; the 68 others are numbered from U+0100.
 */

/** The character of each byte. */
export const byteToCharacter: readonly string[] = makeAlphabet();

/** The byte of each character of the alphabet by UTF-16 unit (all lie below 0x144), -1 elsewhere. */
const unitToByte: Int16Array = new Int16Array(0x144).fill(-1);
for (const [byte, character] of byteToCharacter.entries()) {
  unitToByte[character.charCodeAt(0)] = byte;
}

function makeAlphabet(): string[] {
  const alphabet: string[] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    alphabet.push(String.fromCharCode(printable ? byte : next++));
  }
  return alphabet;
}

/** The byte that a character of the alphabet stands for, or -1 for any other UTF-16 unit. */
export function byteOfUnit(unit: number): number {
  return unit < 0x144 ? unitToByte[unit]! : -1;
}

/** Writes the UTF-8 bytes of `text` in the byte alphabet. */
export function toByteAlphabet(text: string): string {
  let result = "";
  for (const byte of encodeUtf8(text)) result += byteToCharacter[byte];
  return result;
}

/** The bytes that a string of the byte alphabet stands for, or null when it holds another character. */
export function fromByteAlphabet(text: string): Uint8Array | null {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const byte = byteOfUnit(text.charCodeAt(i));
    if (byte < 0) return null;
    bytes[i] = byte;
  }
  return bytes;
}

const encoder: TextEncoder = new TextEncoder();
// A byte-order mark is text like any other here.
const decoder: TextDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strictDecoder: TextDecoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** UTF-8 bytes; lone surrogates become U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Text of UTF-8 bytes; each maximal invalid part becomes U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Text of UTF-8 bytes, or null where they are not valid. */
export function decodeUtf8Strictly(bytes: Uint8Array): string | null {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return null;
  }
}

/** Number of UTF-8 bytes of a code point. */
export function utf8Length(codePoint: number): number {
  return codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
}

/** The text with every lone surrogate as U+FFFD. */
export function toWellFormed(text: string): string {
  // In every engine since 2023; the type library of es2023 does not know it yet.
  return (text as string & { toWellFormed(): string }).toWellFormed();
}
