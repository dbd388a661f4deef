/** Texts as words of bytes, and batches of them. */
import type { TensorValue } from "../../tensor/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { splitWords } from "../byte/split-words.ts";
import { bucketLengths, bucketUnits } from "../byte/word-batch.ts";
import { specialWords, textUnits } from "./byte2word.ts";
import type { Byte2WordConfig } from "./config.ts";

/**
 * The words of a text as BERT's basic tokenizer separates them: at white space, every punctuation mark and
 * every ideograph by itself. White space is lost.
 *
 * @example
 * basicWords("Hello, world!"); // ["Hello", ",", "world", "!"]
 */
export function basicWords(text: string): string[] {
  return text.normalize("NFC").match(/\p{P}|\p{Ideographic}|[^\s\p{P}\p{Ideographic}]+/gu) ?? [];
}

/** Bytes of a word, in parts of at most `maxBytes`: a cut word must not look like another. */
export function wordParts(word: string, maxBytes: number): number[][] {
  const bytes = new TextEncoder().encode(word);
  const parts: number[][] = [];
  let start = 0;
  for (const end of splitWords(bytes, { rule: { fixed: Math.max(1, bytes.length) }, maxBytes })) {
    parts.push([...bytes.subarray(start, end)]);
    start = end;
  }
  return parts;
}

/** The units of words and signs, as a model reads them. */
export interface WordUnits {
  /** A word, in parts of at most `maxWordBytes` units. */
  parts(word: string): number[][];
  /** The sign that begins or ends a text, or hides a word. */
  sign(name: keyof typeof specialWords): number[];
}

/** How a model reads words. @param tokenizer the target vocabulary, read where words are made of its pieces */
export function wordUnits(config: Byte2WordConfig, tokenizer: Tokenizer): WordUnits {
  const { units, maxWordBytes } = config;
  const first = textUnits(config);
  return {
    parts(word) {
      if (units === "bytes") return wordParts(word, maxWordBytes);
      return [targetPieces(tokenizer, word).slice(0, maxWordBytes)];
    },
    sign: (name) => [first + specialWords[name]],
  };
}

/** Pieces of a word as it stands in a text, behind a space. */
export function targetPieces(tokenizer: Tokenizer, word: string): number[] {
  const options = { addSpecialTokens: false, allowedSpecial: "none", applyLimits: false } as const;
  return [...tokenizer.encodeIds(` ${word}`, options)];
}

/**
 * Texts as inputs of a graph: for bucket b `units.b` and `lengths.b` as in `layOutWords`, `order` int32
 * `[batch, words]` and `counts` int32 `[batch]`. Equal words are pooled once.
 *
 * @param texts words as bytes, each text with its signs
 */
export function layOutTexts(
  texts: readonly (readonly (readonly number[])[])[],
  config: Pick<Byte2WordConfig, "maxWordBytes">,
): Record<string, TensorValue> {
  const lengths = bucketLengths(config.maxWordBytes);
  const width = Math.max(1, ...texts.map((words) => words.length));
  const buckets: (readonly number[])[][] = lengths.map(() => []);
  const places = new Map<string, { bucket: number; at: number }>();
  for (const word of texts.flat()) {
    const key = word.join();
    if (places.has(key)) continue;
    const bucket = lengths.findIndex((length) => word.length <= length);
    places.set(key, { bucket, at: buckets[bucket]!.push(word) - 1 });
  }
  const values: Record<string, TensorValue> = {};
  const firsts: number[] = [];
  let first = 0;
  for (const [bucket, words] of buckets.entries()) {
    Object.assign(values, bucketUnits(words, bucket, lengths[bucket]!));
    firsts.push(first);
    first += Math.max(1, words.length);
  }
  const order = new Int32Array(texts.length * width);
  for (const [row, words] of texts.entries()) {
    for (const [index, word] of words.entries()) {
      const { bucket, at } = places.get(word.join())!;
      order[row * width + index] = firsts[bucket]! + at;
    }
  }
  const counts = Int32Array.from(texts, (words) => words.length);
  values["order"] = { dtype: "int32", shape: [texts.length, width], data: order };
  values["counts"] = { dtype: "int32", shape: [texts.length], data: counts };
  return values;
}
