/** Texts whose deletable bytes are known: what a gate should find (the diagnostic tasks of MrT5). */
import type { Random } from "../../core/index.ts";
import { endId } from "./span-corruption.ts";

/** A text and what should be written from it, as ids of ByT5. */
export interface IdPair {
  readonly source: readonly number[];
  /** With `</s>` at its end. */
  readonly target: readonly number[];
}

const idOf = (letter: string): number => letter.charCodeAt(0) + 3;
const vowels = "aeiouAEIOU";
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Whether an id is a vowel's: what vowel removal deletes. */
export function isVowel(id: number): boolean {
  return vowels.includes(String.fromCharCode(id - 3));
}

/** Random letters behind a "#"; the target is the same without vowels. 19 % of the letters are vowels. */
export function vowelRemoval(length: number, random: Random): IdPair {
  const text = Array.from({ length: length - 2 }, () => letters[random.integer(letters.length)]!);
  const kept = text.filter((letter) => !vowels.includes(letter));
  return {
    source: [idOf("#"), ...text.map(idOf), endId],
    target: [idOf("#"), ...kept.map(idOf), endId],
  };
}

/** Pairs as arrays of one length, for a training graph. */
export interface PairBatch {
  readonly batch: number;
  readonly time: number;
  readonly output: number;
  readonly ids: Int32Array;
  readonly attended: Float32Array;
  readonly decoderIds: Int32Array;
  readonly targets: Int32Array;
  readonly counted: Float32Array;
}

/**
 * Fills pairs up to common lengths.
 *
 * @param start what the decoder reads first. Default 0, the padding id
 */
export function joinPairs(pairs: readonly IdPair[], start = 0): PairBatch {
  const batch = pairs.length;
  const time = Math.max(...pairs.map(({ source }) => source.length));
  const output = Math.max(...pairs.map(({ target }) => target.length));
  const ids = new Int32Array(batch * time);
  const attended = new Float32Array(batch * time);
  const decoderIds = new Int32Array(batch * output);
  const targets = new Int32Array(batch * output);
  const counted = new Float32Array(batch * output);
  for (const [row, { source, target }] of pairs.entries()) {
    ids.set(source, row * time);
    attended.fill(1, row * time, row * time + source.length);
    targets.set(target, row * output);
    // The decoder reads its target one place later.
    decoderIds[row * output] = start;
    decoderIds.set(target.slice(0, -1), row * output + 1);
    counted.fill(1, row * output, row * output + target.length);
  }
  return { batch, time, output, ids, attended, decoderIds, targets, counted };
}
