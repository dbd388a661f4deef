/** Every operator against the float64 reference, every gradient against finite differences. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import {
  concreteShape,
  operatorCases,
  programInputs,
} from "../testing/operator-cases/operator-cases.ts";
import type { OperatorExample } from "../testing/operator-cases/random-example.ts";
import { definedOperators } from "./graph.ts";
import {
  compile,
  evaluateReference,
  type Graph,
  gradients,
  hasReference,
  liveSessions,
  multiply,
  type ReferenceInput,
  sum,
  type Tensor,
  type TensorType,
  tensorType,
  trace,
} from "./index.ts";

const runs = 12;

/** Results by number, so that the graph has names for them. */
function traceExample(example: OperatorExample) {
  return trace(example.types, (inputs) =>
    Object.fromEntries(example.build(inputs).map((tensor, index) => [`result${index}`, tensor])),
  );
}

/** Operators that a graph holds. */
function operatorsOf(graph: Graph): Set<string> {
  const names = new Set<string>();
  const seen = new Set<unknown>();
  const visit = (tensor: Tensor): void => {
    if (seen.has(tensor.node)) return;
    seen.add(tensor.node);
    names.add(tensor.node.operator.name);
    for (const input of tensor.node.inputs) visit(input);
  };
  for (const tensor of Object.values(graph.outputs)) visit(tensor);
  return names;
}

function expectClose(
  got: ArrayLike<number>,
  wanted: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  const scale = Array.from(wanted).reduce((a, b) => Math.max(a, Math.abs(b)), 1);
  expect(got.length, what).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    const difference = Math.abs(got[i]! - wanted[i]!);
    if (!(difference <= tolerance * scale)) {
      expect.fail(`${what}: element ${i} is ${got[i]} instead of ${wanted[i]}`);
    }
  }
}

test("every operator has a reference and an example", () => {
  const exercised = new Set(["conditional", "input", "parameter", "matmulBlockQuantized"]);
  for (const { example } of operatorCases) {
    for (const name of operatorsOf(traceExample(example(1)))) exercised.add(name);
  }
  // The gradient of the pool is the only one to ask where the largest elements are.
  exercised.add("maxPool2dIndices");
  const names = [...definedOperators().keys()];
  expect(names.filter((name) => !exercised.has(name))).toEqual([]);
  const leaves = ["input", "parameter"];
  expect(names.filter((name) => !leaves.includes(name) && !hasReference(name))).toEqual([]);
});

describe("forward", () => {
  for (const [index, { operators, example, tolerance = 2e-5 }] of operatorCases.entries()) {
    test(`${index} ${operators.join(", ")}`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.nat(), async (seed) => {
          const drawn = example(seed);
          const graph = traceExample(drawn);
          const expected = evaluateReference(graph, drawn.values);
          const program = await compile(graph, { inline: true });
          try {
            const results = await program.run(programInputs(drawn));
            for (const [name, { shape, data }] of Object.entries(expected)) {
              expect(results[name]!.shape, name).toEqual(shape);
              const dtype = graph.outputs[name]!.dtype;
              expect(results[name]!.dtype, name).toBe(dtype);
              expectClose(results[name]!.data, data, dtype === "float32" ? tolerance : 1e-12, name);
            }
          } finally {
            await program.release();
          }
        }),
        { numRuns: runs },
      );
    });
  }
});

/** Loss: the first result, weighted at random, summed; with the gradients of all that it may have. */
function traceGradients(example: OperatorExample) {
  const shape = traceExample(example).outputs["result0"]!.shape;
  const types: Record<string, TensorType> = {
    ...example.types,
    weights: tensorType("float32", shape),
  };
  const numbers = concreteShape(example, shape);
  const random = createRandom(7, ...numbers);
  const count = numbers.reduce((a, b) => a * b, 1);
  const weights = Float64Array.from({ length: count }, () => Math.fround(random.normal()));
  const values = { ...example.values, weights: { data: weights, shape: numbers } };
  const body = (inputs: Readonly<Record<string, Tensor>>): Tensor =>
    sum(multiply(example.build(inputs)[0]!, inputs["weights"]!));
  const names = example.differentiable;
  return {
    values,
    loss: trace(types, (inputs) => ({ loss: body(inputs) })),
    graph: trace(types, (inputs) => {
      const targets = names.map((name) => inputs[name]!);
      const list = gradients(body(inputs), targets);
      return Object.fromEntries(names.map((name, index) => [name, list[index]!]));
    }),
  };
}

describe("gradient", () => {
  const cases = operatorCases.filter(({ example }) => example(3).differentiable.length > 0);
  for (const [index, { operators, example }] of cases.entries()) {
    test(`${index} ${operators.join(", ")}`, async () => {
      let checked = 0;
      await fc.assert(
        fc.asyncProperty(fc.nat(), async (seed) => {
          const drawn = example(seed);
          const { values, loss, graph } = traceGradients(drawn);
          const exact = evaluateReference(graph, values);
          const at = (inputs: Record<string, ReferenceInput>): number =>
            evaluateReference(loss, inputs).loss.data[0]!;
          const middle = at(values);
          const random = createRandom(seed, "finite differences");
          for (const name of drawn.differentiable) {
            const { data, shape } = drawn.values[name]!;
            expect(exact[name]!.shape).toEqual(shape);
            for (let draw = 0; draw < Math.min(data.length, 8); draw++) {
              const element = random.integer(data.length);
              const step = 1e-5 * Math.max(1, Math.abs(data[element]!));
              const moved = (by: number): number =>
                at({
                  ...values,
                  [name]: { data: data.with(element, data[element]! + by), shape },
                });
              const near = [moved(-step), moved(step)] as const;
              const far = [moved(-2 * step), moved(2 * step)] as const;
              // A maximum that changes hands within the steps has no derivative to compare with.
              const slopes = [
                (middle - near[0]) / step,
                (near[1] - middle) / step,
                (far[1] - far[0]) / (4 * step),
              ];
              const bend = Math.max(...slopes) - Math.min(...slopes);
              if (bend > 1e-3 * Math.max(1, Math.abs(slopes[2]!))) continue;
              checked++;
              // Five points: the error falls with the fourth power of the step.
              const slope = (8 * (near[1] - near[0]) - (far[1] - far[0])) / (12 * step);
              const got = exact[name]!.data[element]!;
              expectClose([got], [slope], 1e-6, `${name}[${element}] by differences`);
            }
          }
          const program = await compile(graph, { inline: true, threads: 2 });
          try {
            const inputs = programInputs({
              ...drawn,
              values,
              types: { ...drawn.types, weights: tensorType("float32", []) },
            });
            const results = await program.run(inputs);
            for (const name of drawn.differentiable) {
              expectClose(results[name]!.data, exact[name]!.data, 1e-4, name);
            }
          } finally {
            await program.release();
          }
        }),
        { numRuns: runs },
      );
      expect(checked).toBeGreaterThan(0);
    });
  }
});

test("no session stays behind", () => {
  expect(liveSessions()).toBe(0);
});
