/**
 * Ragged batches of words: sequences of bytes as words in buckets of similar length, so that little is
 * computed for padding, and what each word has to predict.
 */
import type { TensorValue } from "../../tensor/index.ts";
import { documentId, wordEndId } from "./byte-vocabulary.ts";
import { splitWords, type WordRule } from "./split-words.ts";
import type { WordModelConfig } from "./word-config.ts";

/** Sequences of byte ids of equal length. */
export interface ByteBatch {
  /** Number of sequences. */
  readonly batch: number;
  /** Ids of each. */
  readonly time: number;
  /** `[batch * time]`: byte values and `documentId`. */
  readonly ids: Int32Array;
  /** `[batch * time]`: number of the document within its sequence. Default: one document. */
  readonly segments?: Int32Array;
}

/** A target that does not count. */
export const ignoredByte = -1;

/** Padded lengths of the buckets: doubling from 8 bytes up to the longest word. */
export function bucketLengths(maxWordBytes: number): number[] {
  const lengths: number[] = [];
  for (let length = 8; length < maxWordBytes; length *= 2) lengths.push(length);
  return [...lengths, maxWordBytes];
}

/** A word within its sequence. */
export interface PlacedWord {
  /** Its ids are those from `start` to `end`. */
  readonly start: number;
  readonly end: number;
  /** Whether it ends here: the last word of a sequence may go on. */
  readonly isComplete: boolean;
}

/**
 * Words of a sequence of ids. `documentId` is a word of its own, and ends the one before it. The last word
 * may go on behind the sequence, and so may the last character: bytes of half a character stay with the
 * word before them.
 */
export function placeWords(
  ids: Int32Array,
  options: { readonly rule: WordRule; readonly maxBytes: number },
): PlacedWord[] {
  const words: PlacedWord[] = [];
  let start = 0;
  while (start < ids.length) {
    if (ids[start] === documentId) {
      words.push({ start, end: start + 1, isComplete: true });
      start++;
      continue;
    }
    const stop = ids.indexOf(documentId, start);
    const end = stop < 0 ? ids.length : stop;
    const bytes = Uint8Array.from(ids.subarray(start, end));
    let from = start;
    for (const length of splitWords(bytes, options)) {
      const isComplete = start + length < ids.length;
      words.push({ start: from, end: start + length, isComplete });
      from = start + length;
    }
    start = end;
  }
  return words;
}

/** Names of the inputs of a bucket. */
export function bucketInput(
  name: "units" | "lengths" | "previous" | "targets",
  bucket: number,
): string {
  return `${name}.${bucket}`;
}

/**
 * Inputs `units` and `lengths` of a bucket. No bucket is empty, since the runtime takes no tensors without
 * elements: one word of one byte stands for none, so that its softmax has a term.
 *
 * @param words bytes of each, at most `length`
 */
export function bucketUnits(
  words: readonly ArrayLike<number>[],
  bucket: number,
  length: number,
): Record<string, TensorValue> {
  const count = Math.max(1, words.length);
  const units = new Int32Array(count * length);
  const sizes = new Int32Array(count).fill(1);
  for (const [at, word] of words.entries()) {
    units.set(word, at * length);
    sizes[at] = word.length;
  }
  return {
    [bucketInput("units", bucket)]: { dtype: "int32", shape: [count, length], data: units },
    [bucketInput("lengths", bucket)]: { dtype: "int32", shape: [count], data: sizes },
  };
}

interface Entry {
  /** Its place, `sequence * words + word`. */
  readonly place: number;
  readonly isFirst: boolean;
  readonly bytes: Int32Array;
  readonly isComplete: boolean;
}

/**
 * Words of sequences as inputs of a graph: for bucket b `units.b` int32 `[words, length]`, `lengths.b`,
 * `previous.b` int32 `[words]` and `targets.b` int32 `[words, length + 1]` (bytes, then `wordEndId`;
 * `ignoredByte` does not count), and `order` and `segments` int32 `[batch, words]`. The first word of a
 * sequence is read and not asked for; what would end a document is asked for, its own end is not.
 */
export function layOutWords(
  { batch, time, ids, segments }: ByteBatch,
  config: Pick<WordModelConfig, "maxWordBytes" | "rule">,
): Record<string, TensorValue> {
  const { rule, maxWordBytes } = config;
  const lengths = bucketLengths(maxWordBytes);
  const rows = Array.from({ length: batch }, (_, row) =>
    placeWords(ids.subarray(row * time, (row + 1) * time), { rule, maxBytes: maxWordBytes }),
  );
  const width = Math.max(...rows.map((words) => words.length));
  const buckets: Entry[][] = lengths.map(() => []);
  const order = new Int32Array(batch * width);
  const documents = new Int32Array(batch * width);
  for (const [row, words] of rows.entries()) {
    for (const [index, word] of words.entries()) {
      const bytes = ids.subarray(row * time + word.start, row * time + word.end);
      const bucket = lengths.findIndex((length) => bytes.length <= length);
      const place = row * width + index;
      buckets[bucket]!.push({ place, isFirst: index === 0, bytes, isComplete: word.isComplete });
      documents[place] = segments?.[row * time + word.start] ?? 0;
    }
  }
  const values: Record<string, TensorValue> = {};
  let first = 0;
  for (const [bucket, entries] of buckets.entries()) {
    for (const [at, { place }] of entries.entries()) order[place] = first + at;
    first += Math.max(1, entries.length);
    Object.assign(values, fillBucket(entries, bucket, lengths[bucket]!));
  }
  const shape = [batch, width];
  values["order"] = { dtype: "int32", shape, data: order };
  values["segments"] = { dtype: "int32", shape, data: documents };
  return values;
}

function fillBucket(
  entries: readonly Entry[],
  bucket: number,
  length: number,
): Record<string, TensorValue> {
  const words = entries.map(({ bytes }) => bytes);
  const count = Math.max(1, entries.length);
  const previous = new Int32Array(count);
  const targets = new Int32Array(count * (length + 1)).fill(ignoredByte);
  for (const [at, { place, isFirst, bytes, isComplete }] of entries.entries()) {
    if (isFirst) continue;
    previous[at] = place - 1;
    targets.set(bytes, at * (length + 1));
    const isDocument = bytes[0] === documentId;
    if (isComplete && !isDocument) targets[at * (length + 1) + bytes.length] = wordEndId;
  }
  return {
    ...bucketUnits(words, bucket, length),
    [bucketInput("previous", bucket)]: { dtype: "int32", shape: [count], data: previous },
    [bucketInput("targets", bucket)]: {
      dtype: "int32",
      shape: [count, length + 1],
      data: targets,
    },
  };
}
