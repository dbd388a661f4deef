/**
 * Span corruption over bytes (Raffel et al., 2020; ByT5): spans of a text are replaced by sentinels, and the
 * target lists each sentinel with what it replaced. Ids are ByT5's: byte + 3; sentinels count down from
 * 258, which stands for a byte that UTF-8 never contains.
 */
import type { Random } from "../../core/index.ts";
import { roundHalfEven } from "../round-half-even.ts";

/** Settings of span corruption. */
export interface SpanCorruptionOptions {
  /** Share of bytes that are removed. Default 0.15. */
  readonly density?: number;
  /** Mean length of a span in bytes. Default 20. */
  readonly meanSpan?: number;
}

/** The first sentinel; the next ones are one less each. */
export const firstSentinel = 258;
/** `</s>` of ByT5. */
export const endId = 1;

/** How many bytes of a text are removed, in how many spans. */
export function spanCounts(
  length: number,
  { density = 0.15, meanSpan = 20 }: SpanCorruptionOptions = {},
): { noise: number; spans: number } {
  const asked = roundHalfEven(length * density);
  const noise = Math.min(Math.max(asked, 1), length - 1);
  const spans = Math.max(1, roundHalfEven(Math.min(noise, length - asked) / meanSpan));
  return { noise, spans };
}

/** Longest text whose corrupted form has `inputLength` ids with its end, and the ids of its target. */
export function corruptedLengths(
  inputLength: number,
  options: SpanCorruptionOptions = {},
): { originalLength: number; targetLength: number } {
  const sizes = (length: number): { input: number; target: number } => {
    const { noise, spans } = spanCounts(length, options);
    return { input: length - noise + spans + 1, target: noise + spans + 1 };
  };
  let length = 2;
  while (sizes(length + 1).input <= inputLength) length++;
  let { target } = sizes(length);
  // As T5 has it: where half is removed, the target is no longer than the input.
  if (options.density === 0.5 && target > inputLength) {
    length--;
    target--;
  }
  return { originalLength: length, targetLength: target };
}

/** Lengths of kept and removed runs in turn, kept first; each has at least one byte. */
export function partitionSpans(
  length: number,
  random: Random,
  options: SpanCorruptionOptions = {},
): number[] {
  const { noise, spans } = spanCounts(length, options);
  const removed = randomParts(noise, spans, random);
  const kept = randomParts(length - noise, spans, random);
  return kept.flatMap((count, index) => [count, removed[index]!]);
}

/** A random way to write a total as a sum of so many numbers above 0, all ways equally likely. */
function randomParts(total: number, parts: number, random: Random): number[] {
  const cuts = new Set<number>();
  while (cuts.size < parts - 1) cuts.add(1 + random.integer(total - 1));
  const ends = [...cuts].sort((a, b) => a - b);
  return [...ends, total].map((end, index) => end - (ends[index - 1] ?? 0));
}

/** A corrupted text and its target. */
export interface CorruptedText {
  /** What the encoder reads, `</s>` at its end. */
  readonly input: number[];
  /** What the decoder should write, `</s>` at its end. */
  readonly labels: number[];
}

/** Replaces every second run of a text's ids by a sentinel. */
export function corruptSpans(ids: ArrayLike<number>, partition: readonly number[]): CorruptedText {
  const [input, labels]: [number[], number[]] = [[], []];
  let at = 0;
  let sentinel = firstSentinel;
  for (const [index, count] of partition.entries()) {
    const run = Array.from({ length: count }, (_, place) => ids[at + place]!);
    at += count;
    if (index % 2 === 0) input.push(...run);
    else {
      input.push(sentinel);
      labels.push(sentinel--, ...run);
    }
  }
  return { input: [...input, endId], labels: [...labels, endId] };
}

/** The inverse of `corruptSpans`. */
export function restoreSpans({ input, labels }: CorruptedText): number[] {
  const spans = new Map<number, number[]>();
  let open: number[] = [];
  let next = firstSentinel;
  for (const id of labels) {
    if (id === endId) break;
    if (id === next) {
      open = [];
      spans.set(next--, open);
    } else open.push(id);
  }
  return input.filter((id) => id !== endId).flatMap((id) => spans.get(id) ?? [id]);
}
