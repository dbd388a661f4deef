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
import { byteToCharacter, toByteAlphabet, utf8Length } from "../decoders/byte-alphabet.ts";
import { describeValue } from "../formats/json-reader.ts";
import { mergeLongWord } from "./merge-long-word.ts";
import { metaspace } from "./metaspace.ts";
import type { PairTable } from "./pair-table.ts";
import { rankByScore, rankMerges, type ScoredToken } from "./rank-pairs.ts";
import { TokenHashes } from "./token-hashes.ts";
import type { TokenSink } from "./token-sink.ts";
import { byteToken, utf8Bytes, utf8LengthOf, writeUtf8 } from "./utf8.ts";
import type { Vocabulary } from "./vocabulary.ts";
import type { BytePairRules, WordModel } from "./word-model.ts";

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

const noRank = 0x7fffffff;

export function createBytePairModel(options: BytePairOptions): WordModel {
  return new BytePairModel(options);
}

class BytePairModel implements WordModel {
  readonly kind = "BPE" as const;
  readonly vocabulary: Vocabulary;
  readonly unknownId: number | undefined;
  readonly unknownShowsText: boolean;
  readonly cutBefore?: string;
  readonly bytePairs: BytePairRules;

  readonly #pairs: PairTable;
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
  #tokenHashes: TokenHashes | undefined;
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
    const { pairs, spaceSafe } =
      options.scored === undefined
        ? rankMerges(vocabulary, options.merges ?? [], {
            prefixLength: this.#continuingPrefix.length,
            mergeCount: options.mergeCount ?? 16,
          })
        : rankByScore(options.scored);
    this.#pairs = pairs;
    this.bytePairs = {
      pairs,
      bytesAsSymbols: options.bytesAsSymbols,
      byteIds: this.#byteIds,
      ignoreMerges: this.#ignoreMerges,
      isPlain: this.#continuingPrefix === "" && this.#endSuffix === "",
    };
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
    const size = writeUtf8(word, bytes);
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
    this.#tokenHashes ??= new TokenHashes(this.vocabulary.ids.keys());
    return this.#tokenHashes.mayHave(this.#bytes, this.#byteCount);
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
    const count = this.#count;
    const places = new Int32Array(count - 1);
    for (let i = 0; i + 1 < count; i++) places[i] = this.#findFirst(i);
    this.#count = mergeLongWord(this.#symbols, this.#lengths, places, this.#pairs);
  }
}
