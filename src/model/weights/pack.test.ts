import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../../checkpoint/index.ts";
import { createRandom } from "../../core/index.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { decoderConfig } from "../decoder/config.ts";
import { matrixGroups } from "../decoder/decoder-names.ts";
import { packBlocks, packChannels, packGroups } from "./pack.ts";
import { type BlockFormat, blockLayout, packedParts } from "./trace-weights.ts";

function randomMatrix(rows: number, columns: number): Float32Array {
  const random = createRandom(3, rows, columns);
  return Float32Array.from({ length: rows * columns }, () => random.normal());
}

/** What `matmulBlockQuantized` multiplies by, and the code of each value. */
function unpack(
  { codes, scales, zeros }: ReturnType<typeof packBlocks>,
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
    const code = pick(codes, (at * blockSize * bits) / 8, column % blockSize);
    const zero = zeros ? pick(zeros, row * Math.ceil((blocks * bits) / 8), block) : 128;
    return { value: (code - zero) * scales[at]!, code, scale: Math.abs(scales[at]!) };
  });
}

const squaredError = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);

describe("packBlocks", () => {
  test.each([
    ["int4", 64],
    ["int8", 256],
    ["int4", 50],
    ["int4", 200],
    ["int8", 33],
  ] as const)("%s, %d columns: every value has the nearest code", (format, columns) => {
    const rows = 5;
    const values = randomMatrix(rows, columns);
    const packed = packBlocks(values, rows, columns, format);
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
      const packed = unpack(packBlocks(values, 40, columns, "int4"), 40, columns, "int4");
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
        const packed = packBlocks(values, 1, 2 * blockSize, format);
        for (const { value } of unpack(packed, 1, 2 * blockSize, format)) {
          expect(value).toBeCloseTo(constant, 6);
        }
      }
    },
  );

  test("columns beyond the last whole block count as zero", () => {
    const { blockSize } = blockLayout.int4;
    const values = randomMatrix(3, blockSize + 1).map((value) => value + 5);
    const { codes, zeros } = packBlocks(values, 3, blockSize + 1, "int4");
    for (let row = 0; row < 3; row++) {
      const padding = codes.subarray(row * blockSize + blockSize / 2 + 1, (row + 1) * blockSize);
      expect(new Set(padding)).toEqual(new Set([(zeros![row]! >> 4) * 17]));
    }
  });
});

describe("packChannels", () => {
  test("codes are transposed and within half a step", () => {
    const values = randomMatrix(6, 10);
    const { codes, scales } = packChannels(values, 6, 10);
    for (let row = 0; row < 6; row++) {
      for (let column = 0; column < 10; column++) {
        const value = codes[column * 6 + row]! * scales[row]!;
        expect(Math.abs(value - values[row * 10 + column]!)).toBeLessThanOrEqual(
          scales[row]! / 2 + 1e-6,
        );
      }
    }
  });
});

describe("packGroups", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "jeton-pack-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(["int8", "int4"] as const)(
    "%s: gives all parts of every group, whichever is asked for first",
    async (format) => {
      await createRandomCheckpoint(folder, { family: "llama", seed: 1, dtype: "BF16" });
      expect(readdirSync(folder)).toContain("model.safetensors");
      await using checkpoint = await openCheckpoint(folder);
      const groups = matrixGroups(decoderConfig(checkpoint.config));
      const data = async (order: 1 | -1): Promise<Map<string, unknown>> => {
        const tensors = packGroups(checkpoint, groups, format);
        const found = new Map<string, unknown>();
        for (const { name, data } of order === 1 ? tensors : tensors.toReversed()) {
          found.set(name, await (data as () => Promise<unknown>)());
        }
        return found;
      };
      const forward = await data(1);
      const backward = await data(-1);
      expect(forward.size).toBe((format === "int4" ? 3 : 2) * groups.length);
      for (const [name, values] of forward) expect(backward.get(name)).toEqual(values);
    },
  );
});
