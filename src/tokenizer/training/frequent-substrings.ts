/**
 * The frequent substrings of a list of words, as a suffix tree would give them: those that are not
 * always followed by the same character.
 *
 * All places in all words are sorted by the text that follows them (multikey quicksort), so that the
 * places of a substring stand together when its turn comes. No substring is stored before it is
 * found worth keeping.
 */

/** A substring, how often it occurs, and its length in characters. */
export interface FrequentSubstring {
  readonly text: string;
  readonly count: number;
  readonly characters: number;
}

/**
 * Visits every substring of 2 to `maxLength` characters that occurs at least twice, counted with
 * the words' frequencies, unless one character always follows it.
 */
export function visitFrequentSubstrings(
  words: readonly (readonly [string, number])[],
  maxLength: number,
  visit: (substring: FrequentSubstring) => void,
): void {
  const substrings = new SubstringIndex(words);
  const { places } = substrings;

  // Frames of the sort: bounds, depth, and whether the frame holds all places of its prefix.
  const stack: number[] = [0, places.length, 0, 0];
  while (stack.length > 0) {
    const isWhole = stack.pop() === 1;
    const depth = stack.pop()!;
    const high = stack.pop()!;
    const low = stack.pop()!;
    if (low >= high) continue;
    if (isWhole && !substrings.examine(low, high, { depth, maxLength, visit })) continue;
    const pivot = substrings.unitAt(places[low + ((high - low) >> 1)]!, depth);
    let less = low;
    let greater = high;
    for (let i = low; i < greater; ) {
      const place = places[i]!;
      const unit = substrings.unitAt(place, depth);
      if (unit < pivot) {
        places[i++] = places[less]!;
        places[less++] = place;
      } else if (unit > pivot) {
        places[i] = places[--greater]!;
        places[greater] = place;
      } else {
        i++;
      }
    }
    stack.push(low, less, depth, 0, greater, high, depth, 0);
    if (pivot >= 0) stack.push(less, greater, depth + 1, 1);
  }
}

/** The words in one array of UTF-16 units, and the places at which a character begins. */
class SubstringIndex {
  readonly places: Int32Array;
  readonly #words: readonly (readonly [string, number])[];
  readonly #units: Uint16Array;
  /** Word of each unit. */
  readonly #owners: Int32Array;
  readonly #ends: Int32Array;

  constructor(words: readonly (readonly [string, number])[]) {
    const size = words.reduce((sum, [word]) => sum + word.length, 0);
    this.#words = words;
    this.#units = new Uint16Array(size);
    this.#owners = new Int32Array(size);
    this.#ends = new Int32Array(words.length);
    const places = new Int32Array(size);
    let placeCount = 0;
    let at = 0;
    for (const [index, [word]] of words.entries()) {
      for (let i = 0; i < word.length; i++) {
        const unit = word.charCodeAt(i);
        // A low surrogate begins no character.
        if ((unit & 0xfc00) !== 0xdc00) places[placeCount++] = at;
        this.#owners[at] = index;
        this.#units[at++] = unit;
      }
      this.#ends[index] = at;
    }
    this.places = places.subarray(0, placeCount);
  }

  /** The unit `depth` behind a place, or -1 past the end of its word. */
  unitAt(place: number, depth: number): number {
    const target = place + depth;
    return target < this.#ends[this.#owners[place]!]! ? this.#units[target]! : -1;
  }

  /** Looks at all places of one substring; false when nothing longer is wanted. */
  examine(
    low: number,
    high: number,
    options: {
      readonly depth: number;
      readonly maxLength: number;
      readonly visit: (substring: FrequentSubstring) => void;
    },
  ): boolean {
    const { depth, maxLength, visit } = options;
    const first = this.places[low]!;
    if (depth < 2 || this.#endsInPair(first, depth)) return true;
    const next = this.unitAt(first, depth);
    const isPair = (next & 0xfc00) === 0xd800 && next >= 0;
    const second = isPair ? this.unitAt(first, depth + 1) : -1;
    let branches = next < 0;
    let count = 0;
    for (let i = low; i < high; i++) {
      const place = this.places[i]!;
      count += this.#words[this.#owners[place]!]![1];
      if (branches) continue;
      branches =
        this.unitAt(place, depth) !== next || (isPair && this.unitAt(place, depth + 1) !== second);
    }
    if (count < 2) return false;
    const characters = this.#countCharacters(first, depth);
    if (branches && characters >= 2 && characters <= maxLength) {
      const text = String.fromCharCode(...this.#units.subarray(first, first + depth));
      visit({ text, count, characters });
    }
    return characters < maxLength;
  }

  #countCharacters(place: number, length: number): number {
    let count = 0;
    for (let i = 0; i < length; i++) if ((this.#units[place + i]! & 0xfc00) !== 0xdc00) count++;
    return count;
  }

  #endsInPair(place: number, depth: number): boolean {
    return (this.#units[place + depth - 1]! & 0xfc00) === 0xd800;
  }
}
