/** Differentiation as a whole: what flows where, and how much is written down for it. */
import { describe, expect, test } from "vitest";
import { transformerStep } from "../testing/small-programs.ts";
import { type GraphNode, reachableNodes } from "./graph.ts";
import {
  add,
  argmax,
  broadcastTo,
  constant,
  evaluateReference,
  exp,
  fill,
  float32,
  type Graph,
  gradients,
  int32,
  multiply,
  reshape,
  scoped,
  stopGradient,
  sum,
  type Tensor,
  trace,
} from "./index.ts";

/** The gradients of a loss by tensors in between, evaluated in float64. */
function slopes(build: (x: Tensor) => { loss: Tensor; targets: Tensor[] }): number[][] {
  const graph = trace({ x: float32([2, 3]) }, ({ x }) => {
    const { loss, targets } = build(x);
    return Object.fromEntries(gradients(loss, targets).map((g, index) => [`g${index}`, g]));
  });
  const x = { data: [1, 2, 3, 4, 5, 6], shape: [2, 3] };
  return Object.values(evaluateReference(graph, { x })).map(({ data }) => [...data]);
}

describe("gradients by tensors in between", () => {
  test("of reshapes, repetitions and constants that later operators look through", () => {
    const [flat, row, spread, delta] = slopes((x) => {
      const flattened = reshape(x, [6]);
      const first = reshape(flattened, [3, 2]);
      const repeated = fill([2], 1);
      const wide = broadcastTo(repeated, [3, 2]);
      const shift = fill([3, 2], 0);
      const loss = sum(multiply(add(first, shift), multiply(wide, first)));
      return { loss, targets: [flattened, repeated, wide, shift] };
    }) as [number[], number[], number[], number[]];
    expect(flat).toEqual([2, 4, 6, 8, 10, 12]);
    expect(row).toEqual([1 + 9 + 25, 4 + 16 + 36]);
    expect(spread).toEqual([1, 4, 9, 16, 25, 36]);
    expect(delta).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("of a gradient: second derivatives", () => {
    const [second] = slopes((x) => {
      const cube = multiply(x, multiply(x, x));
      const [first] = gradients(sum(cube), [x]);
      return { loss: sum(first!), targets: [x] };
    }) as [number[]];
    expect(second).toEqual([1, 2, 3, 4, 5, 6].map((value) => 6 * value));
  });

  test("of a gradient that is asked for its own", () => {
    const [by] = slopes((x) => {
      const [first] = gradients(sum(exp(reshape(x, [6]))), [x]);
      return { loss: sum(multiply(reshape(first!, [3, 2]), 2)), targets: [first!] };
    }) as [number[]];
    expect(by).toEqual([2, 2, 2, 2, 2, 2]);
  });

  test("are zeros where nothing flows", () => {
    const [unused, stopped, loss] = slopes((x) => {
      const aside = exp(x);
      const total = sum(stopGradient(x));
      return { loss: total, targets: [aside, x, total] };
    }) as [number[], number[], number[]];
    expect(unused).toEqual([0, 0, 0, 0, 0, 0]);
    expect(stopped).toEqual([0, 0, 0, 0, 0, 0]);
    expect(loss).toEqual([1]);
  });
});

test("the loss is a float scalar, and what has no rule has no gradient", () => {
  const codes: unknown[] = [];
  const attempt = (loss: (x: Tensor) => Tensor) => {
    try {
      trace({ x: float32([2, 2]), n: int32([]) }, ({ x }) => ({ g: gradients(loss(x), [x])[0]! }));
    } catch (error) {
      codes.push((error as { code: string }).code);
    }
  };
  attempt((x) => x);
  attempt((x) => argmax(reshape(x, [4])));
  attempt((x) => sum(multiply(x, sum(x, { axes: [] }))));
  expect(codes).toEqual(["tensor-loss-not-scalar", "tensor-loss-not-scalar"]);
});

function nodesOf(graph: Graph): GraphNode[] {
  return reachableNodes(Object.values(graph.outputs));
}

describe("what is written down", () => {
  test("a layer more of a decoder costs no more than 127 nodes for a training step", () => {
    const two = nodesOf(transformerStep(2).graph).length;
    const three = nodesOf(transformerStep(3).graph).length;
    expect(three - two).toBeLessThanOrEqual(127);
  });

  test("nothing is multiplied by one, and no scalar is spread out to be multiplied", () => {
    const graph = trace({ x: float32(["time", 3]) }, ({ x }) => {
      const loss = sum(multiply(exp(x), constant([1, 2, 3])));
      return { loss, g: gradients(loss, [x])[0]! };
    });
    const names = nodesOf(graph).map(({ operator }) => operator.name);
    // exp, multiply and sum; then 1 · [1, 2, 3] · exp(x), where the 1 is spread to the shape only once.
    expect(names.filter((name) => name === "multiply")).toHaveLength(3);
    expect(names.filter((name) => name === "broadcastTo")).toEqual([]);
  });

  test("nodes carry the labels of their parts", () => {
    const graph = trace({ x: float32([1]) }, ({ x }) => ({
      y: scoped("outer", () => scoped("inner", () => exp(x))),
    }));
    expect(graph.outputs.y.node.label).toBe("outer/inner");
  });
});
