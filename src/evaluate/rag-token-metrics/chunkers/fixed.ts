/** Chunks of a fixed size, in characters, tokens or sentences. */
import type { Tokenizer } from "../../../tokenizer/index.ts";
import type { Interval } from "../intervals.ts";
import { type Chunker, checkCount, checkNames } from "./chunker.ts";

/** Options of the chunkers of fixed size. */
export interface FixedChunkerOptions {
  /** How many characters (UTF-16 units), tokens or sentences make a chunk. */
  size: number;
  /** From one chunk's start to the next one's. Default the size: chunks that do not overlap. */
  step?: number;
}

/**
 * Chunks of `size` UTF-16 units. A chunk may begin or end inside a character of two units.
 *
 * @throws JetonError `chunker-option-invalid`
 */
export function createCharacterChunker(options: FixedChunkerOptions): Chunker {
  const { size, step } = readSizes("character", options);
  return {
    name: `${size} characters${stepName(size, step)}`,
    chunk: (text) => groupUnits(text.length, (at) => ({ start: at, end: at + 1 }), size, step),
  };
}

/**
 * Chunks of `size` tokens. A chunk reaches to the start of the next token, so that white space which no
 * token holds stays with the chunk before it.
 *
 * @throws JetonError `chunker-option-invalid`
 */
export function createTokenChunker(
  options: FixedChunkerOptions & { tokenizer: Tokenizer },
): Chunker {
  const { size, step } = readSizes("token", options);
  return {
    name: `${size} tokens${stepName(size, step)}`,
    chunk: (text) => groupList(tokenUnits(text, options.tokenizer), size, step),
  };
}

/** Where sentences end: after a full stop, question or exclamation mark and white space, or line breaks. */
const sentenceEnd = /[.!?]\s+|\n+/g;

/** The sentences of a text, with the white space after each. */
export function splitSentences(text: string): Interval[] {
  const sentences: Interval[] = [];
  let start = 0;
  for (const match of text.matchAll(sentenceEnd)) {
    const end = match.index + match[0].length;
    sentences.push({ start, end });
    start = end;
  }
  if (start < text.length) sentences.push({ start, end: text.length });
  return sentences;
}

/**
 * Chunks of `size` sentences, the paper's.
 *
 * @throws JetonError `chunker-option-invalid`
 */
export function createSentenceChunker(options: FixedChunkerOptions): Chunker {
  const { size, step } = readSizes("sentence", options);
  return {
    name: `${size} ${size === 1 ? "sentence" : "sentences"}${stepName(size, step)}`,
    chunk: (text) => groupList(splitSentences(text), size, step),
  };
}

/** Tokens as ranges without gaps; tokens that share a character are one unit. */
export function tokenUnits(text: string, tokenizer: Tokenizer): Interval[] {
  const { offsets } = tokenizer.encode(text, { addSpecialTokens: false, applyLimits: false });
  const starts = [...new Set(offsets.map(([start]) => start))].filter(
    (start) => start < text.length,
  );
  if (starts.length > 0) starts[0] = 0;
  return starts.map((start, i) => ({ start, end: starts[i + 1] ?? text.length }));
}

function readSizes(chunker: string, options: FixedChunkerOptions): { size: number; step: number } {
  const names = chunker === "token" ? ["size", "step", "tokenizer"] : ["size", "step"];
  checkNames(chunker, options, names);
  const { size, step = size } = options;
  checkCount(chunker, "size", size);
  checkCount(chunker, "step", step);
  return { size, step };
}

function stepName(size: number, step: number): string {
  return step === size ? "" : `, step ${step}`;
}

function groupList(units: readonly Interval[], size: number, step: number): Interval[] {
  return groupUnits(units.length, (at) => units[at]!, size, step);
}

function groupUnits(
  count: number,
  unitAt: (at: number) => Interval,
  size: number,
  step: number,
): Interval[] {
  const chunks: Interval[] = [];
  for (let at = 0; at < count; at += step) {
    const last = Math.min(at + size, count) - 1;
    chunks.push({ start: unitAt(at).start, end: unitAt(last).end });
    // What follows would lie inside this chunk.
    if (last === count - 1) break;
  }
  return chunks;
}
