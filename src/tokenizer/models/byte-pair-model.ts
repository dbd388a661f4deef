/**
 * Byte-pair encoding (Sennrich et al., 2016): a word starts as single characters (or bytes) and the
 * adjacent pair with the lowest rank is merged until none is left; of equal pairs the leftmost goes
 * first.
 *
 * Words are merged as integers: a table maps (left id, right id) to a rank, another a rank to the
 * merged id. Short words scan for the lowest rank; long ones keep the pairs in a heap over a linked
 * list, so that the cost stays within n log n for any input.
 */
import { JetonError } from "../../core/error.ts";
import {
  byteOfUnit,
  byteToCharacter,
  toByteAlphabet,
  utf8Length,
} from "../decoders/byte-alphabet.ts";
import { describeValue } from "../formats/json-reader.ts";
import { PairTable } from "./pair-table.ts";
import { TokenIndex } from "./token-index.ts";
import type { TokenSink } from "./token-sink.ts";
import type { Vocabulary } from "./vocabulary.ts";
import type { WordModel } from "./word-model.ts";

/** A token of a model that merges by score. */
export interface ScoredToken {
  readonly token: string;
  readonly id: number;
  readonly score: number;
}

export interface BytePairOptions {
  vocabulary: Vocabulary;
  /** Pairs of token strings, best first. */
  merges?: Iterable<readonly [string, string]>;
  /**
   * Instead of merges: tokens with scores. Any two neighbours merge whose strings together are one
   * of these tokens, the highest score first.
   */
  scored?: readonly ScoredToken[];
  /** Number of merges, where it is known, to size the table. */
  mergeCount?: number;
  /**
   * True when words come as raw text whose UTF-8 bytes are the symbols, each byte standing in the
   * vocabulary as its character of the GPT-2 byte alphabet. False when the symbols are the
   * characters of the word.
   */
  bytesAsSymbols: boolean;
  unknownToken?: string | undefined;
  fuseUnknown?: boolean;
  /** Unknown tokens are shown as the text that they stand for. Default false. */
  unknownShowsText?: boolean;
  /** A character outside the vocabulary becomes its bytes `<0x00>`…`<0xFF>` where these exist. */
  byteFallback?: boolean;
  /** A word that is a token as a whole is not merged at all. */
  ignoreMerges?: boolean;
  /** Written before every symbol of a word but the first. */
  continuingPrefix?: string | undefined;
  /** Written after the last symbol of a word. */
  endSuffix?: string | undefined;
}

/** Words up to this many symbols scan for the best pair; longer ones use the heap. */
const shortWord = 32;
/** Heap keys are rank × 2^30 + position, exact in a double for ranks below 2^23. */
const positionSpan = 2 ** 30;
const noRank = 0x7fffffff;
/** Bytes less one of the set of hashes of whole tokens: four million bits. */
const hashMask = (1 << 19) - 1;

function addToHash(hash: number, byte: number): number {
  const mixed = Math.imul(hash ^ byte, 0x5bd1e995);
  return mixed ^ (mixed >>> 15);
}

export function createBytePairModel(options: BytePairOptions): WordModel {
  return new BytePairModel(options);
}

class BytePairModel implements WordModel {
  readonly kind = "BPE" as const;
  readonly vocabulary: Vocabulary;
  readonly unknownId: number | undefined;
  readonly unknownShowsText: boolean;
  readonly cutBefore?: string;

  #pairs: PairTable = new PairTable();
  /** Length of the longest token in UTF-16 units. */
  #maxTokenLength = 0;
  readonly #bytesAsSymbols: boolean;
  readonly #fuseUnknown: boolean;
  readonly #ignoreMerges: boolean;
  readonly #continuingPrefix: string;
  readonly #endSuffix: string;
  /** Id of the token of each single byte (its character, or its `<0xNN>`), -1 where absent. */
  readonly #byteIds: Int32Array | null;
  readonly #unknownToken: string | undefined;

  // The word being merged: symbol ids and their lengths in UTF-8 bytes.
  #symbols: Int32Array = new Int32Array(256);
  #lengths: Int32Array = new Int32Array(256);
  #count = 0;
  readonly #ranks: Int32Array = new Int32Array(shortWord + 1);
  readonly #found: Int32Array = new Int32Array(shortWord + 1);
  // Its bytes, where they are the symbols.
  #bytes: Uint8Array = new Uint8Array(768);
  #byteCount = 0;
  readonly #allBytesKnown: boolean;
  #bytePairs: Int32Array | undefined;
  #tokenHashes: Uint8Array | undefined;
  // A run of unknown characters that has not been written yet.
  #pendingUnknown = -1;

  constructor(options: BytePairOptions) {
    const { vocabulary } = options;
    this.vocabulary = vocabulary;
    this.#bytesAsSymbols = options.bytesAsSymbols;
    this.#fuseUnknown = options.fuseUnknown ?? false;
    this.unknownShowsText = options.unknownShowsText ?? false;
    this.#ignoreMerges = options.ignoreMerges ?? false;
    this.#continuingPrefix = options.continuingPrefix ?? "";
    this.#endSuffix = options.endSuffix ?? "";
    this.#unknownToken = options.unknownToken;
    this.unknownId =
      options.unknownToken === undefined ? undefined : vocabulary.ids.get(options.unknownToken);
    if (options.bytesAsSymbols) {
      this.#byteIds = Int32Array.from(byteToCharacter, (c) => vocabulary.ids.get(c) ?? -1);
    } else if (options.byteFallback) {
      this.#byteIds = Int32Array.from(
        { length: 256 },
        (_, byte) => vocabulary.ids.get(byteToken(byte)) ?? -1,
      );
    } else {
      this.#byteIds = null;
    }

    this.#allBytesKnown = options.bytesAsSymbols && this.#byteIds!.every((id) => id >= 0);
    const spaceSafe =
      options.scored === undefined ? this.#addMerges(options) : this.#addScored(options.scored);
    for (const token of vocabulary.ids.keys()) {
      if (token.length > this.#maxTokenLength) this.#maxTokenLength = token.length;
    }

    // Unknown characters must be settled at the cut as they are inside a text: they are when the
    // character at the cut is itself a token.
    const plain = this.#continuingPrefix === "" && this.#endSuffix === "" && !this.#ignoreMerges;
    const settled = this.unknownId !== undefined || this.#byteIds?.every((id) => id >= 0) === true;
    if (spaceSafe && plain && settled && !this.#bytesAsSymbols && vocabulary.ids.has(metaspace)) {
      this.cutBefore = metaspace;
    }
  }

  /** Ranks the pairs of a merge list. Returns whether no merge crosses the start of a space. */
  #addMerges(options: BytePairOptions): boolean {
    const { ids } = this.vocabulary;
    const prefixLength = this.#continuingPrefix.length;
    let rank = 0;
    let spaceSafe = true;
    this.#pairs = new PairTable(options.mergeCount ?? 16);
    for (const [left, right] of options.merges ?? []) {
      const leftId = ids.get(left);
      const rightId = ids.get(right);
      const result = left + (prefixLength === 0 ? right : right.slice(prefixLength));
      const resultId = ids.get(result);
      if (leftId === undefined || rightId === undefined || resultId === undefined) {
        const absent = leftId === undefined ? left : rightId === undefined ? right : result;
        throw new JetonError(
          `merge ${rank} (${describeValue([left, right])}) needs the token ${describeValue(absent)}, which the vocabulary lacks`,
          { code: "tokenizer-merge-unknown-token", details: { merge: rank, left, right, absent } },
        );
      }
      this.#pairs.set(leftId, rightId, rank++, resultId);
      // Each boundary inside a token is the boundary of some merge, so checking these is enough.
      if (right.charCodeAt(0) === metaspaceUnit && !left.endsWith(metaspace)) spaceSafe = false;
    }
    return spaceSafe;
  }

  /** Ranks every way to make each token of two others by the token's score. */
  #addScored(scored: readonly ScoredToken[]): boolean {
    const index = new TokenIndex(scored.map(({ token }) => token));
    const ranks = rankScores(scored);
    let spaceSafe = true;
    this.#pairs = new PairTable(scored.length * 2);
    for (const [i, { token, id }] of scored.entries()) {
      const rank = ranks[i]!;
      index.visitCuts(i, (left, right, cut) => {
        this.#pairs.set(scored[left]!.id, scored[right]!.id, rank, id);
        const isSpace = token.charCodeAt(cut) === metaspaceUnit;
        if (isSpace && token.charCodeAt(cut - 1) !== metaspaceUnit) spaceSafe = false;
      });
    }
    return spaceSafe;
  }

  encodeWord(word: string, sink: TokenSink): void {
    this.#count = 0;
    this.#pendingUnknown = -1;
    if (this.#bytesAsSymbols) this.#readBytes(word);
    else this.#readCharacters(word);
    if (this.#count > shortWord) this.#mergeLong();
    else if (this.#count > 1) this.#mergeShort();
    if (
      this.#ignoreMerges &&
      !this.#isWholeWord(word) &&
      word.length <= this.#maxTokenLength &&
      this.#mayBeToken()
    ) {
      const whole = this.#bytesAsSymbols ? toByteAlphabet(word) : word;
      const id = this.vocabulary.ids.get(whole);
      if (id !== undefined) {
        sink.push(id, 0, utf8LengthOf(word));
        return;
      }
    }
    const symbols = this.#symbols;
    const lengths = this.#lengths;
    const count = this.#count;
    sink.reserve(count);
    let start = 0;
    for (let i = 0; i < count; i++) {
      const end = start + lengths[i]!;
      sink.push(symbols[i]!, start, end);
      start = end;
    }
  }

  /** True when the word has merged into one token, which is then the word itself as a token. */
  #isWholeWord(word: string): boolean {
    if (this.#count !== 1) return false;
    if (this.#allBytesKnown) return true;
    // Unknown characters, fused or lost, and a suffix make one token of a word that it does not spell.
    return (
      this.#endSuffix === "" &&
      this.#symbols[0] !== this.unknownId &&
      this.#lengths[0] === utf8LengthOf(word)
    );
  }

  #addSymbol(id: number, length: number): void {
    if (this.#count === this.#symbols.length) {
      const symbols = new Int32Array(this.#count * 2);
      symbols.set(this.#symbols);
      this.#symbols = symbols;
      const lengths = new Int32Array(this.#count * 2);
      lengths.set(this.#lengths);
      this.#lengths = lengths;
    }
    this.#symbols[this.#count] = id;
    this.#lengths[this.#count++] = length;
  }

  /** Symbols of a word of raw text: its UTF-8 bytes. */
  #readBytes(word: string): void {
    if (word.length * 3 > this.#bytes.length) this.#bytes = new Uint8Array(word.length * 6);
    const bytes = this.#bytes;
    let size = 0;
    for (let i = 0; i < word.length; i++) {
      const unit = word.charCodeAt(i);
      if (unit < 0x80) {
        bytes[size++] = unit;
      } else if (unit < 0x800) {
        bytes[size++] = 0xc0 | (unit >> 6);
        bytes[size++] = 0x80 | (unit & 0x3f);
      } else if (unit >= 0xd800 && unit < 0xdc00) {
        const codePoint = word.codePointAt(i)!;
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
    this.#reserveSymbols(size);
    this.#byteCount = size;
    const byteIds = this.#byteIds!;
    if (this.#allBytesKnown) {
      const symbols = this.#symbols;
      const lengths = this.#lengths;
      for (let i = 0; i < size; i++) {
        symbols[i] = byteIds[bytes[i]!]!;
        lengths[i] = 1;
      }
      this.#count = size;
      return;
    }
    for (let i = 0; i < size; i++) {
      const id = byteIds[bytes[i]!]!;
      if (id < 0) {
        this.#addUnknown(1);
      } else {
        if (this.#pendingUnknown >= 0) this.#flushUnknown();
        this.#addSymbol(id, 1);
      }
    }
    this.#flushUnknown();
  }

  #reserveSymbols(size: number): void {
    if (size <= this.#symbols.length) return;
    this.#symbols = new Int32Array(size * 2);
    this.#lengths = new Int32Array(size * 2);
  }

  /** False when the bytes just read are surely no token as a whole. */
  #mayBeToken(): boolean {
    if (!this.#bytesAsSymbols) return true;
    this.#tokenHashes ??= this.#collectTokenHashes();
    let hash = 0;
    for (let i = 0; i < this.#byteCount; i++) hash = addToHash(hash, this.#bytes[i]!);
    return (this.#tokenHashes[(hash >>> 3) & hashMask]! & (1 << (hash & 7))) !== 0;
  }

  /** A set of the hashes of all tokens' bytes. */
  #collectTokenHashes(): Uint8Array {
    const hashes = new Uint8Array(hashMask + 1);
    for (const token of this.vocabulary.ids.keys()) {
      let hash = 0;
      for (let i = 0; i < token.length; i++)
        hash = addToHash(hash, byteOfUnit(token.charCodeAt(i)));
      hashes[(hash >>> 3) & hashMask]! |= 1 << (hash & 7);
    }
    return hashes;
  }

  /** Symbols of a word of ordinary text: its characters. */
  #readCharacters(word: string): void {
    const { ids } = this.vocabulary;
    const decorated = this.#continuingPrefix !== "" || this.#endSuffix !== "";
    for (let i = 0; i < word.length; ) {
      const codePoint = word.codePointAt(i)!;
      const next = i + (codePoint > 0xffff ? 2 : 1);
      let symbol = next - i === word.length ? word : word.slice(i, next);
      if (decorated) {
        if (i > 0) symbol = this.#continuingPrefix + symbol;
        if (next === word.length) symbol += this.#endSuffix;
      }
      const id = ids.get(symbol);
      if (id !== undefined) {
        if (this.#pendingUnknown >= 0) this.#flushUnknown();
        this.#addSymbol(id, utf8Length(codePoint));
      } else if (!this.#addFallback(symbol)) {
        this.#addUnknown(utf8Length(codePoint));
      }
      i = next;
    }
    this.#flushUnknown();
  }

  /** Adds a symbol outside the vocabulary as its bytes; false when some byte has no token. */
  #addFallback(symbol: string): boolean {
    const byteIds = this.#byteIds;
    if (byteIds === null) return false;
    const mark = this.#count;
    // A pending run of unknown characters stays pending, as in the reference implementation.
    for (const byte of utf8Bytes(symbol)) {
      if (byteIds[byte]! < 0) {
        this.#count = mark;
        return false;
      }
      this.#addSymbol(byteIds[byte]!, 1);
    }
    return true;
  }

  #addUnknown(length: number): void {
    if (this.#unknownToken === undefined) return; // Without an unknown token the character is lost.
    if (this.unknownId === undefined) {
      throw new JetonError(
        `the unknown token ${describeValue(this.#unknownToken)} is not in the vocabulary, and the text needs it`,
        { code: "tokenizer-unknown-token-absent", details: { token: this.#unknownToken } },
      );
    }
    if (this.#pendingUnknown >= 0) {
      if (this.#fuseUnknown) {
        this.#pendingUnknown += length;
        return;
      }
      this.#flushUnknown();
    }
    this.#pendingUnknown = length;
  }

  #flushUnknown(): void {
    if (this.#pendingUnknown < 0) return;
    this.#addSymbol(this.unknownId!, this.#pendingUnknown);
    this.#pendingUnknown = -1;
  }

  #mergeShort(): void {
    const symbols = this.#symbols;
    const lengths = this.#lengths;
    const ranks = this.#ranks;
    const found = this.#found;
    const pairs = this.#pairs;
    const { slots } = pairs;
    let count = this.#count;
    for (let i = 0; i + 1 < count; i++) {
      const at = this.#findFirst(i);
      found[i] = at;
      ranks[i] = at < 0 ? noRank : slots[at + 2]!;
    }
    for (;;) {
      let best = noRank;
      let at = -1;
      for (let i = 0; i + 1 < count; i++) {
        if (ranks[i]! < best) {
          best = ranks[i]!;
          at = i;
        }
      }
      if (at < 0) break;
      symbols[at] = slots[found[at]! + 3]!;
      lengths[at]! += lengths[at + 1]!;
      count--;
      for (let i = at + 1; i < count; i++) {
        symbols[i] = symbols[i + 1]!;
        lengths[i] = lengths[i + 1]!;
        ranks[i] = ranks[i + 1]!;
        found[i] = found[i + 1]!;
      }
      if (at > 0) {
        const left = pairs.find(symbols[at - 1]!, symbols[at]!);
        found[at - 1] = left;
        ranks[at - 1] = left < 0 ? noRank : slots[left + 2]!;
      }
      if (at + 1 < count) {
        const right = pairs.find(symbols[at]!, symbols[at + 1]!);
        found[at] = right;
        ranks[at] = right < 0 ? noRank : slots[right + 2]!;
      }
    }
    this.#count = count;
  }

  /** Where the pair of two neighbouring symbols of an unmerged word is held, or -1. */
  #findFirst(at: number): number {
    if (!this.#allBytesKnown) return this.#pairs.find(this.#symbols[at]!, this.#symbols[at + 1]!);
    this.#bytePairs ??= this.#collectBytePairs();
    return this.#bytePairs[(this.#bytes[at]! << 8) | this.#bytes[at + 1]!]!;
  }

  /** Where each pair of bytes is held, or -1: every word starts with these. */
  #collectBytePairs(): Int32Array {
    const byteIds = this.#byteIds!;
    return Int32Array.from({ length: 0x10000 }, (_, pair) =>
      this.#pairs.find(byteIds[pair >> 8]!, byteIds[pair & 0xff]!),
    );
  }

  #mergeLong(): void {
    const symbols = this.#symbols;
    const lengths = this.#lengths;
    const pairs = this.#pairs;
    const count = this.#count;
    const next = new Int32Array(count);
    const previous = new Int32Array(count);
    // Rank of the pair that starts at each living symbol; a heap entry that disagrees is stale.
    const pairRanks = new Int32Array(count).fill(-1);
    const heap = new KeyHeap(count);
    for (let i = 0; i < count; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
      if (i + 1 < count) {
        const place = this.#findFirst(i);
        const rank = place < 0 ? -1 : pairs.slots[place + 2]!;
        pairRanks[i] = rank;
        if (rank >= 0) heap.append(rank * positionSpan + i);
      }
    }
    heap.order();
    while (heap.length > 0) {
      const key = heap.pop();
      const rank = Math.floor(key / positionSpan);
      const at = key - rank * positionSpan;
      if (pairRanks[at] !== rank) continue;
      const gone = next[at]!;
      symbols[at] = pairs.slots[pairs.find(symbols[at]!, symbols[gone]!) + 3]!;
      lengths[at]! += lengths[gone]!;
      pairRanks[gone] = -1;
      const after = next[gone]!;
      next[at] = after;
      if (after < count) {
        previous[after] = at;
        const right = pairs.get(symbols[at]!, symbols[after]!);
        pairRanks[at] = right;
        if (right >= 0) heap.push(right * positionSpan + at);
      } else {
        pairRanks[at] = -1;
      }
      const before = previous[at]!;
      if (before >= 0) {
        const left = pairs.get(symbols[before]!, symbols[at]!);
        pairRanks[before] = left;
        if (left >= 0) heap.push(left * positionSpan + before);
      }
    }
    let kept = 0;
    for (let i = 0; i < count; i = next[i]!) {
      symbols[kept] = symbols[i]!;
      lengths[kept++] = lengths[i]!;
    }
    this.#count = kept;
  }
}

/** The rank of each token by its score: 0 for the highest, equal ones for equal scores. */
function rankScores(scored: readonly ScoredToken[]): Int32Array {
  const order = Int32Array.from(scored, (_, i) => i);
  const isSorted = scored.every(({ score }, i) => i === 0 || score <= scored[i - 1]!.score);
  if (!isSorted) order.sort((a, b) => scored[b]!.score - scored[a]!.score);
  const ranks = new Int32Array(scored.length);
  let rank = 0;
  for (let i = 1; i < order.length; i++) {
    if (scored[order[i]!]!.score !== scored[order[i - 1]!]!.score) rank++;
    ranks[order[i]!] = rank;
  }
  return ranks;
}

/** The space of SentencePiece, U+2581. */
export const metaspace = "\u2581";
const metaspaceUnit = 0x2581;

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

/** A binary heap of doubles, smallest first. */
class KeyHeap {
  #keys: Float64Array;
  length = 0;

  constructor(capacity: number) {
    this.#keys = new Float64Array(Math.max(capacity, 16));
  }

  /** Adds a key without restoring the order; `order` must follow. */
  append(key: number): void {
    this.#keys[this.length++] = key;
  }

  order(): void {
    for (let i = (this.length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  push(key: number): void {
    if (this.length === this.#keys.length) {
      const grown = new Float64Array(this.length * 2);
      grown.set(this.#keys);
      this.#keys = grown;
    }
    const keys = this.#keys;
    let at = this.length++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[at] = keys[parent]!;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number {
    const keys = this.#keys;
    const top = keys[0]!;
    keys[0] = keys[--this.length]!;
    if (this.length > 1) this.#sink(0);
    return top;
  }

  #sink(at: number): void {
    const { length } = this;
    const keys = this.#keys;
    const key = keys[at]!;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= length) break;
      if (child + 1 < length && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= key) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = key;
  }
}
