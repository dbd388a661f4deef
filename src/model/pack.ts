/**
 * Packs matrices into few bits: symmetric blocks of codes with a scale (int4, int8), or one scale for
 * each output (int8-channel).
 */
import type { Checkpoint, TensorToWrite } from "../checkpoint/index.ts";
import type { WeightFormat } from "./types.ts";
import { type BlockFormat, blockLayout, groupShape, packedName, packedShapes } from "./weights.ts";

/** Codes and scales of one group of matrices. */
export interface PackedMatrix {
  readonly codes: Uint8Array | Int8Array;
  readonly codesShape: readonly number[];
  readonly scales: Float32Array;
}

/**
 * Quantizes a row-major `[rows, columns]` matrix in blocks along its columns. The element of largest
 * magnitude in a block maps to code 0 exactly; value = (code - 2^(bits-1)) · scale. Columns are padded
 * to whole blocks with codes that mean zero.
 */
export function packBlocks(
  values: Float32Array,
  rows: number,
  columns: number,
  format: BlockFormat,
): PackedMatrix {
  const { bits, blockSize } = blockLayout[format];
  const { codes: codesShape } = packedShapes(format, rows, columns);
  const blocks = Math.ceil(columns / blockSize);
  const bytes = (blockSize * bits) / 8;
  const codes = new Uint8Array(rows * blocks * bytes);
  const scales = new Float32Array(rows * blocks);
  const zero = 2 ** (bits - 1);
  const top = 2 * zero - 1;
  const block = new Uint8Array(blockSize);
  for (let row = 0; row < rows; row++) {
    for (let b = 0; b < blocks; b++) {
      const start = row * columns + b * blockSize;
      const size = Math.min(blockSize, columns - b * blockSize);
      let extreme = 0;
      for (let i = 0; i < size; i++) {
        const value = values[start + i]!;
        if (Math.abs(value) > Math.abs(extreme)) extreme = value;
      }
      // The scale as it is stored, so that codes are rounded against what will multiply them.
      const scale = Math.fround(extreme / -zero);
      const inverse = scale === 0 ? 0 : 1 / scale;
      block.fill(zero);
      for (let i = 0; i < size; i++) {
        const code = Math.round(values[start + i]! * inverse) + zero;
        block[i] = Math.min(top, Math.max(0, code));
      }
      const at = (row * blocks + b) * bytes;
      if (bits === 8) codes.set(block, at);
      else {
        for (let i = 0; i < bytes; i++) codes[at + i] = block[2 * i]! | (block[2 * i + 1]! << 4);
      }
      scales[row * blocks + b] = scale;
    }
  }
  return { codes, codesShape, scales };
}

/** Quantizes each row of `[rows, columns]` to int8 with one scale; codes come out `[columns, rows]`. */
export function packChannels(values: Float32Array, rows: number, columns: number): PackedMatrix {
  const codes = new Int8Array(rows * columns);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let largest = 0;
    const start = row * columns;
    for (let i = 0; i < columns; i++) {
      const magnitude = Math.abs(values[start + i]!);
      if (magnitude > largest) largest = magnitude;
    }
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let i = 0; i < columns; i++) {
      const code = Math.round(values[start + i]! * inverse);
      codes[i * rows + row] = Math.min(127, Math.max(-127, code));
    }
    scales[row] = scale;
  }
  return { codes, codesShape: packedShapes("int8-channel", rows, columns).codes, scales };
}

/** Packs one group of stored matrices. */
export function packMatrix(
  values: Float32Array,
  rows: number,
  columns: number,
  format: Exclude<WeightFormat, "f32">,
): PackedMatrix {
  return format === "int8-channel"
    ? packChannels(values, rows, columns)
    : packBlocks(values, rows, columns, format);
}

/**
 * All groups of a checkpoint, packed one by one as they are written.
 *
 * @param groups names of matrices that are used as one product
 * @param onGroup called after each group
 */
export function packGroups(
  checkpoint: Checkpoint,
  groups: readonly (readonly string[])[],
  format: Exclude<WeightFormat, "f32">,
  onGroup?: (done: number) => void,
): TensorToWrite[] {
  let done = 0;
  return groups.flatMap((names) => {
    const { rows, columns } = groupShape(checkpoint.tensors, names);
    // Codes and scales come from one pass; each is let go when it has been written.
    const waiting: { codes?: PackedMatrix["codes"]; scales?: Float32Array } = {};
    const part = async (
      name: "codes" | "scales",
    ): Promise<PackedMatrix["codes"] | Float32Array> => {
      if (!waiting[name]) {
        const values = await readGroup(checkpoint, names, rows, columns);
        Object.assign(waiting, packMatrix(values, rows, columns, format));
        onGroup?.(++done);
      }
      const result = waiting[name]!;
      delete waiting[name];
      return result;
    };
    const key = packedName(names);
    const { codes, scales } = packedShapes(format, rows, columns);
    return [
      {
        name: `${key}.codes`,
        dtype: format === "int8-channel" ? "I8" : "U8",
        shape: codes,
        data: () => part("codes"),
      },
      { name: `${key}.scales`, dtype: "F32", shape: scales, data: () => part("scales") },
    ] satisfies TensorToWrite[];
  });
}

async function readGroup(
  checkpoint: Checkpoint,
  names: readonly string[],
  rows: number,
  columns: number,
): Promise<Float32Array> {
  const values = new Float32Array(rows * columns);
  let at = 0;
  for (const name of names) {
    const part = await checkpoint.readFloat32(name);
    values.set(part, at);
    at += part.length;
  }
  return values;
}
