import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import {
  compile,
  evaluateReference,
  float32,
  matmulBlockQuantized,
  matmulChannelQuantized,
  type ParameterBinding,
  parameter,
  trace,
} from "./index.ts";
import { normals, runOnce } from "./testing/run-once.ts";

describe("quantized products", () => {
  /** Codes of random weights in blocks, packed as `matmulBlockQuantized` documents it. */
  function quantize(
    weights: Float32Array,
    rows: number,
    columns: number,
    bits: 4 | 8,
    block: number,
    ownZeros: boolean,
  ) {
    const blocks = Math.ceil(columns / block);
    const codes = new Uint8Array((rows * blocks * block * bits) / 8);
    const scales = new Float32Array(rows * blocks);
    const zerosOfRow = Math.ceil((blocks * bits) / 8);
    const zeros = new Uint8Array(rows * zerosOfRow);
    for (let row = 0; row < rows; row++) {
      for (let b = 0; b < blocks; b++) {
        // Zero points of all kinds; steps become larger, so that codes still fit.
        const shift = ownZeros ? ((row + 3 * b) % 5) - 2 : 0;
        const zero = 2 ** (bits - 1) + shift;
        zeros[row * zerosOfRow + Math.floor((b * bits) / 8)]! |= zero << ((b * bits) % 8);
        const part = weights.subarray(
          row * columns + b * block,
          row * columns + Math.min((b + 1) * block, columns),
        );
        const largest = part.reduce((a, x) => Math.max(a, Math.abs(x)), 1e-9);
        const scale = largest / (2 ** (bits - 1) - 1 - Math.abs(shift));
        scales[row * blocks + b] = scale;
        for (let i = 0; i < block; i++) {
          const code = Math.round((part[i] ?? 0) / scale) + zero;
          const at = (row * blocks + b) * block + i;
          codes[Math.floor((at * bits) / 8)]! |= code << ((at * bits) % 8);
        }
      }
    }
    return { codes, scales, zeros, blocks };
  }

  test("in blocks of 4 and 8 bits, for any number of columns", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<4 | 8>(4, 8),
        fc.constantFrom(16, 32),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 5 }),
        fc.boolean(),
        async (bits, blockSize, rows, columns, time, ownZeros) => {
          const weights = normals(rows * columns, rows, columns);
          const made = quantize(weights, rows, columns, bits, blockSize, ownZeros);
          const { codes, scales, zeros, blocks } = made;
          const bytes = (blockSize * bits) / 8;
          const graph = trace({ x: float32(["time", columns]) }, ({ x }) => ({
            y: matmulBlockQuantized(
              x,
              parameter("codes", [rows, blocks, bytes], "uint8"),
              parameter("scales", [rows * blocks]),
              { bits, blockSize, rows, columns },
              ownZeros ? parameter("zeros", [zeros.length], "uint8") : undefined,
            ),
          }));
          const x = { data: normals(time * columns, time), shape: [time, columns] };
          const expected = evaluateReference(graph, {
            x,
            codes: { data: codes, shape: [rows, blocks, bytes] },
            scales: { data: scales, shape: [rows * blocks] },
            ...(ownZeros && { zeros: { data: zeros, shape: [zeros.length] } }),
          });
          const { y } = await runOnce(
            graph,
            { x },
            new Map<string, ParameterBinding>([
              ["codes", { kind: "data", data: codes }],
              ["scales", { kind: "data", data: scales }],
              ["zeros", { kind: "data", data: zeros }],
            ]),
          );
          // Each activation may be off by half a step of its block (plus what float32 loses).
          for (let t = 0; t < time; t++) {
            const row = x.data.subarray(t * columns, (t + 1) * columns);
            const half = Array.from({ length: blocks }, (_, b) => {
              const part = row.subarray(b * blockSize, (b + 1) * blockSize);
              return part.reduce((a, v) => Math.max(a, Math.abs(v)), 0) / 254;
            });
            for (let r = 0; r < rows; r++) {
              let bound = 1e-4;
              for (let c = 0; c < columns; c++) {
                const b = Math.floor(c / blockSize);
                const magnitude = Math.abs(weights[r * columns + c]!) + scales[r * blocks + b]!;
                bound += 1.01 * half[b]! * magnitude;
              }
              const error = Math.abs(y.data[t * rows + r]! - expected.y.data[t * rows + r]!);
              expect(error).toBeLessThanOrEqual(bound);
            }
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  test("per channel: sums of the largest codes are whole, also where two products exceed 16 bits", async () => {
    const [inputs, outputs] = [64, 3];
    // The runtime's fast kernels add two products in 16 bits on processors with AVX2 alone.
    const codes = Int8Array.from({ length: inputs * outputs }, (_, at) => [127, -127, 90][at % 3]!);
    const graph = trace({ x: float32(["time", inputs]) }, ({ x: rows }) => ({
      y: matmulChannelQuantized(
        rows,
        parameter("codes", [inputs, outputs], "int8"),
        parameter("scales", [outputs]),
      ),
    }));
    const program = await compile(graph, {
      inline: true,
      parameters: new Map<string, ParameterBinding>([
        ["codes", { kind: "data", data: codes }],
        ["scales", { kind: "data", data: Float32Array.of(1, 1, 1) }],
      ]),
    });
    for (const time of [1, 2, 9]) {
      const x = { data: new Float32Array(time * inputs).fill(127), shape: [time, inputs] };
      const row = [127, -127, 90].map((code) => code * 127 * inputs);
      expect(Array.from((await program.run({ x })).y.data)).toEqual(
        new Array(time).fill(row).flat(),
      );
    }
    await program.release();
  });

  test("per channel: a row does not depend on its neighbours, bit for bit", async () => {
    const [inputs, outputs, time] = [96, 40, 7];
    const random = createRandom(3);
    const codes = Int8Array.from({ length: inputs * outputs }, () => random.integer(255) - 127);
    const scales = Float32Array.from({ length: outputs }, () => 0.001 + 0.01 * random.uniform());
    const x = normals(time * inputs, 9);
    // A neighbour far larger than the others would spoil a scale that rows share.
    x.subarray(2 * inputs, 3 * inputs).forEach((value, i, row) => {
      row[i] = 1000 * value;
    });
    const graph = trace({ x: float32(["time", inputs]) }, ({ x: rows }) => ({
      y: matmulChannelQuantized(
        rows,
        parameter("codes", [inputs, outputs], "int8"),
        parameter("scales", [outputs]),
      ),
    }));
    const program = await compile(graph, {
      inline: true,
      threads: 2,
      parameters: new Map<string, ParameterBinding>([
        ["codes", { kind: "data", data: codes }],
        ["scales", { kind: "data", data: scales }],
      ]),
    });
    const together = await program.run({ x: { data: x, shape: [time, inputs] } });
    for (let t = 0; t < time; t++) {
      const row = x.slice(t * inputs, (t + 1) * inputs);
      const alone = await program.run({ x: { data: row, shape: [1, inputs] } });
      expect(alone.y.data).toEqual(together.y.data.slice(t * outputs, (t + 1) * outputs));
    }
    await program.release();
  });
});
