/**
 * A bounded cache from words to their tokens.
 *
 * Words repeat: most of a text is found here and never reaches the model. The text is loaded into an
 * array of UTF-16 units once; words are looked up as ranges of it, so that a hit allocates nothing.
 * Keys and values live in typed arrays. When the cache is full it starts afresh.
 */
import { type IntegerList, TokenSink } from "./token-sink.ts";
import type { WordModel } from "./word-model.ts";

/** Longer words (in UTF-16 units) are not kept. */
const maxWordLength = 96;
const maxWords = 1 << 16;
const maxKeyUnits = 1 << 20;
const maxTokens = 1 << 19;

// A slot: hash, start and length of the key (length 0: empty), start and number of the tokens, and
// the first token itself, which saves most words another access.
const slotSize = 8;
const hashField = 0;
const keyField = 1;
const lengthField = 2;
const startField = 3;
const countField = 4;
const firstField = 5;

export class WordCache {
  readonly #model: WordModel;
  #text = "";
  /** UTF-16 units of the loaded text; valid up to its length. */
  units: Uint16Array = new Uint16Array(1024);

  #slots: Int32Array = new Int32Array(1024 * slotSize);
  #mask = 1023;
  #words = 0;
  #keys: Uint16Array = new Uint16Array(8192);
  #keyCount = 0;
  /** Tokens of the words that are kept. */
  readonly #kept: TokenSink = new TokenSink();
  /** Tokens of a word that has just been encoded. */
  readonly #fresh: TokenSink = new TokenSink();

  constructor(model: WordModel) {
    this.#model = model;
  }

  /** Makes `text` the one whose words are looked up. It must be well-formed. */
  load(text: string): void {
    this.#text = text;
    const { length } = text;
    if (length > this.units.length)
      this.units = new Uint16Array(Math.max(length, this.units.length * 2));
    const { units } = this;
    for (let i = 0; i < length; i++) units[i] = text.charCodeAt(i);
  }

  /** Forgets the loaded text, and its units when they take much memory. */
  release(): void {
    this.#text = "";
    if (this.units.length > 1 << 20) this.units = new Uint16Array(1024);
  }

  /** Appends the ids of the word [start, end) of the loaded text. */
  appendIds(start: number, end: number, ids: IntegerList): void {
    const at = this.#find(start, end);
    if (at < 0) {
      copyIds(this.#fresh.ids, 0, this.#fresh.length, ids);
      return;
    }
    const count = this.#slots[at + countField]!;
    if (count === 1) ids.push(this.#slots[at + firstField]!);
    else copyIds(this.#kept.ids, this.#slots[at + startField]!, count, ids);
  }

  /** Appends the tokens of the word [start, end) of the loaded text with their spans. */
  appendTokens(start: number, end: number, sink: TokenSink): void {
    const at = this.#find(start, end);
    const source = at < 0 ? this.#fresh : this.#kept;
    const from = at < 0 ? 0 : this.#slots[at + startField]!;
    const to = at < 0 ? source.length : from + this.#slots[at + countField]!;
    for (let i = from; i < to; i++) sink.push(source.ids[i]!, source.starts[i]!, source.ends[i]!);
  }

  /** The slot of a word, encoding it first where needed; -1 when its tokens are in `fresh` only. */
  #find(start: number, end: number): number {
    const length = end - start;
    if (length > maxWordLength) {
      this.#encode(start, end);
      return -1;
    }
    const { units } = this;
    const slots = this.#slots;
    const keys = this.#keys;
    const mask = this.#mask;
    let hash = length;
    for (let i = start; i < end; i++)
      hash = Math.imul(hash ^ units[i]!, 0x5bd1e995) ^ (hash >>> 15);
    let slot = (hash ^ (hash >>> 16)) & mask;
    for (;;) {
      const at = slot * slotSize;
      const keyLength = slots[at + lengthField]!;
      if (keyLength === 0) break;
      if (slots[at] === hash && keyLength === length) {
        const key = slots[at + keyField]!;
        let i = 0;
        while (i < length && keys[key + i] === units[start + i]) i++;
        if (i === length) return at;
      }
      slot = (slot + 1) & mask;
    }
    this.#encode(start, end);
    return this.#keep(start, end, hash);
  }

  #encode(start: number, end: number): void {
    this.#fresh.length = 0;
    this.#model.encodeWord(this.#text.slice(start, end), this.#fresh);
  }

  #keep(start: number, end: number, hash: number): number {
    const fresh = this.#fresh;
    const kept = this.#kept;
    const length = end - start;
    if (
      this.#words >= maxWords ||
      this.#keyCount + length > maxKeyUnits ||
      kept.length + fresh.length > maxTokens
    ) {
      this.#clear();
    }
    this.#words++;
    if (this.#words * 2 > this.#mask) this.#grow();
    if (this.#keyCount + length > this.#keys.length) {
      const grown = new Uint16Array(this.#keys.length * 2);
      grown.set(this.#keys);
      this.#keys = grown;
    }
    const slots = this.#slots;
    const at = this.#freeSlot(hash);
    slots[at + hashField] = hash;
    slots[at + keyField] = this.#keyCount;
    slots[at + lengthField] = length;
    slots[at + startField] = kept.length;
    slots[at + countField] = fresh.length;
    slots[at + firstField] = fresh.length > 0 ? fresh.ids[0]! : -1;
    // `set` costs more than it saves on so few units.
    const { units } = this;
    const keys = this.#keys;
    for (let i = start, key = this.#keyCount; i < end; i++) keys[key++] = units[i]!;
    this.#keyCount += length;
    kept.reserve(fresh.length);
    for (let i = 0; i < fresh.length; i++)
      kept.push(fresh.ids[i]!, fresh.starts[i]!, fresh.ends[i]!);
    return at;
  }

  #freeSlot(hash: number): number {
    let slot = (hash ^ (hash >>> 16)) & this.#mask;
    while (this.#slots[slot * slotSize + lengthField] !== 0) slot = (slot + 1) & this.#mask;
    return slot * slotSize;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    this.#mask = this.#mask * 2 + 1;
    for (let from = 0; from < old.length; from += slotSize) {
      if (old[from + lengthField] === 0) continue;
      const at = this.#freeSlot(old[from]!);
      for (let i = 0; i < slotSize; i++) this.#slots[at + i] = old[from + i]!;
    }
  }

  #clear(): void {
    this.#slots.fill(0);
    this.#words = 0;
    this.#keyCount = 0;
    this.#kept.length = 0;
  }
}

function copyIds(source: Int32Array, from: number, count: number, ids: IntegerList): void {
  ids.reserve(count);
  const { values } = ids;
  let at = ids.length;
  for (let i = from; i < from + count; i++) values[at++] = source[i]!;
  ids.length = at;
}
