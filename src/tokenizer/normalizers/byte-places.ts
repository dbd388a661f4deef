/** Places of bytes, UTF-16 units and code points within a text. */

/** Converts offsets from UTF-16 units to code points, in place. */
export function toCodePoints(offsets: [number, number][], text: string): void {
  const points = new Int32Array(text.length + 1);
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    points[i] = count;
    const isHigh = (text.charCodeAt(i) & 0xfc00) === 0xd800;
    const isPair = isHigh && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
    if (isPair) points[++i] = count;
    count++;
  }
  points[text.length] = count;
  for (const offset of offsets) {
    offset[0] = points[offset[0]]!;
    offset[1] = points[offset[1]]!;
  }
}

export function characterUnits(text: string, at: number): number {
  return (text.charCodeAt(at) & 0xfc00) === 0xd800 ? 2 : 1;
}

/** Finds the character that holds a UTF-8 byte of a word. Questions come in ascending order, mostly. */
export class BytePlaces {
  readonly #word: string;
  #unit = 0;
  #byte = 0;

  constructor(word: string) {
    this.#word = word;
  }

  /** The first UTF-16 unit of the character that holds byte `at`. */
  unitOf(at: number): number {
    if (at < this.#byte) {
      this.#unit = 0;
      this.#byte = 0;
    }
    for (;;) {
      const length = this.#lengthHere();
      if (
        at < this.#byte + length ||
        this.#unit + characterUnits(this.#word, this.#unit) >= this.#word.length
      ) {
        return this.#unit;
      }
      this.#byte += length;
      this.#unit += characterUnits(this.#word, this.#unit);
    }
  }

  #lengthHere(): number {
    const unit = this.#word.charCodeAt(this.#unit);
    return unit < 0x80 ? 1 : unit < 0x800 ? 2 : (unit & 0xfc00) === 0xd800 ? 4 : 3;
  }
}
