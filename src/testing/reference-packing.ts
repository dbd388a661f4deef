/**
 * Packing as it is defined, in double precision and one number after the other: what the kernels of
 * `model/weights/` are compared with.
 */
import type { WeightFormat } from "../model/types.ts";
import {
  type BlockFormat,
  blockLayout,
  type PackedPartName,
} from "../model/weights/trace-weights.ts";

type PartData = Uint8Array | Int8Array | Float32Array;

/** The arrays that stand for one group of matrices, as `packedParts` lists them. */
export type PackedMatrix = Partial<Readonly<Record<PackedPartName, PartData>>>;

/** What `packBlocks` makes. */
export interface PackedBlocks extends PackedMatrix {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
}

/**
 * Quantizes a row-major `[rows, columns]` matrix in blocks along its columns:
 * value = (code - zero) · scale, where `zero` is 128 in int8 and each block's own in int4. Columns are
 * padded to whole blocks with codes that mean zero.
 */
export function packBlocks(
  values: Float32Array,
  rows: number,
  columns: number,
  format: BlockFormat,
): PackedBlocks {
  const { bits, blockSize, ownZeros } = blockLayout[format];
  const blocks = Math.ceil(columns / blockSize);
  const bytes = (blockSize * bits) / 8;
  const codes = new Uint8Array(rows * blocks * bytes);
  const scales = new Float32Array(rows * blocks);
  const zerosOfRow = Math.ceil((blocks * bits) / 8);
  const zeroPoints = new Uint8Array(ownZeros ? rows * zerosOfRow : 0);
  const block = new Uint8Array(blockSize);
  for (let row = 0; row < rows; row++) {
    for (let b = 0; b < blocks; b++) {
      const start = row * columns + b * blockSize;
      const part = values.subarray(start, Math.min(start + blockSize, (row + 1) * columns));
      const { scale, zero } = ownZeros ? fitBlock(part, 2 ** bits - 1) : symmetricBlock(part, bits);
      const at = (row * blocks + b) * bytes;
      block.fill(zero);
      encodeBlock(part, scale, zero, 2 ** bits - 1, block);
      if (bits === 8) codes.set(block, at);
      else {
        for (let i = 0; i < bytes; i++) codes[at + i] = block[2 * i]! | (block[2 * i + 1]! << 4);
      }
      scales[row * blocks + b] = scale;
      if (ownZeros) zeroPoints[row * zerosOfRow + (b >> 1)]! |= zero << (4 * (b & 1));
    }
  }
  return { codes, scales, ...(ownZeros && { zeros: zeroPoints }) };
}

interface BlockCode {
  /** As it is stored, in float32, so that codes are rounded against what will multiply them. */
  readonly scale: number;
  readonly zero: number;
}

function encodeBlock(
  values: Float32Array,
  scale: number,
  zero: number,
  top: number,
  into: Uint8Array,
): void {
  const inverse = scale === 0 ? 0 : 1 / scale;
  for (let i = 0; i < values.length; i++) {
    into[i] = Math.min(top, Math.max(0, Math.round(values[i]! * inverse) + zero));
  }
}

/** The element of largest magnitude maps to code 0 exactly. */
function symmetricBlock(values: Float32Array, bits: number): BlockCode {
  const zero = 2 ** (bits - 1);
  let extreme = 0;
  for (let i = 0; i < values.length; i++) {
    if (Math.abs(values[i]!) > Math.abs(extreme)) extreme = values[i]!;
  }
  return { scale: Math.fround(extreme / -zero), zero };
}

/** How much of a block's range the codes span: some elements beyond may be cut for finer steps. */
const spans = [1.03, 0.97, 0.91, 0.85, 0.79];

/**
 * The scale and zero point of least squared error among a few spans of the codes. For given integers d
 * the best scale is Σdx / Σdd and leaves Σxx - (Σdx)² / Σdd, so one pass judges a span. Beside a scale
 * from the extreme alone this takes a tenth to a sixth off the error of every weight.
 */
function fitBlock(values: Float32Array, top: number): BlockCode {
  let low = 0;
  let high = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < low) low = value;
    else if (value > high) high = value;
  }
  let best: BlockCode = { scale: 0, zero: (top + 1) / 2 };
  let bestGain = 0;
  for (const span of spans) {
    const step = (span * (high - low)) / top;
    const inverse = 1 / step;
    if (!Number.isFinite(inverse)) break;
    const middle = Math.round(top / 2 - (low + high) / 2 / step);
    const zero = Math.min(top, Math.max(0, middle));
    let squares = 0;
    let products = 0;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      // Rounds by cutting, which needs a number that is not negative.
      const code = Math.min(top, Math.max(0, value * inverse + zero + 0.5)) | 0;
      squares += (code - zero) * (code - zero);
      products += (code - zero) * value;
    }
    const gain = squares > 0 ? (products * products) / squares : 0;
    if (gain > bestGain) {
      bestGain = gain;
      best = { scale: Math.fround(products / squares), zero };
    }
  }
  return best;
}

/** Quantizes each row of `[rows, columns]` to int8 with one scale; codes come out `[columns, rows]`. */
export function packChannels(
  values: Float32Array,
  rows: number,
  columns: number,
): { readonly codes: Int8Array; readonly scales: Float32Array } {
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
  return { codes, scales };
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
