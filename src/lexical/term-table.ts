/**
 * Numbers for words. Words are compared unit by unit where they stand in the text, so that a word that is
 * known already makes no string: this is what indexing spends its time on.
 */

/** Words with the numbers 0, 1, 2, … in the order of their first occurrence. */
export class TermTable {
  readonly #words: string[] = [];
  /** Place of each slot's word plus one; 0 where the slot is free. */
  #slots: Uint32Array = new Uint32Array(1024);
  #hashes: Uint32Array = new Uint32Array(512);

  /** Number of words. */
  get size(): number {
    return this.#words.length;
  }

  /** The word of a number. */
  word(id: number): string {
    return this.#words[id]!;
  }

  /** All words, in the order of their numbers. */
  words(): readonly string[] {
    return this.#words;
  }

  /** The number of `text.slice(start, end)`, a new one if it is unknown. */
  intern(text: string, start = 0, end: number = text.length): number {
    const hash = hashRange(text, start, end);
    const slot = this.#findSlot(text, start, end, hash);
    const found = this.#slots[slot]!;
    return found !== 0 ? found - 1 : this.#add(text.slice(start, end), slot, hash);
  }

  /** The number of a word; -1 if it is unknown. */
  find(word: string): number {
    return this.#slots[this.#findSlot(word, 0, word.length, hashRange(word, 0, word.length))]! - 1;
  }

  #findSlot(text: string, start: number, end: number, hash: number): number {
    const slots = this.#slots;
    const hashes = this.#hashes;
    const mask = slots.length - 1;
    const length = end - start;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = slots[slot]!;
      if (found === 0) return slot;
      if (hashes[found - 1] !== hash) continue;
      const word = this.#words[found - 1]!;
      if (word.length !== length) continue;
      let at = 0;
      while (at < length && word.charCodeAt(at) === text.charCodeAt(start + at)) at++;
      if (at === length) return slot;
    }
  }

  #add(word: string, slot: number, hash: number): number {
    const id = this.#words.length;
    // A slice may keep its whole text alive: a table outlives the texts that it was filled from.
    this.#words.push(copyString(word));
    if (id === this.#hashes.length) this.#hashes = grow(this.#hashes);
    this.#hashes[id] = hash;
    this.#slots[slot] = id + 1;
    if (this.#words.length * 2 > this.#slots.length) this.#rehash();
    return id;
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 4);
    const mask = slots.length - 1;
    for (let id = 0; id < this.#words.length; id++) {
      let slot = this.#hashes[id]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = id + 1;
    }
    this.#slots = slots;
  }
}

function hashRange(text: string, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}

/** The same characters in memory of their own. */
function copyString(text: string): string {
  return text.length < 13 ? text : ` ${text}`.slice(1);
}

/** The same numbers with space for as many again. */
export function grow<T extends Uint32Array | Float64Array>(array: T): T {
  const larger = new (array.constructor as new (length: number) => T)(array.length * 2);
  larger.set(array);
  return larger;
}
