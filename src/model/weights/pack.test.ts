/** Packing: what its kernels make, and how the rows of a checkpoint pass through them. */
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Checkpoint,
  narrowToBFloat16,
  narrowToFloat16,
  openCheckpoint,
  type TensorPlace,
  widenToFloat32,
} from "../../checkpoint/index.ts";
import { createRandom } from "../../core/index.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { type PackedMatrix, packMatrix } from "../../testing/reference-packing.ts";
import { decoderConfig } from "../decoder/config.ts";
import { matrixGroups } from "../decoder/decoder-names.ts";
import { packedTensors, packIntoFile, packIntoMemory } from "./pack-checkpoint.ts";
import {
  emptyParts,
  type PackableDtype,
  type PackedFormat,
  RowPacker,
  type RowSource,
} from "./pack-rows.ts";
import {
  type BlockFormat,
  blockLayout,
  type PackedPartName,
  packedParts,
} from "./trace-weights.ts";

let packer: RowPacker;
beforeAll(async () => {
  packer = await RowPacker.create();
});

function randomMatrix(rows: number, columns: number): Float32Array {
  const random = createRandom(3, rows, columns);
  return Float32Array.from({ length: rows * columns }, () => random.normal());
}

const arrayOf = (part: PackedPartName, format: PackedFormat, data: Uint8Array<ArrayBuffer>) =>
  part === "scales"
    ? new Float32Array(data.buffer)
    : format === "int8-channel"
      ? new Int8Array(data.buffer)
      : data;

/** Packs bytes of stored rows, a few rows of a tensor at a time as `cuts` says. */
function packBytes(
  bytes: Uint8Array,
  dtype: PackableDtype,
  rows: number,
  columns: number,
  format: PackedFormat,
  cuts: { readonly sources?: readonly number[]; readonly jobs?: readonly number[] } = {},
): PackedMatrix {
  const rowBytes = bytes.length / rows;
  const parts = emptyParts(format, rows, columns);
  const edges = (inner: readonly number[] = []) =>
    [...new Set([0, ...inner.map((cut) => cut % rows), rows])].sort((a, b) => a - b);
  const sourcesOf = (from: number, to: number): RowSource[] => {
    const starts = edges(cuts.sources).filter((edge) => edge > from && edge < to);
    return [from, ...starts].map((start, index) => ({
      dtype,
      rows: (starts[index] ?? to) - start,
      read: (offset, into) => {
        const at = start * rowBytes + offset;
        into.set(bytes.subarray(at, at + into.length));
      },
    }));
  };
  const jobs = edges(cuts.jobs);
  for (const [index, first] of jobs.slice(0, -1).entries()) {
    packer.pack({
      format,
      rows,
      columns,
      first,
      sources: sourcesOf(first, jobs[index + 1]!),
      write: (part, offset, data) => parts.get(part)!.set(data, offset),
    });
  }
  return Object.fromEntries(
    [...parts].map(([part, data]) => [part, arrayOf(part, format, data)] as const),
  );
}

const packValues = (
  values: Float32Array,
  rows: number,
  columns: number,
  format: PackedFormat,
): PackedMatrix => packBytes(new Uint8Array(values.buffer), "F32", rows, columns, format);

/** What `matmulBlockQuantized` multiplies by, and the code of each value. */
function unpack(
  { codes, scales, zeros }: PackedMatrix,
  rows: number,
  columns: number,
  format: BlockFormat,
): { value: number; code: number; scale: number }[] {
  const { bits, blockSize } = blockLayout[format];
  const blocks = Math.ceil(columns / blockSize);
  const pick = (bytes: ArrayLike<number>, first: number, place: number): number => {
    const byte = bytes[first + Math.floor((place * bits) / 8)]!;
    return bits === 8 ? byte : place % 2 === 0 ? byte & 15 : byte >> 4;
  };
  return Array.from({ length: rows * columns }, (_, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    const block = Math.floor(column / blockSize);
    const at = row * blocks + block;
    const code = pick(codes!, (at * blockSize * bits) / 8, column % blockSize);
    const zero = zeros ? pick(zeros, row * Math.ceil((blocks * bits) / 8), block) : 128;
    return { value: (code - zero) * scales![at]!, code, scale: Math.abs(scales![at]!) };
  });
}

const squaredError = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);

describe("blocks", () => {
  test.each([
    ["int4", 64],
    ["int8", 256],
    ["int4", 50],
    ["int4", 200],
    ["int8", 33],
  ] as const)("%s, %d columns: every value has the nearest code", (format, columns) => {
    const rows = 5;
    const values = randomMatrix(rows, columns);
    const packed = packValues(values, rows, columns, format);
    for (const part of packedParts(format, rows, columns)) {
      expect(packed[part.name], part.name).toHaveLength(part.shape.reduce((a, b) => a * b));
    }
    const top = 2 ** blockLayout[format].bits - 1;
    for (const [i, { value, code, scale }] of unpack(packed, rows, columns, format).entries()) {
      const error = Math.abs(values[i]! - value);
      if (code > 0 && code < top) expect(error).toBeLessThanOrEqual(scale / 2 + 1e-6);
      // A value beyond the codes lies outwards of the last one.
      else expect(Math.abs(values[i]!)).toBeGreaterThanOrEqual(Math.abs(value) - scale / 2 - 1e-6);
    }
  });

  test("int4 errs less than a scale from the extreme alone, more so where values lean to one side", () => {
    const columns = 256;
    for (const [mean, least] of [
      [0, 0.88],
      [1, 0.7],
    ] as const) {
      const values = randomMatrix(40, columns).map((value) => value + mean);
      const packed = unpack(packValues(values, 40, columns, "int4"), 40, columns, "int4");
      const naive = values.map((value, index) => {
        const start = index - (index % blockLayout.int4.blockSize);
        const block = values.subarray(start, start + blockLayout.int4.blockSize);
        const extreme = block.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
        const scale = extreme / -8;
        return Math.min(7, Math.round(value / scale)) * scale;
      });
      const ours = squaredError(
        values,
        packed.map(({ value }) => value),
      );
      expect(ours).toBeLessThan(least * squaredError(values, naive));
    }
  });

  test.each(["int4", "int8"] as const)(
    "%s: blocks of one value and of zeros are exact",
    (format) => {
      const { blockSize } = blockLayout[format];
      for (const constant of [0, 3, -0.125]) {
        const values = new Float32Array(2 * blockSize).fill(constant);
        const packed = packValues(values, 1, 2 * blockSize, format);
        for (const { value } of unpack(packed, 1, 2 * blockSize, format)) {
          expect(value).toBeCloseTo(constant, 6);
        }
      }
    },
  );

  test("columns beyond the last whole block count as zero", () => {
    const { blockSize } = blockLayout.int4;
    const values = randomMatrix(3, blockSize + 1).map((value) => value + 5);
    const { codes, zeros } = packValues(values, 3, blockSize + 1, "int4");
    for (let row = 0; row < 3; row++) {
      const padding = (codes as Uint8Array).subarray(
        row * blockSize + blockSize / 2 + 1,
        (row + 1) * blockSize,
      );
      expect(new Set(padding)).toEqual(new Set([(zeros![row]! >> 4) * 17]));
    }
  });
});

test("int8-channel: codes are transposed and within half a step", () => {
  const values = randomMatrix(6, 10);
  const { codes, scales } = packValues(values, 6, 10, "int8-channel");
  for (let row = 0; row < 6; row++) {
    for (let column = 0; column < 10; column++) {
      const value = codes![column * 6 + row]! * scales![row]!;
      expect(Math.abs(value - values[row * 10 + column]!)).toBeLessThanOrEqual(
        scales![row]! / 2 + 1e-6,
      );
    }
  }
});

describe("beside packing in double precision", () => {
  /** Stored bytes of normal numbers, and the float32 numbers that they stand for. */
  function stored(dtype: PackableDtype, rows: number, columns: number, mean: number) {
    const values = randomMatrix(rows, columns).map((value) => 0.05 * (value + mean));
    if (dtype === "F32") return { bytes: new Uint8Array(values.buffer), values };
    const bits = new Uint16Array(values.length);
    (dtype === "BF16" ? narrowToBFloat16 : narrowToFloat16)(values, bits);
    widenToFloat32(dtype, bits, values);
    return { bytes: new Uint8Array(bits.buffer), values };
  }
  const dtypes = ["BF16", "F16", "F32"] as const;
  const size = fc.integer({ min: 1, max: 200 });
  const cut = fc.array(fc.nat(), { maxLength: 3 });

  test.each(["int8", "int8-channel"] as const)("%s: the same bits for every split", (format) => {
    fc.assert(
      fc.property(
        size,
        size,
        fc.constantFrom(...dtypes),
        cut,
        cut,
        (rows, columns, dtype, ...cuts) => {
          const { bytes, values } = stored(dtype, rows, columns, 0);
          const packed = packBytes(bytes, dtype, rows, columns, format, {
            sources: cuts[0],
            jobs: cuts[1],
          });
          expect(packed).toEqual(packMatrix(values, rows, columns, format));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("int4: no larger error for any split", () => {
    fc.assert(
      fc.property(
        size,
        size,
        fc.constantFrom(...dtypes),
        fc.constantFrom(0, 1),
        cut,
        (rows, columns, dtype, mean, jobs) => {
          const { bytes, values } = stored(dtype, rows, columns, mean);
          const errorOf = (packed: PackedMatrix): number =>
            squaredError(
              values,
              unpack(packed, rows, columns, "int4").map(({ value }) => value),
            );
          const packed = packBytes(bytes, dtype, rows, columns, "int4", { jobs });
          expect(packed).toEqual(packBytes(bytes, dtype, rows, columns, "int4"));
          const wanted = errorOf(packMatrix(values, rows, columns, "int4"));
          // What single precision leaves of a value that a code could stand for exactly.
          const rounding = 1e-12 * squaredError(values, new Float32Array(values.length));
          expect(errorOf(packed)).toBeLessThanOrEqual(wanted * (1 + 1e-6) + rounding);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("subnormal, infinite and undefined halves are what they are", () => {
    const bits = Uint16Array.of(0x0001, 0x83ff, 0x0400, 0x7bff);
    const values = new Float32Array(4);
    widenToFloat32("F16", bits, values);
    const packed = packBytes(new Uint8Array(bits.buffer), "F16", 4, 1, "int8-channel");
    expect(packed).toEqual(packMatrix(values, 4, 1, "int8-channel"));
    const special = Uint16Array.of(0x7c00, 0xfc00, 0x7e01, 0x3c00);
    const { scales } = packBytes(new Uint8Array(special.buffer), "F16", 4, 1, "int8-channel");
    const infinity = Number.POSITIVE_INFINITY;
    expect(scales).toEqual(Float32Array.of(infinity, infinity, 0, 1 / 127));
  });
});

describe("checkpoints", () => {
  let folder: string;
  let checkpoint: Checkpoint;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "jeton-pack-"));
    await createRandomCheckpoint(folder, { family: "llama", seed: 1, dtype: "BF16", shards: 2 });
    checkpoint = await openCheckpoint(folder);
  });
  afterAll(async () => {
    await checkpoint.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(["int8", "int4", "int8-channel"] as const)(
    "%s: threads, the calling one, a file and memory give the same",
    async (format) => {
      const groups = matrixGroups(decoderConfig(checkpoint.config));
      const progress: number[] = [];
      const inMemory = await packIntoMemory(checkpoint, groups, format, {
        inline: true,
        onProgress: (done, total) => progress.push(done / total),
      });
      expect(progress).toEqual(progress.toSorted((a, b) => a - b));
      expect(progress.at(-1)).toBe(1);
      expect(await packIntoMemory(checkpoint, groups, format)).toEqual(inMemory);

      const places = new Map<string, TensorPlace>();
      let end = 100;
      for (const { name } of packedTensors(checkpoint, groups, format)) {
        const { length } = inMemory.get(name)!;
        places.set(name, { offset: end, length });
        end += length;
      }
      const file = join(folder, `packed-${format}`);
      await writeFile(file, new Uint8Array(end));
      await packIntoFile(checkpoint, groups, format)(file, places);
      const written = new Uint8Array(await readFile(file));
      for (const [name, { offset, length }] of places) {
        expect(written.slice(offset, offset + length), name).toEqual(inMemory.get(name));
      }

      const [names] = groups;
      const parts = await Promise.all(names!.map((name) => checkpoint.readFloat32(name)));
      const values = Float32Array.from(parts.flatMap((part) => [...part]));
      const [, columns] = checkpoint.tensors.get(names![0]!)!.shape;
      const wanted = packMatrix(values, values.length / columns!, columns!, format);
      if (format !== "int4") {
        const found = inMemory.get(`${names!.join("+")}.codes`)!;
        expect(arrayOf("codes", format, found)).toEqual(wanted.codes);
      }
    },
  );

  test("an abort ends it, as does a file that is too short", async () => {
    const groups = matrixGroups(decoderConfig(checkpoint.config));
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const onProgress = () => controller.abort(reason);
    const { signal } = controller;
    for (const inline of [true, false]) {
      await expect(
        packIntoMemory(checkpoint, groups, "int8", { inline, onProgress, signal }),
      ).rejects.toBe(reason);
    }
    const file = join(folder, "empty");
    await writeFile(file, "");
    const tensors = new Map(
      Array.from(checkpoint.tensors, ([name, entry]) => [name, { ...entry, file }]),
    );
    await expect(packIntoMemory({ tensors }, groups, "int8")).rejects.toMatchObject({
      code: "safetensors-truncated",
    });
  });
});
