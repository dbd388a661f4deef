/**
 * Counts the words of a stream of texts: all that training, and tracing it back, needs to keep of it.
 *
 * Words are ranges of UTF-16 units in one array, found through an open-addressed table, so that
 * counting allocates nothing for a word that has been seen.
 */

import type { Normalizer } from "../normalizers/normalizer.ts";
import { isWhitespace } from "../pre-tokenizers/character-classes.ts";
import type { PreTokenizerStep } from "../pre-tokenizers/pre-tokenizers.ts";

export class WordCounter {
  readonly #normalizer: Normalizer | null;
  readonly #steps: readonly PreTokenizerStep[];
  #units: Uint16Array = new Uint16Array(1024);

  /** Number of distinct words. */
  size = 0;
  /** How often each word occurred. */
  counts: Float64Array = new Float64Array(1024);
  #keys: Uint16Array = new Uint16Array(8192);
  /** Where the key of each word starts; one more entry marks the end of the last. */
  #starts: Float64Array = new Float64Array(1025);
  #hashes: Int32Array = new Int32Array(1024);
  #slots: Int32Array = new Int32Array(4096);

  constructor(normalizer: Normalizer | null, steps: readonly PreTokenizerStep[]) {
    this.#normalizer = normalizer;
    this.#steps = steps;
  }

  /** Counts the words of a text, which must be well-formed. */
  add(text: string): void {
    const normalized = this.#normalizer === null ? text : this.#normalizer.normalize(text);
    this.#addPiece(normalized, 0, true);
  }

  /** The words with their counts, in the order in which they first occurred. */
  *words(): Iterable<readonly [string, number]> {
    for (let i = 0; i < this.size; i++) {
      const key = this.#keys.subarray(this.#starts[i]!, this.#starts[i + 1]!);
      let word = "";
      // Long words are built in parts: an argument list is limited.
      for (let from = 0; from < key.length; from += 4096) {
        word += String.fromCharCode(...key.subarray(from, from + 4096));
      }
      yield [word, this.counts[i]!];
    }
  }

  #addPiece(piece: string, firstStep: number, atStart: boolean): void {
    let text = piece;
    for (let i = firstStep; i < this.#steps.length; i++) {
      if (text === "") return;
      const step = this.#steps[i]!;
      if (step.kind === "rewrite") {
        text = step.rewrite(text, atStart);
        continue;
      }
      if (i < this.#steps.length - 1) {
        step.split(text, (start, end) =>
          this.#addPiece(text.slice(start, end), i + 1, atStart && start === 0),
        );
      } else if (step.scan === undefined) {
        this.#load(text);
        step.split(text, (start, end) => this.#count(start, end));
      } else {
        this.#load(text);
        for (let start = 0; start < text.length; ) {
          const end = step.scan(this.#units, start, text.length);
          const isDropped = step.dropsSpaces === true && isWhitespace(this.#units[start]!);
          if (!isDropped) this.#count(start, end);
          start = end;
        }
      }
      return;
    }
    if (text === "") return;
    this.#load(text);
    this.#count(0, text.length);
  }

  #load(text: string): void {
    if (text.length > this.#units.length) {
      this.#units = new Uint16Array(Math.max(text.length, this.#units.length * 2));
    }
    const units = this.#units;
    for (let i = 0; i < text.length; i++) units[i] = text.charCodeAt(i);
  }

  #count(start: number, end: number): void {
    const units = this.#units;
    const keys = this.#keys;
    const starts = this.#starts;
    const hashes = this.#hashes;
    const length = end - start;
    let hash = length;
    for (let i = start; i < end; i++)
      hash = Math.imul(hash ^ units[i]!, 0x5bd1e995) ^ (hash >>> 15);
    const mask = this.#slots.length - 1;
    let slot = (hash ^ (hash >>> 16)) & mask;
    for (;;) {
      const word = this.#slots[slot]! - 1;
      if (word < 0) break;
      if (hashes[word] === hash) {
        const key = starts[word]!;
        if (starts[word + 1]! - key === length) {
          let i = 0;
          while (i < length && keys[key + i] === units[start + i]) i++;
          if (i === length) {
            this.counts[word]!++;
            return;
          }
        }
      }
      slot = (slot + 1) & mask;
    }
    this.#addWord(start, end, hash, slot);
  }

  #addWord(start: number, end: number, hash: number, slot: number): void {
    const word = this.size++;
    if (word + 1 >= this.counts.length) {
      this.counts = grow(this.counts, new Float64Array(this.counts.length * 2));
      this.#hashes = grow(this.#hashes, new Int32Array(this.#hashes.length * 2));
      this.#starts = grow(this.#starts, new Float64Array(this.#starts.length * 2));
    }
    const key = this.#starts[word]!;
    const keyEnd = key + end - start;
    if (keyEnd > this.#keys.length) {
      this.#keys = grow(this.#keys, new Uint16Array(Math.max(keyEnd, this.#keys.length * 2)));
    }
    this.#keys.set(this.#units.subarray(start, end), key);
    this.#starts[word + 1] = keyEnd;
    this.counts[word] = 1;
    this.#hashes[word] = hash;
    this.#slots[slot] = word + 1;
    if (this.size * 2 > this.#slots.length) {
      const slots = new Int32Array(this.#slots.length * 2);
      const mask = slots.length - 1;
      for (let i = 0; i < this.size; i++) {
        const other = this.#hashes[i]!;
        let at = (other ^ (other >>> 16)) & mask;
        while (slots[at] !== 0) at = (at + 1) & mask;
        slots[at] = i + 1;
      }
      this.#slots = slots;
    }
  }
}

function grow<List extends Float64Array | Int32Array | Uint16Array>(from: List, to: List): List {
  to.set(from);
  return to;
}
