/** All characters of a range as one text, for searches by native regular expressions. */

const decoder = new TextDecoder("utf-16le", { ignoreBOM: true });

/**
 * The characters from `first` to `last`, U+FFFD in place of surrogates. A character of the basic plane takes one
 * unit, any other two; no range crosses from one to the other.
 */
export function charactersBetween(first: number, last: number): string {
  const count = last - first + 1;
  const isBasic = last < 0x10000;
  const units = new Uint16Array(isBasic ? count : 2 * count);
  for (let at = 0; at < count; at++) {
    const point = first + at;
    if (isBasic) units[at] = point >= 0xd800 && point < 0xe000 ? 0xfffd : point;
    else {
      units[2 * at] = 0xd7c0 + (point >> 10);
      units[2 * at + 1] = 0xdc00 + (point & 0x3ff);
    }
  }
  return decoder.decode(units);
}
