import fc from "fast-check";
import { expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import {
  add,
  compile,
  emitModel,
  evaluateReference,
  float32,
  multiply,
  rmsNorm,
  type Tensor,
  trace,
} from "./index.ts";

const kernel = "SkipSimplifiedLayerNormalization";
const emits = (graph: Parameters<typeof emitModel>[0]): boolean =>
  Buffer.from(emitModel(graph).bytes).includes(kernel);

type Residual = (x: Tensor, y: Tensor, scale: Tensor) => Record<string, Tensor>;

const traceResidual = (body: Residual, rank: number, width: number) =>
  trace(
    {
      x: float32([...new Array<string>(rank - 1).fill("rows"), width]),
      y: float32([...new Array<string>(rank - 1).fill("rows"), width]),
      scale: float32([width]),
    },
    ({ x, y, scale }) => body(x, y, scale),
  );

const residual: Residual = (x, y, scale) => {
  const sum = add(x, y);
  const normed = rmsNorm(sum, scale, { epsilon: 1e-3 });
  return { out: add(sum, multiply(normed, 3)), sum };
};

test("a residual sum and its norm are one kernel with the results of both", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 9 }), async (seed, width) => {
      const rank = 2 + (seed % 2);
      const rows = 1 + (seed % 4);
      const shape = [...new Array<number>(rank - 1).fill(rows), width];
      const random = createRandom(seed);
      const draw = (size: readonly number[]) => ({
        shape: size,
        data: Float32Array.from({ length: size.reduce((a, b) => a * b, 1) }, () => random.normal()),
      });
      const inputs = { x: draw(shape), y: draw(shape), scale: draw([width]) };
      const graph = traceResidual(residual, rank, width);
      expect(emits(graph)).toBe(true);
      const wanted = evaluateReference(
        graph,
        Object.fromEntries(
          Object.entries(inputs).map(([name, value]) => [
            name,
            { shape: value.shape, data: Float64Array.from(value.data) },
          ]),
        ),
      );
      const program = await compile(graph, { inline: true });
      try {
        const results = await program.run(inputs);
        for (const name of ["out", "sum"]) {
          for (const [index, value] of results[name]!.data.entries()) {
            expect(value).toBeCloseTo(wanted[name]!.data[index]!, 4);
          }
        }
      } finally {
        await program.release();
      }
    }),
    { numRuns: 20 },
  );
});

test("a sum that somebody needs before the norm, or that is spread out, stays by itself", () => {
  const early = traceResidual(
    (x, y, scale) => {
      const sum = add(x, y);
      const before = multiply(sum, 2);
      return { before, normed: rmsNorm(sum, scale, { epsilon: 1e-3 }) };
    },
    3,
    4,
  );
  const spread = traceResidual(
    (x, _y, scale) => ({ normed: rmsNorm(add(x, scale), scale, { epsilon: 1e-3 }) }),
    3,
    4,
  );
  const flat = traceResidual(residual, 5, 4);
  expect([early, spread, flat].map(emits)).toEqual([false, false, false]);
});
