/** Activations of numbers beside those of graphs. */
import { expect, test } from "vitest";
import { evaluateReference, float32, trace } from "../../tensor/index.ts";
import { activateNumber } from "./activate-number.ts";
import { type Activation, activate } from "./activation.ts";

test("values that can be looked up", () => {
  // The normal distribution function at 1, -1 and -4, times the number.
  expect(activateNumber(1, "gelu")).toBeCloseTo(0.841344746069, 12);
  expect(activateNumber(-1, "gelu")).toBeCloseTo(-0.158655253931, 12);
  expect(activateNumber(-4, "gelu")).toBeCloseTo(-4 * 3.167124183312e-5, 15);
  expect(activateNumber(0, "gelu") === 0).toBe(true);
  expect(activateNumber(-1e4, "gelu") === 0).toBe(true);
});

test.each([
  ...(["silu", "gelu", "gelu-tanh", "quick-gelu"] as const),
  ...(["relu", "relu-squared", "tanh", "sigmoid", "identity"] as const),
] satisfies Activation[])("%s as its graph in double precision", (activation) => {
  const numbers = Float32Array.from({ length: 241 }, (_, at) => (at - 120) / 16);
  const graph = trace({ x: float32([numbers.length]) }, ({ x }) => ({
    y: activate(x, activation),
  }));
  const { y } = evaluateReference(graph, { x: { data: numbers, shape: [numbers.length] } });
  for (const [at, x] of numbers.entries()) {
    expect(activateNumber(x, activation)).toBeCloseTo(Number(y!.data[at]), 6);
  }
});
