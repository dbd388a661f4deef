/**
 * Packs rows of matrices: reads them part by part into the memory of the kernels, and returns the
 * packed bytes with their place among the packed parts.
 */

import { JetonError } from "../../core/index.ts";
import type { WeightFormat } from "../types.ts";
import { createPackKernels, type PackKernels } from "./pack-kernels.ts";
import {
  type BlockFormat,
  blockLayout,
  type PackedPartName,
  packedParts,
} from "./trace-weights.ts";

export type PackedFormat = Exclude<WeightFormat, "f32">;

/** Element types that can be packed. */
export type PackableDtype = "BF16" | "F16" | "F32";

/** Consecutive rows of a group that lie in one stored tensor. */
export interface RowSource {
  readonly dtype: PackableDtype;
  readonly rows: number;
  /** Reads bytes of these rows, counted from the first one's. */
  readonly read: (offset: number, into: Uint8Array) => void;
}

/** Some of a group's rows. */
export interface RowsToPack {
  readonly format: PackedFormat;
  /** Rows and columns of the whole group. */
  readonly rows: number;
  readonly columns: number;
  /** The first of the rows that are packed. */
  readonly first: number;
  readonly sources: readonly RowSource[];
  /**
   * Takes bytes of a packed part, counted from the part's first. The array is a view of memory that is
   * used again.
   */
  readonly write: (part: PackedPartName, offset: number, bytes: Uint8Array) => void;
}

/**
 * The type of a tensor's elements, if they can be packed.
 *
 * @throws JetonError `model-weights-dtype`
 */
export function packableDtype(name: string, dtype: string): PackableDtype {
  if (dtype === "F32" || dtype === "F16" || dtype === "BF16") return dtype;
  throw new JetonError(`"${name}" is stored as ${dtype}, expected F32, F16 or BF16`, {
    code: "model-weights-dtype",
    details: { name, dtype },
  });
}

/** Memory for the packed parts of a `[rows, columns]` matrix. */
export function emptyParts(
  format: PackedFormat,
  rows: number,
  columns: number,
): Map<PackedPartName, Uint8Array<ArrayBuffer>> {
  return new Map(
    packedParts(format, rows, columns).map(({ name, dtype, shape }) => {
      const elements = shape.reduce((product, size) => product * size, 1);
      return [name, new Uint8Array(elements * (dtype === "F32" ? 4 : 1))];
    }),
  );
}

const bytesOfElement: Readonly<Record<PackableDtype, number>> = { BF16: 2, F16: 2, F32: 4 };

/** Bytes of stored rows that are read at a time, unless one row has more. */
const chunkBytes = 1 << 22;

/** Rows of codes that are transposed together: a line of the processor's cache. */
const tileRows = 64;

/** Kernels may read and write less than this many bytes beyond the given range. */
const slack = 1024;

const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit;

/** Packs rows with kernels of its own; one call at a time. */
export class RowPacker {
  readonly #kernels: PackKernels;

  constructor(kernels: PackKernels) {
    this.#kernels = kernels;
  }

  static async create(): Promise<RowPacker> {
    return new RowPacker(await createPackKernels());
  }

  pack(task: RowsToPack): void {
    if (task.format === "int8-channel") this.#packChannels(task);
    else this.#packBlocks(task, task.format);
  }

  /** Makes the memory large enough for areas of these sizes, and says where each begins. */
  #reserve(...sizes: number[]): number[] {
    const { memory } = this.#kernels;
    let end = slack;
    const places = sizes.map((size) => {
      const place = end;
      end = roundUp(end + size + slack, 64);
      return place;
    });
    const missing = end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    return places;
  }

  #view(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#kernels.memory.buffer, at, length);
  }

  #packBlocks({ columns, first, sources, write }: RowsToPack, format: BlockFormat): void {
    const kernels = this.#kernels;
    const { bits, blockSize, ownZeros } = blockLayout[format];
    const blocks = Math.ceil(columns / blockSize);
    const padded = blocks * blockSize;
    const codeBytes = (padded * bits) / 8;
    const zeroBytes = ownZeros ? Math.ceil((blocks * bits) / 8) : 0;
    let done = first;
    for (const { dtype, rows, read } of sources) {
      const rowBytes = columns * bytesOfElement[dtype];
      const chunk = Math.max(1, Math.min(rows, Math.floor(chunkBytes / rowBytes)));
      const [raw, row, codes, scales, zeros] = this.#reserve(
        chunk * rowBytes,
        padded * 4,
        chunk * codeBytes,
        chunk * blocks * 4,
        chunk * zeroBytes,
      ) as [number, number, number, number, number];
      for (let at = 0; at < rows; at += chunk) {
        const count = Math.min(chunk, rows - at);
        read(at * rowBytes, this.#view(raw, count * rowBytes));
        for (let i = 0; i < count; i++) {
          kernels[`widen${dtype}`](raw + i * rowBytes, row, columns, padded);
          const [code, scale] = [codes + i * codeBytes, scales + i * blocks * 4];
          if (ownZeros) kernels.packInt4(row, blocks, code, scale, zeros + i * zeroBytes);
          else kernels.packInt8(row, blocks, code, scale);
        }
        const start = done + at;
        write("codes", start * codeBytes, this.#view(codes, count * codeBytes));
        write("scales", start * blocks * 4, this.#view(scales, count * blocks * 4));
        if (ownZeros) write("zeros", start * zeroBytes, this.#view(zeros, count * zeroBytes));
      }
      done += rows;
    }
  }

  /** Codes come out transposed, so those of all rows are gathered before any can be written. */
  #packChannels({ rows, columns, first, sources, write }: RowsToPack): void {
    const kernels = this.#kernels;
    const total = sources.reduce((sum, source) => sum + source.rows, 0);
    const padded = roundUp(columns, 16);
    // Rows of codes a multiple of 4096 bytes apart would share few lines of the processor's cache.
    const stride = padded + 64;
    const chunkOf = ({ dtype, rows: count }: RowSource): number =>
      Math.max(1, Math.min(count, Math.floor(chunkBytes / (columns * bytesOfElement[dtype]))));
    const [raw, row, tile, codes, scales] = this.#reserve(
      Math.max(...sources.map((s) => chunkOf(s) * columns * bytesOfElement[s.dtype])),
      padded * 4,
      2 * tileRows * stride,
      columns * total,
      total * 4,
    ) as [number, number, number, number, number];
    const scaleView = new Float32Array(kernels.memory.buffer, scales, total);
    let done = 0;
    for (const source of sources) {
      const { dtype, rows: count, read } = source;
      const rowBytes = columns * bytesOfElement[dtype];
      const chunk = chunkOf(source);
      for (let at = 0; at < count; at += chunk) {
        const number = Math.min(chunk, count - at);
        read(at * rowBytes, this.#view(raw, number * rowBytes));
        for (let i = 0; i < number; i++) {
          kernels[`widen${dtype}`](raw + i * rowBytes, row, columns, padded);
          scaleView[done] = kernels.packChannel(row, padded, tile + (done % tileRows) * stride);
          done++;
          if (done % tileRows > 0) continue;
          kernels.transpose(tile, stride, codes + done - tileRows, total, columns, tileRows / 16);
        }
      }
    }
    this.#transposeRest(tile, stride, codes, total, columns);
    write("scales", first * 4, this.#view(scales, total * 4));
    if (total === rows) write("codes", 0, this.#view(codes, columns * total));
    else {
      for (let column = 0; column < columns; column++) {
        write("codes", column * rows + first, this.#view(codes + column * total, total));
      }
    }
  }

  /** The rows behind the last whole tile, together with rows before them that were done already. */
  #transposeRest(
    tile: number,
    stride: number,
    codes: number,
    total: number,
    columns: number,
  ): void {
    const kernels = this.#kernels;
    if (total % tileRows === 0) return;
    if (total > tileRows) {
      const memory = new Uint8Array(kernels.memory.buffer);
      const last = tile + tileRows * stride;
      for (let i = 0; i < tileRows; i++) {
        const from = tile + ((total + i) % tileRows) * stride;
        memory.copyWithin(last + i * stride, from, from + stride);
      }
      kernels.transpose(last, stride, codes + total - tileRows, total, columns, tileRows / 16);
      return;
    }
    for (let start = 0; start < total; start += 16) {
      const from = Math.max(0, Math.min(start, total - 16));
      kernels.transpose(tile + from * stride, stride, codes + from, total, columns, 1);
    }
  }
}
