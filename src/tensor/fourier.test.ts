/** The Monarch transform and convolution by hand, against the plain transform and the plain sum. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import { codeOf } from "../testing/code-of.ts";
import {
  chooseMonarchSizes,
  compile,
  dft,
  evaluateReference,
  fill,
  float32,
  longConvolution,
  type MonarchSizes,
  type MonarchTables,
  monarchLength,
  monarchSequence,
  monarchSpectrum,
  monarchTables,
  monarchTableTypes,
  monarchTableValues,
  multiply,
  type TensorType,
  trace,
} from "./index.ts";

const sizesArbitrary = fc.record({
  rows: fc.integer({ min: 1, max: 6 }),
  columns: fc.integer({ min: 1, max: 5 }),
});

function randomValues(seed: number, ...shape: number[]): { data: Float64Array; shape: number[] } {
  const random = createRandom(seed, "fourier");
  const count = shape.reduce((a, b) => a * b, 1);
  return { shape, data: Float64Array.from({ length: count }, () => Math.fround(random.normal())) };
}

/** y[n] = Σ kernel[n − j mod length] · x[j], one channel after the other. */
function convolveByHand(x: readonly number[], kernel: readonly number[], length: number): number[] {
  return x.map((_, n) =>
    x.reduce((sum, value, j) => sum + (kernel[(n - j + length) % length] ?? 0) * value, 0),
  );
}

test("by hand: four values, their spectrum and their convolution", () => {
  const graph = trace({ x: float32([4, 1]) }, ({ x }) => {
    const tables = monarchTables({ rows: 2, columns: 1 });
    return { spectrum: monarchSpectrum(x, tables) };
  });
  const { spectrum } = evaluateReference(graph, { x: { data: [1, 2, 3, 4], shape: [4, 1] } });
  // 10, -2 + 2i, -2; the fourth is the conjugate of the second.
  for (const [at, value] of [10, 0, -2, 2, -2, 0].entries()) {
    expect(spectrum.data[at]).toBeCloseTo(value, 6);
  }
  // The last value of the kernel stands for a distance of -1: the next position.
  expect(convolveByHand([1, 10], [1, 0.5, 0, 0.25], 4)).toEqual([1 + 2.5, 10 + 0.5]);
});

describe("the Monarch transform", () => {
  test("equals the discrete Fourier transform, bin by bin", () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.nat(), ({ rows, columns }, seed) => {
        const length = 2 * rows * columns;
        const x = randomValues(seed, length, 2);
        const graph = trace({ x: float32([length, 2]) }, ({ x: values }) => ({
          spectrum: monarchSpectrum(values, monarchTables({ rows, columns })),
        }));
        const { spectrum } = evaluateReference(graph, { x });
        for (const channel of [0, 1]) {
          const complex = Float64Array.from({ length: 2 * length }, (_, at) =>
            at % 2 === 0 ? x.data[at + channel]! : 0,
          );
          const plain = trace({ z: float32([length, 2]) }, ({ z }) => ({ y: dft(z) }));
          const { y } = evaluateReference(plain, { z: { data: complex, shape: [length, 2] } });
          for (let k1 = 0; k1 <= rows; k1++) {
            for (let k2 = 0; k2 < columns; k2++) {
              const frequency = k1 + 2 * rows * k2;
              for (const part of [0, 1]) {
                const at = ((k1 * 2 + part) * columns + k2) * 2 + channel;
                expect(spectrum.data[at]).toBeCloseTo(y.data[2 * frequency + part]!, 5);
              }
            }
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  test("and back: the sequence that went in", () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.nat(), fc.boolean(), (sizes, seed, half) => {
        const time = sizes.rows * sizes.columns;
        const x = randomValues(seed, 2, time, 3);
        const graph = trace({ x: float32([2, time, 3]) }, ({ x: values }) => {
          const tables = monarchTables(sizes);
          const spectrum = multiply(monarchSpectrum(values, tables, { half }), tables.scale);
          return { y: monarchSequence(spectrum, tables, time) };
        });
        const { y } = evaluateReference(graph, { x });
        for (const [at, value] of y.data.entries()) expect(value).toBeCloseTo(x.data[at]!, 5);
      }),
      { numRuns: 30 },
    );
  });
});

describe("the long convolution", () => {
  test("equals the direct sum in both directions", () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.nat(), fc.nat(), (sizes, seed, cut) => {
        const half = sizes.rows * sizes.columns;
        const time = 1 + (cut % half);
        const [x, kernel] = [randomValues(seed, time, 1), randomValues(seed + 1, 2 * half, 1)];
        const graph = trace({ x: float32([time, 1]), kernel: float32([2 * half, 1]) }, (input) => ({
          y: longConvolution(input.x, input.kernel, monarchTables(sizes)),
        }));
        const { y } = evaluateReference(graph, { x, kernel });
        const expected = convolveByHand([...x.data], [...kernel.data], 2 * half);
        for (const [at, value] of expected.entries()) expect(y.data[at]).toBeCloseTo(value, 4);
      }),
      { numRuns: 30 },
    );
  });

  test("one program serves every length: tables are inputs", async () => {
    const named = (name: keyof MonarchTables): TensorType => monarchTableTypes[name];
    const graph = trace(
      {
        x: float32(["batch", "time", 3]),
        kernel: float32(["time", 3]),
        outer: named("outer"),
        inner: named("inner"),
        scale: named("scale"),
      },
      ({ x, kernel, ...tables }) => ({
        y: longConvolution(x, kernel, tables),
        length: multiply(fill([monarchLength(tables)], 1), 1),
      }),
    );
    const program = await compile(graph, { inline: true });
    try {
      for (const time of [1, 2, 7, 48, 100]) {
        const sizes = chooseMonarchSizes(time);
        const { rows, columns } = sizes;
        expect(rows * columns).toBeGreaterThanOrEqual(time);
        const [x, kernel] = [randomValues(time, 2, time, 3), randomValues(time + 1, time, 3)];
        const values = monarchTableValues(sizes);
        const float = ({ data, shape }: { data: Float64Array; shape: number[] }) => ({
          data: Float32Array.from(data),
          shape,
        });
        const result = await program.run({
          x: float(x),
          kernel: float(kernel),
          outer: { data: values.outer, shape: [rows + 1, 2, 2 * rows] },
          inner: { data: values.inner, shape: [rows + 1, 2, columns, 2, columns] },
          scale: { data: values.scale, shape: [rows + 1, 1, 1] },
        });
        expect(result.length.shape).toEqual([2 * rows * columns]);
        for (const row of [0, 1]) {
          for (const channel of [0, 1, 2]) {
            const of = (data: ArrayLike<number>, from: number): number[] =>
              Array.from({ length: time }, (_, at) => data[(from + at) * 3 + channel]!);
            const expected = convolveByHand(
              of(x.data, row * time),
              of(kernel.data, 0),
              2 * rows * columns,
            );
            const found = of(result.y.data as Float32Array, row * time);
            for (const [at, value] of expected.entries()) expect(found[at]).toBeCloseTo(value, 4);
          }
        }
      }
    } finally {
      await program.release();
    }
  });

  test("sizes have no more multiplications than a square would have", () => {
    const cost = ({ rows, columns }: MonarchSizes) => rows * columns * (rows + 2 * columns);
    for (const length of [1, 16, 48, 128, 1000, 2048, 8192, 32768]) {
      const side = Math.ceil(Math.sqrt(length));
      expect(cost(chooseMonarchSizes(length))).toBeLessThanOrEqual(
        cost({ rows: side, columns: side }),
      );
    }
  });
});

test("tables of two transforms are refused", async () => {
  const code = await codeOf(() =>
    trace({ x: float32([4, 1]) }, ({ x }) => {
      const { inner } = monarchTables({ rows: 3, columns: 1 });
      const tables = { ...monarchTables({ rows: 2, columns: 1 }), inner };
      return { y: monarchSpectrum(x, tables) };
    }),
  );
  expect(code).toBe("tensor-shape");
});
