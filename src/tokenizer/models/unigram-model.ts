/**
 * The unigram language model (Kudo, 2018): of all ways to cut a word into tokens, the one with the
 * highest sum of log-probabilities, by dynamic programming over the ends of prefixes.
 *
 * Characters that no token covers alone get a token of their own, ten below the worst score. Of
 * equally good cuts the first one found stays, sums are formed from left to right in doubles, as in
 * the reference implementation.
 */
import { JetonError } from "../../core/error.ts";
import type { TokenSink } from "./token-sink.ts";
import { Trie } from "./trie.ts";
import { byteToken, utf8Bytes, utf8LengthOf } from "./utf8.ts";
import type { Vocabulary } from "./vocabulary.ts";
import type { WordModel } from "./word-model.ts";

export interface UnigramOptions {
  vocabulary: Vocabulary;
  /** Log-probability of each id. */
  scores: Float64Array;
  unknownId?: number | undefined;
  /** Characters outside the vocabulary become their bytes `<0x00>`…`<0xFF>` where these exist. */
  byteFallback: boolean;
  /** Ids that text never becomes (control tokens of a SentencePiece model). */
  isReserved?: (id: number) => boolean;
  /** Sums in single precision, as SentencePiece forms them. */
  singlePrecision?: boolean;
}

const unknownPenalty = 10;

export function createUnigramModel(options: UnigramOptions): WordModel {
  return new UnigramModel(options);
}

class UnigramModel implements WordModel {
  readonly kind = "Unigram" as const;
  readonly vocabulary: Vocabulary;
  readonly unknownId: number | undefined;
  readonly unknownShowsText = true;

  readonly #scores: Float64Array;
  readonly #trie: Trie;
  readonly #unknownScore: number;
  readonly #byteIds: Int32Array | null;
  readonly #singlePrecision: boolean;

  // Best cut of each prefix: its score, where its last token starts, and that token's id.
  #best: Float64Array = new Float64Array(256);
  #from: Int32Array = new Int32Array(256);
  #last: Int32Array = new Int32Array(256);

  constructor(options: UnigramOptions) {
    this.vocabulary = options.vocabulary;
    this.#scores = options.scores;
    this.unknownId = options.unknownId;
    this.#singlePrecision = options.singlePrecision ?? false;
    this.#trie = new Trie(options.vocabulary.ids.size * 2);
    let lowest = Number.POSITIVE_INFINITY;
    for (const [token, id] of options.vocabulary.ids) {
      if (options.isReserved?.(id)) continue;
      const score = options.scores[id]!;
      if (score < lowest) lowest = score;
      if (token !== "") this.#trie.set(token, id);
    }
    this.#unknownScore = (Number.isFinite(lowest) ? lowest : 0) - unknownPenalty;
    if (this.#singlePrecision) this.#unknownScore = Math.fround(this.#unknownScore);
    this.#byteIds = options.byteFallback
      ? Int32Array.from(
          { length: 256 },
          (_, byte) => options.vocabulary.ids.get(byteToken(byte)) ?? -1,
        )
      : null;
  }

  encodeWord(word: string, sink: TokenSink): void {
    this.#findBestCut(word);
    // The cuts come from the end; runs of unknown characters are joined.
    const bounds: number[] = [];
    for (let end = word.length; end > 0; ) {
      let start = this.#from[end]!;
      const id = this.#last[end]!;
      if (id === this.unknownId) {
        while (start > 0 && this.#last[start] === this.unknownId) start = this.#from[start]!;
      }
      bounds.push(start, end, id);
      end = start;
    }
    let bytes = 0;
    for (let i = bounds.length - 3; i >= 0; i -= 3) {
      const id = bounds[i + 2]!;
      const piece = word.slice(bounds[i]!, bounds[i + 1]!);
      const end = bytes + utf8LengthOf(piece);
      if (id === this.unknownId) this.#addUnknown(piece, bytes, end, sink);
      else sink.push(id, bytes, end);
      bytes = end;
    }
  }

  /** A piece without a token: its bytes where they have tokens, or the unknown token. */
  #addUnknown(piece: string, start: number, end: number, sink: TokenSink): void {
    const exact = this.vocabulary.ids.get(piece);
    if (exact !== undefined) {
      sink.push(exact, start, end);
      return;
    }
    const byteIds = this.#byteIds;
    if (byteIds !== null) {
      const bytes = utf8Bytes(piece);
      if (bytes.every((byte) => byteIds[byte]! >= 0)) {
        for (const byte of bytes) sink.push(byteIds[byte]!, start, end);
        return;
      }
    }
    sink.push(this.unknownId!, start, end);
  }

  #findBestCut(word: string): void {
    const length = word.length;
    if (this.#best.length <= length) {
      const capacity = Math.max(length + 1, this.#best.length * 2);
      this.#best = new Float64Array(capacity);
      this.#from = new Int32Array(capacity);
      this.#last = new Int32Array(capacity);
    }
    const best = this.#best;
    const from = this.#from;
    const last = this.#last;
    const scores = this.#scores;
    const trie = this.#trie;
    const singlePrecision = this.#singlePrecision;
    from.fill(-1, 0, length + 1);
    best[0] = 0;
    for (let start = 0; start < length; ) {
      const here = best[start]!;
      const unit = word.charCodeAt(start);
      const next = start + ((unit & 0xfc00) === 0xd800 ? 2 : 1);
      let covered = false;
      let node = 0;
      for (let end = start; end < length; ) {
        node = trie.step(node, word.charCodeAt(end++));
        if (node < 0) break;
        const id = trie.valueAt(node);
        if (id < 0) continue;
        // SentencePiece compares a double with the best sum in single precision: of nearly equal cuts
        // the later one stays where rounding took more from the earlier one.
        const score = scores[id]! + here;
        if (from[end]! < 0 || score > best[end]!) {
          best[end] = singlePrecision ? Math.fround(score) : score;
          from[end] = start;
          last[end] = id;
        }
        if (end === next) covered = true;
      }
      if (!covered) {
        let score = this.#unknownScore + here;
        if (singlePrecision) score = Math.fround(score);
        if (from[next]! < 0 || score > best[next]!) {
          if (this.unknownId === undefined) {
            throw new JetonError(
              `the vocabulary has no unknown token, and the text needs it for ${JSON.stringify(word.slice(start, next))}`,
              {
                code: "tokenizer-unknown-token-absent",
                details: { text: word.slice(start, next) },
              },
            );
          }
          best[next] = score;
          from[next] = start;
          last[next] = this.unknownId;
        }
      }
      start = next;
    }
  }
}
