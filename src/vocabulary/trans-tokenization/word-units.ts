/**
 * The units that are aligned: words, each with the tokens that spell it. Pieces of words align badly,
 * so pieces are joined first and told apart again afterwards.
 */
import type { Tokenizer } from "../../tokenizer/index.ts";

/** Words of a language: the tokens of each, by the number of the word. */
export interface WordList {
  readonly words: readonly (readonly number[])[];
}

/** Sentences of one language as numbers of words, and the words themselves. */
export interface WordCorpus extends WordList {
  readonly sentences: readonly Int32Array[];
}

/** Cuts sentences into tokens and joins those between which a word goes on. */
export function readWords(tokenizer: Tokenizer, sentences: readonly string[]): WordCorpus {
  const words: number[][] = [];
  const numbers = new Map<string, number>();
  return {
    words,
    sentences: sentences.map((sentence) =>
      Int32Array.from(splitWords(tokenizer, sentence), (word) => {
        const key = word.join(" ");
        let number = numbers.get(key);
        if (number === undefined) {
          number = words.push(word) - 1;
          numbers.set(key, number);
        }
        return number;
      }),
    ),
  };
}

/** The tokens of each word of a sentence. Punctuation and digits are no part of words. */
export function splitWords(tokenizer: Tokenizer, sentence: string): number[][] {
  const { ids, offsets } = tokenizer.encode(sentence, {
    addSpecialTokens: false,
    allowedSpecial: "none",
    applyLimits: false,
  });
  const words: number[][] = [];
  let end = 0;
  for (const [place, id] of ids.entries()) {
    const [start, next] = offsets[place]!;
    if (words.length > 0 && goesOn(sentence, end, start)) words.at(-1)!.push(id);
    else words.push([id]);
    end = next;
  }
  return words;
}

/** Whether a word goes on between two tokens, of which one ends and the next starts there. */
function goesOn(sentence: string, end: number, start: number): boolean {
  // Tokens that share a character of several bytes overlap.
  if (start < end) return true;
  return (
    start === end &&
    letterBefore.test(sentence.slice(0, start).slice(-2)) &&
    letterAfter.test(sentence.slice(start, start + 2))
  );
}

const letterBefore: RegExp = /[\p{L}\p{M}]$/u;
const letterAfter: RegExp = /^[\p{L}\p{M}]/u;
