import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../checkpoint/index.ts";
import { createRandom } from "../core/index.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { decoderConfig } from "./config.ts";
import { matrixGroups } from "./decoder.ts";
import { packBlocks, packChannels, packGroups } from "./pack.ts";
import { blockLayout } from "./weights.ts";

function randomMatrix(rows: number, columns: number): Float32Array {
  const random = createRandom(3, rows, columns);
  return Float32Array.from({ length: rows * columns }, () => random.normal());
}

describe("packBlocks", () => {
  test.each([
    ["int4", 64],
    ["int8", 256],
    ["int4", 50],
    ["int8", 33],
  ] as const)(
    "%s, %d columns: every value within half a step, the extreme exact",
    (format, columns) => {
      const { bits, blockSize } = blockLayout[format];
      const bytes = (blockSize * bits) / 8;
      const rows = 5;
      const values = randomMatrix(rows, columns);
      const { codes, scales, codesShape } = packBlocks(values, rows, columns, format);
      const blocks = codesShape[1]!;
      expect(codesShape).toEqual([rows, Math.ceil(columns / blockSize), bytes]);
      const zero = 2 ** (bits - 1);
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const block = row * blocks + Math.floor(column / blockSize);
          const inside = column % blockSize;
          const byte = codes[block * bytes + Math.floor((inside * bits) / 8)]!;
          const code = bits === 8 ? byte : inside % 2 === 0 ? byte & 15 : byte >> 4;
          const scale = scales[block]!;
          const error = Math.abs((code - zero) * scale - values[row * columns + column]!);
          // The end opposite to the extreme has one code less.
          expect(error).toBeLessThanOrEqual(
            Math.abs(scale) * (code === 2 * zero - 1 ? 1 : 0.5) + 1e-6,
          );
        }
      }
    },
  );

  test("a block of zeros stays zero", () => {
    const { codes, scales } = packBlocks(new Float32Array(32), 1, 32, "int4");
    expect([...codes]).toEqual(new Array(16).fill(0x88));
    expect(scales[0]).toBeCloseTo(0, 12);
  });
});

describe("packChannels", () => {
  test("codes are transposed and within half a step", () => {
    const values = randomMatrix(6, 10);
    const { codes, scales, codesShape } = packChannels(values, 6, 10);
    expect(codesShape).toEqual([10, 6]);
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

  test("gives codes and scales of every group, whichever is asked for first", async () => {
    await createRandomCheckpoint(folder, { family: "llama", seed: 1, dtype: "BF16" });
    expect(readdirSync(folder)).toContain("model.safetensors");
    await using checkpoint = await openCheckpoint(folder);
    const groups = matrixGroups(decoderConfig(checkpoint.config));
    const data = async (order: 1 | -1): Promise<Map<string, unknown>> => {
      const tensors = packGroups(checkpoint, groups, "int8");
      const found = new Map<string, unknown>();
      for (const { name, data } of order === 1 ? tensors : tensors.toReversed()) {
        found.set(name, await (data as () => Promise<unknown>)());
      }
      return found;
    };
    const forward = await data(1);
    const backward = await data(-1);
    expect(forward.size).toBe(2 * groups.length);
    for (const [name, values] of forward) expect(backward.get(name)).toEqual(values);
  });
});
