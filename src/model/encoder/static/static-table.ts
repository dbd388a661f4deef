/**
 * The table of a static model in memory, and means of its rows.
 *
 * Plain loops on the calling thread. A text of 20 tokens of 256 numbers takes 2 microseconds and one of 1024 numbers 9, where
 * a pass of the runtime takes 35 with the way to its thread and back. Of 51 such texts together the passes would take 190
 * and 370, the loops 155 and 550: only wide tables in large batches would gain.
 */
import type { TensorReader } from "../../../checkpoint/index.ts";
import { JetonError } from "../../../core/index.ts";
import type { LoadModelOptions } from "../../types.ts";
import { blockLayout } from "../../weights/trace-weights.ts";
import type { StaticTensors } from "./static-config.ts";

/** Formats in which the table is held. */
export type StaticFormat = "f32" | "int8";

/** Numbers that are read at a time. */
const chunkNumbers = 1 << 20;

const { blockSize } = blockLayout.int8;

/** Rows of vectors by token. */
export interface StaticTable extends Pick<StaticTensors, "width" | "vocabSize"> {
  /** `[rows, width]` */
  readonly values: Float32Array | Int8Array;
  /** Factors of blocks of 64 numbers of a row, `[rows, blocks]`; undefined: 1. */
  readonly scales: Float32Array | undefined;
  /** Factors of tokens; undefined: 1. */
  readonly weights: Float32Array | undefined;
  /** Row of each token; undefined: its id. */
  readonly mapping: Int32Array | undefined;
}

/**
 * Reads a table. `int8` keeps 8 bits with a scale for each 64 numbers of a row, and bytes that are stored as such as they
 * are.
 *
 * @param reader the open weights
 * @throws JetonError `model-weights-dtype`, `model-weights-invalid`, and those of reading tensors
 */
export async function readStaticTable(
  reader: TensorReader,
  tensors: StaticTensors & { readonly dtype: string },
  format: StaticFormat,
  { onProgress, signal }: Pick<LoadModelOptions, "onProgress" | "signal">,
): Promise<StaticTable> {
  const { table, rows, width, vocabSize, dtype } = tensors;
  const isPacked = format === "int8" && dtype !== "I8";
  const blocks = Math.ceil(width / blockSize);
  const values = format === "f32" ? new Float32Array(rows * width) : new Int8Array(rows * width);
  const scales = isPacked ? new Float32Array(rows * blocks) : undefined;
  const step = Math.max(1, Math.floor(chunkNumbers / width));
  for (let start = 0; start < rows; start += step) {
    signal?.throwIfAborted();
    const count = Math.min(step, rows - start);
    const part = values.subarray(start * width, (start + count) * width);
    const range = { rows: { start, count } };
    if (part instanceof Float32Array) {
      await reader.readFloat32(table, { ...range, into: part });
    } else if (scales === undefined) {
      part.set((await reader.read(table, range)).data as Int8Array);
    } else {
      const read = await reader.readFloat32(table, range);
      const own = scales.subarray(start * blocks, (start + count) * blocks);
      packRows(read, width, part, own);
    }
    onProgress?.({ stage: isPacked ? "pack" : "load", done: start + count, total: rows });
  }
  return {
    ...{ width, vocabSize, values, scales },
    weights: tensors.hasWeights ? await reader.readFloat32("weights") : undefined,
    mapping: tensors.hasMapping ? await readMapping(reader, rows) : undefined,
  };
}

function packRows(
  read: Float32Array,
  width: number,
  values: Float32Array | Int8Array,
  scales: Float32Array,
): void {
  let block = 0;
  for (let row = 0; row < read.length; row += width) {
    for (let from = 0; from < width; from += blockSize) {
      const [first, end] = [row + from, row + Math.min(from + blockSize, width)];
      let largest = 0;
      for (let at = first; at < end; at++) largest = Math.max(largest, Math.abs(read[at]!));
      const scale = Math.fround(largest / 127);
      scales[block++] = scale;
      if (scale === 0) continue;
      for (let at = first; at < end; at++) values[at] = Math.round(read[at]! / scale);
    }
  }
}

async function readMapping(reader: TensorReader, rows: number): Promise<Int32Array> {
  const { dtype, data } = await reader.read("mapping");
  if (!/^[IU]\d+$/.test(dtype)) {
    throw new JetonError(`"mapping" is stored as ${dtype}, expected whole numbers`, {
      code: "model-weights-dtype",
      details: { name: "mapping", dtype },
    });
  }
  const mapping = Int32Array.from(data as ArrayLike<number>, Number);
  const wrong = mapping.findIndex((row) => row < 0 || row >= rows);
  if (wrong < 0) return mapping;
  throw new JetonError(
    `"mapping" gives token ${wrong} the row ${data[wrong]}, expected 0 to ${rows - 1}`,
    { code: "model-weights-invalid", details: { name: "mapping", token: wrong, rows } },
  );
}

/**
 * The mean of tokens' rows, each by its weight: `[width]`, zeros for no tokens.
 *
 * @param ids tokens below `vocabSize`
 * @param from place of the first one that counts
 */
export function meanOfRows(table: StaticTable, ids: ArrayLike<number>, from = 0): Float32Array {
  const { width, values, weights, mapping } = table;
  const sum = sumOf(width);
  const rowOf = (at: number): number => (mapping ? mapping[ids[at]!]! : ids[at]!) * width;
  let at = from;
  if (weights === undefined && values instanceof Float32Array) {
    // Four at once: each number of the sum is fetched and kept once for all of them.
    for (; at + 3 < ids.length; at += 4) {
      const [a, b, c, d] = [rowOf(at), rowOf(at + 1), rowOf(at + 2), rowOf(at + 3)];
      for (let column = 0; column < width; column++) {
        sum[column]! +=
          values[a + column]! + values[b + column]! + values[c + column]! + values[d + column]!;
      }
    }
  }
  for (; at < ids.length; at++) {
    const weight = weights ? weights[ids[at]!]! : 1;
    addRow(table, rowOf(at), weight, sum);
  }
  const count = Math.max(1, ids.length - from);
  const mean = new Float32Array(width);
  for (let column = 0; column < width; column++) mean[column] = sum[column]! / count;
  return mean;
}

/** Memory of a sum, which is used again: nothing else runs while there is one. */
let lastSum = new Float64Array(0);

function sumOf(width: number): Float64Array {
  if (lastSum.length !== width) lastSum = new Float64Array(width);
  return lastSum.fill(0);
}

function addRow(
  { width, values, scales }: StaticTable,
  start: number,
  weight: number,
  sum: Float64Array,
): void {
  if (scales === undefined) {
    for (let column = 0; column < width; column++) sum[column]! += weight * values[start + column]!;
    return;
  }
  const blocks = Math.ceil(width / blockSize);
  const first = (start / width) * blocks;
  for (let block = 0; block < blocks; block++) {
    const factor = weight * scales[first + block]!;
    const end = Math.min((block + 1) * blockSize, width);
    for (let column = block * blockSize; column < end; column++) {
      sum[column]! += factor * values[start + column]!;
    }
  }
}
