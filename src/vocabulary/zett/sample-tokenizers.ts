/**
 * Tokenizers by the thousand: vocabularies of substrings that are frequent in recent text, with noise,
 * each of which cuts text as a Unigram model does. A hypernetwork that has met many of them works for
 * ones that it has not met.
 */
import type { Random } from "../../core/index.ts";
import { byteToCharacter } from "../../tokenizer/decoders/byte-alphabet.ts";
import { formOfText } from "../token-forms.ts";

/** Words as GPT-2 cuts them, with marks as parts of letters. */
const words: RegExp =
  /'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The words of a text as byte forms. */
export function cutWords(text: string): string[] {
  return Array.from(text.matchAll(words), ([word]) => formOfText(word));
}

/** Bytes of the longest token. */
const maxTokenLength = 15;

/** Options of `SubstringQueue`. */
export interface SubstringQueueOptions {
  /** Texts that are remembered. Default 2048. */
  texts?: number;
  /** Substrings are counted from every so many bytes of a word on. Default 1. */
  stride?: number;
}

/** Counts of the substrings of the latest texts. */
export class SubstringQueue {
  readonly #limit: number;
  readonly #stride: number;
  readonly #texts: string[] = [];
  readonly #counts: Map<string, number> = new Map();

  constructor(options: SubstringQueueOptions = {}) {
    this.#limit = options.texts ?? 2048;
    this.#stride = options.stride ?? 1;
  }

  /** How often each substring of up to 15 bytes occurs within a word. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Adds a text and forgets the oldest where there are too many. */
  push(text: string): void {
    this.#texts.push(text);
    this.#count(text, 1);
    if (this.#texts.length > this.#limit) this.#count(this.#texts.shift()!, -1);
  }

  #count(text: string, by: number): void {
    for (const word of cutWords(text)) {
      for (let start = 0; start < word.length; start += this.#stride) {
        const end = Math.min(word.length, start + maxTokenLength);
        for (let stop = start + 1; stop <= end; stop++) {
          const part = word.slice(start, stop);
          const count = (this.#counts.get(part) ?? 0) + by;
          if (count > 0) this.#counts.set(part, count);
          else this.#counts.delete(part);
        }
      }
    }
  }
}

/** Tokens with the logarithms of their probabilities. */
export type ScoredVocabulary = ReadonlyMap<string, number>;

/**
 * Draws a vocabulary: substrings by count times length, each share blurred by normal noise whose
 * deviation is itself drawn (log-normal around 1e-5), so that some vocabularies are nearly the best ones
 * and some nearly arbitrary. All bytes are in it.
 */
export function sampleVocabulary(
  counts: ReadonlyMap<string, number>,
  size: number,
  random: Random,
): ScoredVocabulary {
  const deviation = Math.exp(Math.log(1e-5) + 4 * random.normal());
  let total = 0;
  for (const [part, count] of counts) total += count * part.length;
  const parts: string[] = [];
  const shares: number[] = [];
  for (const [part, count] of counts) {
    if (part.length === 1) continue;
    parts.push(part);
    shares.push((count * part.length) / total + deviation * random.normal());
  }
  const order = Array.from(parts.keys()).sort((a, b) => shares[b]! - shares[a]!);
  const vocabulary = new Map<string, number>();
  let smallest = 0;
  for (const place of order.slice(0, Math.max(0, size - byteToCharacter.length))) {
    const share = shares[place]!;
    const score = share > 0 ? Math.log(share) : unlikely;
    if (share > 0) smallest = Math.min(smallest, score);
    vocabulary.set(parts[place]!, score);
  }
  for (const byte of byteToCharacter) vocabulary.set(byte, smallest);
  return vocabulary;
}

const unlikely = -100_000;

/** Cuts a word into the most probable tokens (Viterbi). Every byte must be in the vocabulary. */
export function cutMostProbably(vocabulary: ScoredVocabulary, word: string): string[] {
  const best = new Float64Array(word.length + 1).fill(Number.NEGATIVE_INFINITY);
  const from = new Int32Array(word.length + 1);
  best[0] = 0;
  for (let start = 0; start < word.length; start++) {
    const end = Math.min(word.length, start + maxTokenLength);
    for (let stop = start + 1; stop <= end; stop++) {
      const score = vocabulary.get(word.slice(start, stop));
      if (score === undefined || best[start]! + score <= best[stop]!) continue;
      best[stop] = best[start]! + score;
      from[stop] = start;
    }
  }
  const tokens: string[] = [];
  for (let at = word.length; at > 0; at = from[at]!) tokens.push(word.slice(from[at]!, at));
  return tokens.reverse();
}

/** A sampled tokenizer. */
export interface SampledTokenizer {
  /** Byte forms by id. */
  readonly forms: readonly string[];
  encode(text: string): number[];
}

/** Draws a tokenizer from the texts of a queue. */
export function sampleTokenizer(
  counts: ReadonlyMap<string, number>,
  size: number,
  random: Random,
): SampledTokenizer {
  const vocabulary = sampleVocabulary(counts, size, random);
  const forms = [...vocabulary.keys()];
  const ids = new Map(forms.map((form, id) => [form, id]));
  const known = new Map<string, readonly number[]>();
  return {
    forms,
    encode(text) {
      return cutWords(text).flatMap((word) => {
        let cut = known.get(word);
        if (!cut) {
          cut = cutMostProbably(vocabulary, word).map((token) => ids.get(token)!);
          known.set(word, cut);
        }
        return cut;
      });
    },
  };
}
