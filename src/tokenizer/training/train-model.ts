/** Training of each kind of model from counted words. */

import { byteToCharacter } from "../decoders/byte-alphabet.ts";
import { optionError } from "../formats/tokenizer-file.ts";
import { IntegerList } from "../models/token-sink.ts";
import { utf8Bytes } from "../models/utf8.ts";
import { trainBytePairs } from "./byte-pair-trainer.ts";
import { allBytes, type Scheme } from "./plan-scheme.ts";
import type { TrainTokenizerOptions } from "./training-options.ts";
import { trainUnigram } from "./unigram-trainer.ts";
import type { WordCounter } from "./word-counter.ts";

export function trainModel(
  options: TrainTokenizerOptions,
  scheme: Scheme,
  counter: WordCounter,
): Record<string, unknown> {
  switch (options.kind) {
    case "byte-level-bpe":
      return trainByteLevel(options, scheme, counter);
    case "byte-fallback-bpe":
      return trainByteFallback(options, scheme, counter);
    case "wordpiece":
      return trainWordPiece(options, scheme, counter);
    case "unigram":
      return trainUnigramModel(options, scheme, counter);
  }
}

/**
 * Runs the merges over words given as symbols: the first tokens, then the alphabet. Where a word has
 * undefined, a character without a symbol, nothing merges across it.
 */
function runMerges(
  options: TrainTokenizerOptions,
  counter: WordCounter,
  firstTokens: readonly string[],
  alphabet: readonly string[],
  readWord: (word: string) => Iterable<number | undefined>,
  continuingPrefix = "",
): ReturnType<typeof trainBytePairs> {
  const start = firstTokens.length + alphabet.length;
  if (start > options.vocabSize) {
    throw optionError(
      "vocabSize",
      options.vocabSize,
      `at least ${start}: ${firstTokens.length} tokens and an alphabet of ${alphabet.length}`,
    );
  }
  const symbols = new IntegerList(1 << 16);
  const starts = new IntegerList(counter.size + 1);
  const counts: number[] = [];
  const word: number[] = [];
  const flush = (count: number): void => {
    if (word.length > 1) {
      starts.push(symbols.length);
      counts.push(count);
      for (const symbol of word) symbols.push(symbol);
    }
    word.length = 0;
  };
  for (const [text, count] of counter.words()) {
    for (const symbol of readWord(text)) {
      if (symbol === undefined) flush(count);
      else word.push(symbol);
    }
    flush(count);
  }
  starts.push(symbols.length);
  const total = options.vocabSize;
  return trainBytePairs({
    symbols: symbols.toArray(),
    starts: starts.toArray(),
    counts: Float64Array.from(counts),
    tokens: [...firstTokens, ...alphabet],
    vocabSize: total,
    minFrequency: options.minFrequency ?? 2,
    continuingPrefix,
    ...(options.maxTokenLength === undefined ? {} : { maxTokenLength: options.maxTokenLength }),
    onProgress: (done) => options.onProgress?.({ phase: "merging", done, total }),
    signal: options.signal,
  });
}

function toVocabulary(tokens: readonly string[]): Record<string, number> {
  // Without a prototype, so that a token named `__proto__` is a key like any other.
  const vocabulary = Object.create(null) as Record<string, number>;
  for (const [id, token] of tokens.entries()) vocabulary[token] = id;
  return vocabulary;
}

function trainByteLevel(
  options: TrainTokenizerOptions,
  scheme: Scheme,
  counter: WordCounter,
): Record<string, unknown> {
  const alphabet = [...byteToCharacter].sort();
  const first = scheme.specialTokens.length;
  const symbolOfByte = byteToCharacter.map((character) => first + alphabet.indexOf(character));
  const clash = scheme.specialTokens.find((token) => alphabet.includes(token));
  if (clash !== undefined) throw optionError("specialTokens", clash, "no token of the alphabet");
  const { tokens, merges } = runMerges(options, counter, scheme.specialTokens, alphabet, (word) =>
    utf8Bytes(word).map((byte) => symbolOfByte[byte]),
  );
  return {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: toVocabulary(tokens),
    merges: merges.map(([left, right]) => [tokens[left]!, tokens[right]!]),
  };
}

/** The commonest characters of the words, at most `most`, by code point. */
function chooseAlphabet(
  counter: WordCounter,
  most: number,
  excluded: ReadonlySet<string>,
): string[] {
  const frequencies = new Map<string, number>();
  for (const [word, count] of counter.words()) {
    for (const character of word) {
      frequencies.set(character, (frequencies.get(character) ?? 0) + count);
    }
  }
  const codePoint = (character: string): number => character.codePointAt(0)!;
  return [...frequencies]
    .filter(([character]) => !excluded.has(character))
    .sort((a, b) => b[1] - a[1] || codePoint(a[0]) - codePoint(b[0]))
    .slice(0, most)
    .map(([character]) => character)
    .sort((a, b) => codePoint(a) - codePoint(b));
}

/** Space for the alphabet where no limit is given: half of what special tokens and bytes leave. */
function alphabetLimit(options: TrainTokenizerOptions, reserved: number): number {
  const half = Math.max(1, Math.floor((options.vocabSize - reserved) / 2));
  return options.maxAlphabet ?? Math.min(10_000, half);
}

function trainByteFallback(
  options: TrainTokenizerOptions,
  scheme: Scheme,
  counter: WordCounter,
): Record<string, unknown> {
  const first = [...scheme.specialTokens, ...allBytes];
  const limit = alphabetLimit(options, first.length);
  const alphabet = chooseAlphabet(counter, limit, new Set(first));
  const symbolOf = new Map(alphabet.map((character, i) => [character, first.length + i]));
  const { tokens, merges } = runMerges(options, counter, first, alphabet, (word) =>
    Array.from(word, (character) => symbolOf.get(character)),
  );
  return {
    type: "BPE",
    dropout: null,
    unk_token: scheme.unknownToken ?? null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: true,
    ignore_merges: false,
    vocab: toVocabulary(tokens),
    merges: merges.map(([left, right]) => [tokens[left]!, tokens[right]!]),
  };
}

function trainWordPiece(
  options: TrainTokenizerOptions,
  scheme: Scheme,
  counter: WordCounter,
): Record<string, unknown> {
  const prefix = "##";
  const specials = new Set(scheme.specialTokens);
  const limit = alphabetLimit(options, specials.size);
  const characters = chooseAlphabet(counter, limit, specials);
  const known = new Set(characters);
  // Continuations that occur, in the order of the characters.
  const continuing = new Set<string>();
  for (const [word] of counter.words()) {
    let first = true;
    for (const character of word) {
      if (!first && known.has(character)) continuing.add(prefix + character);
      first = false;
    }
  }
  const alphabet = [
    ...characters,
    ...characters.map((character) => prefix + character).filter((token) => continuing.has(token)),
  ];
  const symbolOf = new Map(alphabet.map((token, i) => [token, specials.size + i]));
  const { tokens } = runMerges(
    options,
    counter,
    scheme.specialTokens,
    alphabet,
    (word) =>
      Array.from(word, (character, i) => symbolOf.get(i === 0 ? character : prefix + character)),
    prefix,
  );
  return {
    type: "WordPiece",
    unk_token: scheme.unknownToken ?? "[UNK]",
    continuing_subword_prefix: prefix,
    max_input_chars_per_word: 100,
    vocab: toVocabulary(tokens),
  };
}

function trainUnigramModel(
  options: TrainTokenizerOptions,
  scheme: Scheme,
  counter: WordCounter,
): Record<string, unknown> {
  const reserved = [...scheme.specialTokens, ...allBytes];
  const excluded = new Set(reserved);
  const limit = alphabetLimit(options, reserved.length);
  const alphabet = new Set(chooseAlphabet(counter, limit, excluded));
  if (reserved.length + alphabet.size > options.vocabSize) {
    throw optionError(
      "vocabSize",
      options.vocabSize,
      `at least ${reserved.length + alphabet.size}: special tokens, bytes and an alphabet`,
    );
  }
  // Rare characters break words: they become bytes.
  const words: [string, number][] = [];
  for (const [word, count] of counter.words()) {
    let part = "";
    for (const character of word) {
      if (alphabet.has(character)) {
        part += character;
      } else {
        if (part !== "") words.push([part, count]);
        part = "";
      }
    }
    if (part !== "") words.push([part, count]);
  }
  const pieces = trainUnigram({
    words,
    pieceCount: options.vocabSize - reserved.length,
    requiredCharacters: [],
    maxPieceLength: options.maxTokenLength ?? 16,
    seedSize: options.seedSize ?? 1_000_000,
    shrinkingFactor: 0.75,
    rounds: 2,
    onProgress: (done) =>
      options.onProgress?.({ phase: "pruning", done, total: options.vocabSize }),
    signal: options.signal,
  });
  // Text that spells a special token or a byte must never be cheaper as that token.
  const floor = pieces.reduce((least, [, score]) => Math.min(least, score), 0) - 100;
  const vocab: [string, number][] = [
    ...reserved.map((token): [string, number] => [token, Math.floor(floor)]),
    ...pieces
      .filter(([text]) => !excluded.has(text))
      // Parsers that are not exact to the last bit still read twelve digits alike.
      .map(([text, score]): [string, number] => [text, Number(score.toPrecision(12))]),
  ];
  return {
    type: "Unigram",
    unk_id: scheme.unknownToken === undefined ? null : reserved.indexOf(scheme.unknownToken),
    vocab,
    byte_fallback: true,
  };
}
