/** A byte tokenizer that marks where words end, as a model of words reads and writes them. */
import type {
  DecodeOptions,
  EncodeIdsOptions,
  EncodeOptions,
  Encoding,
  StreamDecoder,
  Tokenizer,
} from "../../tokenizer/index.ts";
import { documentId, specialSpellings, wordEndId } from "./byte-vocabulary.ts";
import { placeWords } from "./word-batch.ts";
import type { WordModelConfig } from "./word-config.ts";

/**
 * Puts `<|word|>` behind each word but the last, which may go on. Word ends are no text: decoding leaves
 * them out, always.
 *
 * @param bytes the tokenizer of the checkpoint, whose ids are bytes
 */
export function wordTokenizer(
  bytes: Tokenizer,
  config: Pick<WordModelConfig, "rule" | "maxWordBytes">,
): Tokenizer {
  return new WordTokenizer(bytes, config);
}

class WordTokenizer implements Tokenizer {
  readonly settings: Tokenizer["settings"];
  readonly kind: Tokenizer["kind"];
  readonly vocabSize: number;
  readonly specialTokens: Tokenizer["specialTokens"];
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly unkTokenId: number | undefined;
  readonly #bytes: Tokenizer;
  readonly #config: Pick<WordModelConfig, "rule" | "maxWordBytes">;

  constructor(bytes: Tokenizer, config: Pick<WordModelConfig, "rule" | "maxWordBytes">) {
    this.settings = bytes.settings;
    this.kind = bytes.kind;
    this.vocabSize = bytes.vocabSize;
    this.specialTokens = bytes.specialTokens;
    this.bosTokenId = bytes.bosTokenId;
    this.eosTokenId = bytes.eosTokenId;
    this.padTokenId = bytes.padTokenId;
    this.unkTokenId = bytes.unkTokenId;
    this.#bytes = bytes;
    this.#config = config;
  }

  encode(text: string, options?: EncodeOptions): Encoding {
    const plain = this.#bytes.encode(text, options);
    const marks = this.#wordEnds(plain.ids);
    const insert = <T>(values: ArrayLike<T>, mark: (before: number) => T): T[] =>
      insertAt(values, marks, mark);
    return {
      ids: Int32Array.from(insert(plain.ids, () => wordEndId)),
      tokens: insert(plain.tokens, () => specialSpellings[wordEndId]!),
      offsets: insert(plain.offsets, (before): [number, number] => {
        const end = plain.offsets[before]![1];
        return [end, end];
      }),
      typeIds: Int32Array.from(insert(plain.typeIds, (before) => plain.typeIds[before]!)),
      attentionMask: Int32Array.from(insert(plain.attentionMask, () => 1)),
      specialTokensMask: Int32Array.from(insert(plain.specialTokensMask, () => 1)),
    };
  }

  encodeIds(text: string, options?: EncodeIdsOptions): Int32Array {
    const ids = this.#bytes.encodeIds(text, options);
    return Int32Array.from(insertAt(ids, this.#wordEnds(ids), () => wordEndId));
  }

  encodeBatch(texts: readonly string[], options?: EncodeOptions): Encoding[] {
    return texts.map((text) => this.encode(text, options));
  }

  countTokens(text: string, options?: EncodeIdsOptions): number {
    return this.encodeIds(text, options).length;
  }

  decode(ids: ArrayLike<number>, options?: DecodeOptions): string {
    return this.#bytes.decode(
      Array.from(ids).filter((id) => id !== wordEndId),
      options,
    );
  }

  streamDecoder(options?: Pick<DecodeOptions, "skipSpecialTokens">): StreamDecoder {
    const decoder = this.#bytes.streamDecoder(options);
    // A long word may be cut within a character, which its end must not break off.
    return {
      push: (id) => (id === wordEndId ? "" : decoder.push(id)),
      end: () => decoder.end(),
    };
  }

  tokenToId(token: string): number | undefined {
    return this.#bytes.tokenToId(token);
  }

  idToToken(id: number): string | undefined {
    return this.#bytes.idToToken(id);
  }

  isSpecial(id: number): boolean {
    return this.#bytes.isSpecial(id);
  }

  /** Places behind which a word ends. Where a text spells a word end itself, it ends there. */
  #wordEnds(ids: Int32Array): number[] {
    const options = { rule: this.#config.rule, maxBytes: this.#config.maxWordBytes };
    const ends: number[] = [];
    let start = 0;
    while (start < ids.length) {
      const mark = ids.indexOf(wordEndId, start);
      const end = mark < 0 ? ids.length : mark;
      const words = placeWords(ids.subarray(start, end), options);
      for (const [index, word] of words.entries()) {
        const isLast = index === words.length - 1;
        if (isLast || ids[start + word.start] === documentId) continue;
        ends.push(start + word.end - 1);
      }
      start = end + 1;
    }
    return ends;
  }
}

/** The values with another one behind each of these places, in ascending order. */
function insertAt<T>(
  values: ArrayLike<T>,
  places: readonly number[],
  mark: (before: number) => T,
): T[] {
  const all: T[] = [];
  let next = 0;
  for (let at = 0; at < values.length; at++) {
    all.push(values[at]!);
    if (places[next] !== at) continue;
    all.push(mark(at));
    next++;
  }
  return all;
}
