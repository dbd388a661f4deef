/**
 * A bounded cache from words to their tokens.
 *
 * Words repeat: most of a text is found here and never reaches the model. A word is looked up by the
 * UTF-16 units of the text itself, so that a hit allocates nothing; keys and values live in typed
 * arrays. When the cache is full it starts afresh.
 */
import { type IntegerList, TokenSink } from "./token-sink.ts";
import type { WordModel } from "./word-model.ts";

/** Longer words (in UTF-16 units) are not kept. */
const longestWord = 96;
const mostEntries = 1 << 16;
const mostKeyUnits = 1 << 20;
const mostTokens = 1 << 19;

export class WordCache {
  private readonly model: WordModel;
  private readonly scratch: TokenSink = new TokenSink();

  /** Slots of an open-addressed table: hash and entry number (0: empty). */
  private slots: Int32Array = new Int32Array(2048);
  private mask = 1023;
  /** Per entry (from 1): start of its key, end of its key, start of its tokens, end of its tokens. */
  private entries: Int32Array = new Int32Array(4096);
  private entryCount = 0;
  private keys: Uint16Array = new Uint16Array(8192);
  private keyCount = 0;
  private readonly tokens: TokenSink = new TokenSink();

  constructor(model: WordModel) {
    this.model = model;
  }

  /** Appends the ids of the word `text[start, end)`. */
  appendIds(text: string, start: number, end: number, ids: IntegerList): void {
    const entry = this.find(text, start, end);
    const source = entry === 0 ? this.scratch : this.tokens;
    const from = entry === 0 ? 0 : this.entries[entry * 4 + 2]!;
    const to = entry === 0 ? this.scratch.length : this.entries[entry * 4 + 3]!;
    const values = source.ids;
    if (to - from === 1) {
      ids.push(values[from]!);
      return;
    }
    ids.reserve(to - from);
    for (let i = from; i < to; i++) ids.push(values[i]!);
  }

  /** Appends the tokens of the word `text[start, end)` with their spans. */
  appendTokens(text: string, start: number, end: number, sink: TokenSink): void {
    const entry = this.find(text, start, end);
    const source = entry === 0 ? this.scratch : this.tokens;
    const from = entry === 0 ? 0 : this.entries[entry * 4 + 2]!;
    const to = entry === 0 ? this.scratch.length : this.entries[entry * 4 + 3]!;
    for (let i = from; i < to; i++) sink.push(source.ids[i]!, source.starts[i]!, source.ends[i]!);
  }

  /** The entry of a word, encoding it first where needed; 0 when its tokens are in `scratch`. */
  private find(text: string, start: number, end: number): number {
    const length = end - start;
    if (length > longestWord) {
      this.scratch.length = 0;
      this.model.encodeWord(text.slice(start, end), this.scratch);
      return 0;
    }
    let hash = length;
    for (let i = start; i < end; i++)
      hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995) ^ (hash >>> 13);
    hash ^= hash >>> 15;
    const { slots, entries, keys } = this;
    let slot = hash & this.mask;
    for (;;) {
      const entry = slots[slot * 2 + 1]!;
      if (entry === 0) break;
      if (slots[slot * 2] === hash) {
        const key = entries[entry * 4]!;
        if (entries[entry * 4 + 1]! - key === length) {
          let i = 0;
          while (i < length && keys[key + i] === text.charCodeAt(start + i)) i++;
          if (i === length) return entry;
        }
      }
      slot = (slot + 1) & this.mask;
    }
    return this.add(text.slice(start, end), hash);
  }

  private add(word: string, hash: number): number {
    this.scratch.length = 0;
    this.model.encodeWord(word, this.scratch);
    const count = this.scratch.length;
    if (
      this.entryCount >= mostEntries ||
      this.keyCount + word.length > mostKeyUnits ||
      this.tokens.length + count > mostTokens
    ) {
      this.clear();
    }
    const entry = ++this.entryCount;
    if (entry * 2 > this.mask) this.growSlots();
    if ((entry + 1) * 4 > this.entries.length) {
      const grown = new Int32Array(this.entries.length * 2);
      grown.set(this.entries);
      this.entries = grown;
    }
    if (this.keyCount + word.length > this.keys.length) {
      const grown = new Uint16Array(this.keys.length * 2);
      grown.set(this.keys);
      this.keys = grown;
    }
    const { scratch, tokens } = this;
    this.entries[entry * 4] = this.keyCount;
    for (let i = 0; i < word.length; i++) this.keys[this.keyCount++] = word.charCodeAt(i);
    this.entries[entry * 4 + 1] = this.keyCount;
    this.entries[entry * 4 + 2] = tokens.length;
    for (let i = 0; i < count; i++) {
      tokens.push(scratch.ids[i]!, scratch.starts[i]!, scratch.ends[i]!);
    }
    this.entries[entry * 4 + 3] = tokens.length;
    this.place(hash, entry);
    return entry;
  }

  private place(hash: number, entry: number): void {
    let slot = hash & this.mask;
    while (this.slots[slot * 2 + 1] !== 0) slot = (slot + 1) & this.mask;
    this.slots[slot * 2] = hash;
    this.slots[slot * 2 + 1] = entry;
  }

  private growSlots(): void {
    const old = this.slots;
    this.slots = new Int32Array(old.length * 2);
    this.mask = this.mask * 2 + 1;
    for (let i = 0; i < old.length; i += 2) if (old[i + 1] !== 0) this.place(old[i]!, old[i + 1]!);
  }

  private clear(): void {
    this.slots.fill(0);
    this.entryCount = 0;
    this.keyCount = 0;
    this.tokens.length = 0;
  }
}
