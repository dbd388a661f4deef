/** Modules behind an encoder: what a vector of length 1 passes back, also from a vector of zeros. */
import { expect, test } from "vitest";
import {
  compile,
  evaluateReference,
  float32,
  gradients,
  multiply,
  sum,
  trace,
} from "../../../tensor/index.ts";
import { traceFloat32Weights } from "../../weights/trace-weights.ts";
import { applyModules } from "./sentence-modules.ts";

test("the gradient of a normalized vector is finite at zero, and leaves the other rows alone", async () => {
  const types = { x: float32([3, 2]), g: float32([3, 2]) };
  const graph = trace(types, ({ x, g }) => {
    const unit = applyModules(traceFloat32Weights(new Map()), x, [{ kind: "normalize" }]);
    return { unit, slope: gradients(sum(multiply(unit, g)), [x])[0]! };
  });
  const x = { data: [3, 4, 0, 0, 0, 2], shape: [3, 2] };
  const g = { data: [1, 0, 1, -1, 5, 1], shape: [3, 2] };
  const { unit, slope } = evaluateReference(graph, { x, g });
  const close = (found: ArrayLike<number>, expected: readonly number[]): void => {
    for (const [at, value] of expected.entries()) {
      expect(found[at]! / Math.max(1, Math.abs(value))).toBeCloseTo(
        value / Math.max(1, Math.abs(value)),
        5,
      );
    }
  };
  close(unit.data, [0.6, 0.8, 0, 0, 0, 1]);
  // By hand: (g − u·(u·g)) / length. Of zeros, as torch has it: g over its least length, 1e-12.
  const expected = [(1 - 0.36) / 5, -0.48 / 5, 1e12, -1e12, 2.5, 0];
  close(slope.data, expected);
  const program = await compile(graph, { inline: true });
  try {
    const float = ({ data, shape }: { data: number[]; shape: number[] }) => ({
      data: Float32Array.from(data),
      shape,
    });
    const found = await program.run({ x: float(x), g: float(g) });
    expect([...(found.slope.data as Float32Array)].every(Number.isFinite)).toBe(true);
    close(found.slope.data as Float32Array, expected);
  } finally {
    await program.release();
  }
});
