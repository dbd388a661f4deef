/**
 * Numbers for words. Words are compared unit by unit where they stand in the text, so that a word that is
 * known already makes no string: this is what indexing spends its time on.
 */
import { toUnits } from "./analysis/character-classes.ts";
import { hashUnits } from "./analysis/hash-units.ts";

/** Words with the numbers 0, 1, 2, … in the order of their first occurrence. */
export class TermTable {
  readonly #words: string[] = [];
  /** The units of all words, one after the other. */
  #units: Uint16Array = new Uint16Array(8192);
  /** Where each word ends there. */
  #ends: Uint32Array = new Uint32Array(1024);
  #hashes: Uint32Array = new Uint32Array(1024);
  /** Number of each slot's word plus one; 0 where the slot is free. */
  #slots: Uint32Array = new Uint32Array(2048);

  /** Number of words. */
  get size(): number {
    return this.#words.length;
  }

  /** All words, in the order of their numbers. */
  words(): readonly string[] {
    return this.#words;
  }

  /** The word of a number. */
  word(id: number): string {
    return this.#words[id]!;
  }

  /** The number of a word; -1 if it is unknown. */
  find(word: string): number {
    const units = toUnits(word);
    const slot = this.#findSlot(units, 0, units.length, hashUnits(units, 0, units.length));
    return this.#slots[slot]! - 1;
  }

  /**
   * The number of the units from `start` up to `end`, a new one if they are unknown.
   *
   * @param hash as `hashUnits` gives it
   */
  intern(
    units: Uint16Array,
    start: number,
    end: number,
    hash: number = hashUnits(units, start, end),
  ): number {
    const slot = this.#findSlot(units, start, end, hash);
    const found = this.#slots[slot]!;
    return found !== 0 ? found - 1 : this.#add(units.subarray(start, end), slot, hash);
  }

  #findSlot(units: Uint16Array, start: number, end: number, hash: number): number {
    const slots = this.#slots;
    const hashes = this.#hashes;
    const ends = this.#ends;
    const known = this.#units;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = slots[slot]!;
      if (found === 0) return slot;
      if (hashes[found - 1] !== hash) continue;
      const first = found === 1 ? 0 : ends[found - 2]!;
      if (ends[found - 1]! - first !== end - start) continue;
      let at = start;
      while (at < end && known[first + at - start] === units[at]) at++;
      if (at === end) return slot;
    }
  }

  #add(word: Uint16Array, slot: number, hash: number): number {
    const id = this.#words.length;
    const first = id === 0 ? 0 : this.#ends[id - 1]!;
    while (first + word.length > this.#units.length) this.#units = grow(this.#units);
    if (id === this.#hashes.length) {
      this.#hashes = grow(this.#hashes);
      this.#ends = grow(this.#ends);
    }
    this.#units.set(word, first);
    this.#ends[id] = first + word.length;
    this.#hashes[id] = hash;
    this.#words.push(toText(word));
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

/** A word of any length as a string. */
function toText(word: Uint16Array): string {
  let text = "";
  for (let at = 0; at < word.length; at += 4096) {
    const part = word.subarray(at, at + 4096);
    // Several times as fast as spreading, which goes through an iterator.
    text += Reflect.apply(String.fromCharCode, undefined, part) as string;
  }
  return text;
}

/** The same numbers with space for as many again. */
export function grow<
  T extends Uint8Array | Uint16Array | Uint32Array | Int32Array | Float32Array | Float64Array,
>(array: T): T {
  const larger = new (array.constructor as new (length: number) => T)(array.length * 2);
  larger.set(array);
  return larger;
}
