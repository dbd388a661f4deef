import { describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import {
  add,
  bool,
  cast,
  compile,
  concat,
  conditional,
  conv2d,
  divideDimensions,
  evaluateReference,
  exp,
  fill,
  float32,
  gather,
  gradients,
  greater,
  int32,
  logSumExp,
  matmul,
  mean,
  multiply,
  nonZero,
  optional,
  parameter,
  reshape,
  scatterAdd,
  softmax,
  sum,
  type Tensor,
  type TensorType,
  tanh,
  tensorType,
  topK,
  trace,
} from "./index.ts";
import { normals, runOnce } from "./testing/run-once.ts";

/** The code of the error that a function throws. */
function codeOf(body: () => unknown): { code: string; message: string } {
  try {
    body();
  } catch (error) {
    return error as { code: string; message: string };
  }
  return expect.fail("nothing was thrown");
}
describe("optional parts", () => {
  const body = (x: Tensor, w: Tensor) => softmax(matmul(tanh(matmul(x, w)), w));
  const types = { x: float32(["time", 8]), w: float32([8, 8]) };
  const values = {
    x: { data: normals(40), shape: [5, 8] },
    w: { data: normals(64, 1), shape: [8, 8] },
  };

  test("taken, a part is bit-identical to one that is always there; not taken, a single zero", async () => {
    const plain = await runOnce(
      trace(types, ({ x, w }) => ({ y: body(x, w) })),
      values,
    );
    const graph = trace({ ...types, wanted: bool([]) }, ({ x, w, wanted }) => {
      const { y } = optional(wanted, () => ({ y: body(x, w) }));
      return { y, z: exp(x) };
    });
    const taken = await runOnce(graph, { ...values, wanted: true });
    expect(taken.y).toEqual(plain.y);
    const left = await runOnce(graph, { ...values, wanted: false });
    expect(left.y).toEqual({ dtype: "float32", shape: [1, 1], data: Float32Array.of(0) });
    expect(left.z).toEqual(taken.z);
    for (const wanted of [0, 1]) {
      const expected = evaluateReference(graph, { ...values, wanted });
      expect(expected.y.shape).toEqual(wanted === 1 ? [5, 8] : [1, 1]);
    }
  });

  test("what is not taken is not computed", async () => {
    // An index out of range ends the run, but only where the part is computed.
    const graph = trace({ wanted: bool([]), index: int32([1]) }, ({ wanted, index }) => {
      const table = add(parameter("table", [3, 2]), 1);
      return optional(wanted, () => ({ row: gather(table, index) }));
    });
    const inputs = {
      index: { data: Int32Array.of(9), shape: [1] },
      table: { data: new Float32Array(6), shape: [3, 2] },
    };
    expect((await runOnce(graph, { ...inputs, wanted: false })).row.data).toEqual(
      Float32Array.of(0),
    );
    await expect(runOnce(graph, { ...inputs, wanted: true })).rejects.toMatchObject({
      code: "tensor-run-failed",
    });
    const inRange = { ...inputs, index: { data: Int32Array.of(2), shape: [1] } };
    expect((await runOnce(graph, { ...inRange, wanted: true })).row.data).toEqual(
      Float32Array.of(1, 1),
    );
  });

  test("branches nest, capture what lies outside, and use named sizes", async () => {
    const graph = trace(
      { x: float32(["time", 4]), first: bool([]), second: bool([]) },
      ({ x, first, second }) => {
        const outer = exp(x);
        return conditional(
          first,
          () => {
            const middle = reshape(outer, ["time", 2, 2]);
            const { y } = conditional(
              second,
              () => ({ y: add(sum(middle, { axes: [2] }), mean(outer)) }),
              () => ({ y: sum(middle, { axes: [1] }) }),
            );
            return { y: multiply(y, 2), same: outer };
          },
          () => ({ y: reshape(x, [-1, 2]), same: x }),
        );
      },
    );
    const x = { data: normals(12), shape: [3, 4] };
    for (const first of [0, 1]) {
      for (const second of [0, 1]) {
        const expected = evaluateReference(graph, { x, first, second });
        const got = await runOnce(graph, { x, first, second });
        for (const name of ["y", "same"] as const) {
          expect(got[name].shape).toEqual([...expected[name].shape]);
          for (const [i, value] of expected[name].data.entries()) {
            expect(got[name].data[i]).toBeCloseTo(value, 4);
          }
        }
      }
    }
  });

  test("a tensor of a branch does not leak", () => {
    const leak = (use: (inner: Tensor) => Tensor) => () =>
      trace({ x: float32([2]), wanted: bool([]) }, ({ x, wanted }) => {
        let inner: Tensor | undefined;
        optional(wanted, () => {
          inner = exp(x);
          return { inner };
        });
        return { y: use(inner!) };
      });
    expect(codeOf(leak((inner) => inner)).code).toBe("tensor-scope");
    expect(codeOf(leak((inner) => add(inner, 1))).code).toBe("tensor-scope");
  });

  test("a placeholder may be of half precision", async () => {
    const graph = trace({ x: float32(["n"]), wanted: bool([]) }, ({ x, wanted }) => {
      const { half } = optional(wanted, () => ({ half: cast(x, "float16") }));
      const zeros = fill(["n"], 0.5, "float16");
      return { y: cast(half, "float32"), z: cast(zeros, "float32") };
    });
    const x = { data: Float32Array.of(1.5, -2), shape: [2] };
    const taken = await runOnce(graph, { x, wanted: true });
    expect([taken.y.data, taken.z.data]).toEqual([x.data, Float32Array.of(0.5, 0.5)]);
    expect((await runOnce(graph, { x, wanted: false })).y.data).toEqual(Float32Array.of(0));
  });

  test("branches must agree, and have no gradient", () => {
    const inputs = { x: float32([2]), wanted: bool([]) };
    const disagree = codeOf(() =>
      trace(inputs, ({ x, wanted }) =>
        conditional(
          wanted,
          () => ({ y: x }),
          () => ({ y: cast(x, "int32") }),
        ),
      ),
    );
    expect(disagree.code).toBe("tensor-shape");
    const differentiate = codeOf(() =>
      trace(inputs, ({ x, wanted }) => {
        const { y } = optional(wanted, () => ({ y: sum(x) }));
        return { g: gradients(sum(y), [x])[0]! };
      }),
    );
    expect(differentiate.code).toBe("tensor-not-differentiable");
  });
});

describe("errors", () => {
  test("of shapes name the operator, both shapes and the user's line", () => {
    const { code, message } = codeOf(() =>
      trace({ a: float32(["time", 3]), b: float32([4, 5]) }, ({ a, b }) => ({ y: matmul(a, b) })),
    );
    expect(code).toBe("tensor-shape");
    expect(message).toContain("matmul(float32[time, 3], float32[4, 5])");
    expect(message).toContain("inner sizes 3 and 4 differ");
    expect(message).toContain("program.test.ts");
  });

  test.each<[string, Record<string, TensorType>, (x: Record<string, Tensor>) => Tensor]>([
    ["add", { a: float32([2, 3]), b: float32([4]) }, ({ a, b }) => add(a!, b!)],
    ["add", { a: float32([2]), b: int32([2]) }, ({ a, b }) => add(a!, b!)],
    ["exp", { a: int32([2]) }, ({ a }) => exp(a!)],
    ["gather", { a: float32([2]), b: float32([2]) }, ({ a, b }) => gather(a!, b!)],
    ["reshape", { a: float32(["time", 2]) }, ({ a }) => reshape(a!, ["time", 3])],
    ["sum", { a: float32([2]) }, ({ a }) => sum(a!, { axes: [1] })],
    ["scatterAdd", { a: float32([2]), b: int32([3]) }, ({ a, b }) => scatterAdd(a!, b!, a!, 0)],
    [
      "conv2d",
      { a: float32([1, 2, 4, 4]), b: float32([1, 3, 1, 1]) },
      ({ a, b }) => conv2d(a!, b!),
    ],
    [
      "conv2d",
      { a: float32([1, 1, 2, 2]), b: float32([1, 1, 3, 3]) },
      ({ a, b }) => conv2d(a!, b!),
    ],
  ])("%s refuses what does not fit", (operator, types, body) => {
    const { code, message } = codeOf(() => trace(types, (inputs) => ({ y: body(inputs) })));
    expect(code).toBe("tensor-shape");
    expect(message).toContain(`${operator}(`);
    expect(message).toContain("program.test.ts");
  });

  test("operators outside a trace, traces inside a trace", () => {
    let kept: Tensor | undefined;
    trace({ x: float32([1]) }, ({ x }) => {
      kept = x;
      return { x };
    });
    expect(codeOf(() => exp(kept!)).code).toBe("tensor-outside-trace");
    expect(codeOf(() => trace({}, () => trace({}, () => ({})) as never)).code).toBe(
      "tensor-trace-nested",
    );
    expect(codeOf(() => trace({ x: float32([1]) }, () => ({ y: exp(kept!) }))).code).toBe(
      "tensor-scope",
    );
  });

  test("the same parameter twice must be the same", () => {
    const { code } = codeOf(() =>
      trace({}, () => ({ y: add(parameter("w", [2]), parameter("w", [1])) })),
    );
    expect(code).toBe("tensor-shape");
  });
});

describe("inputs", () => {
  const graph = trace(
    { joined: float32(["past+time", 2]), a: float32(["past", 2]), b: float32(["time", 2]) },
    ({ joined, a, b }) => ({ y: add(sum(joined), add(sum(a), sum(b))) }),
  );
  const part = (rows: number) => ({ data: new Float32Array(2 * rows).fill(1), shape: [rows, 2] });

  test("sizes are named by the first input that has them, in any order", async () => {
    const { y } = await runOnce(graph, { joined: part(5), a: part(3), b: part(2) });
    expect(y.data[0]).toBe(20);
  });

  test.each([
    ["a size that does not fit", { joined: part(4), a: part(3), b: part(2) }],
    [
      "too few elements",
      { joined: { data: new Float32Array(9), shape: [5, 2] }, a: part(3), b: part(2) },
    ],
    [
      "another type",
      { joined: part(5), a: { data: new Int32Array(6), shape: [3, 2] }, b: part(2) },
    ],
    ["a missing input", { joined: part(5), a: part(3) }],
    ["another rank", { joined: part(5), a: { data: new Float32Array(6), shape: [6] }, b: part(2) }],
    ["a scalar", { joined: part(5), a: 3, b: part(2) }],
  ])("%s is refused", async (_what, inputs) => {
    await expect(runOnce(graph, inputs as never)).rejects.toMatchObject({ code: "tensor-input" });
  });

  test("an unknown output is refused", async () => {
    const program = await compile(graph, { inline: true });
    const inputs = { joined: part(5), a: part(3), b: part(2) };
    await expect(program.run(inputs, ["z" as "y"])).rejects.toMatchObject({
      code: "tensor-output",
    });
    await program.release();
  });
});

test.each(["cpu", "wasm"] as const)(
  "half precision goes in and out as bits on %s",
  async (device) => {
    const graph = trace({ x: tensorType("float16", ["n"]) }, ({ x }) => ({
      wide: cast(x, "float32"),
      same: concat([x, x], 0),
    }));
    // 1.5, -2, infinity and a NaN with a payload.
    const data = Uint16Array.of(0x3e00, 0xc000, 0x7c00, 0x7e01);
    const inputs = [data, new Uint16Array([7, 7, ...data, 7]).subarray(2, 6)];
    const Halves = (globalThis as { Float16Array?: new (buffer: ArrayBuffer) => unknown })
      .Float16Array;
    if (Halves) inputs.push(new Halves(data.buffer) as Uint16Array<ArrayBuffer>);
    for (const inline of [true, false]) {
      const program = await compile(graph, { device, inline });
      for (const x of inputs) {
        const { wide, same } = await program.run({ x: { data: x, shape: [4] } });
        expect([...wide.data]).toEqual([1.5, -2, Number.POSITIVE_INFINITY, Number.NaN]);
        expect(same).toEqual({
          dtype: "float16",
          shape: [8],
          data: Uint16Array.of(...data, ...data),
        });
      }
      await program.release();
    }
  },
);

test("repeated indices add up exactly with two threads", async () => {
  const [rows, width, count] = [7, 64, 5000];
  const random = createRandom(11);
  const indices = Int32Array.from({ length: count }, () => random.integer(rows));
  // Whole numbers, so that the order of a sum does not matter and a lost update shows.
  const updates = Float32Array.from({ length: count * width }, () => random.integer(9) - 4);
  const graph = trace(
    { table: float32([rows, width]), indices: int32(["n"]), weights: float32(["n", width]) },
    ({ table, indices: at, weights }) => {
      const loss = sum(multiply(gather(table, at), weights));
      return { g: gradients(loss, [table])[0]! };
    },
  );
  const expected = new Float32Array(rows * width);
  for (const [i, row] of indices.entries()) {
    for (let j = 0; j < width; j++) expected[row * width + j]! += updates[i * width + j]!;
  }
  const inputs = {
    table: { data: new Float32Array(rows * width), shape: [rows, width] },
    indices: { data: indices, shape: [count] },
    weights: { data: updates, shape: [count, width] },
  };
  for (let run = 0; run < 3; run++) {
    const { g } = await runOnce(graph, inputs, new Map(), 2);
    expect(g.data).toEqual(expected);
  }
});

test("fresh sizes: positions of what is not zero, never empty", async () => {
  const graph = trace({ x: bool(["n"]) }, ({ x }) => nonZero(x));
  const run = async (...x: number[]) => {
    const { indices, count } = await runOnce(graph, {
      x: { data: Uint8Array.from(x), shape: [x.length] },
    });
    return [[...(indices.data as Int32Array)], count.data[0]];
  };
  expect(await run(0, 1, 1, 0, 1)).toEqual([[1, 2, 4], 3]);
  expect(await run(0, 0, 0)).toEqual([[0], 0]);
});

test("a row of nothing but -infinity has no logarithm of its sum, and no NaN", async () => {
  const graph = trace({ x: float32(["n", 2]) }, ({ x }) => ({ y: logSumExp(x, { axes: [1] }) }));
  const data = Float32Array.of(-Infinity, -Infinity, 1, -Infinity, 90, 90);
  const { y } = await runOnce(graph, { x: { data, shape: [3, 2] } });
  expect([...y.data].map((value) => Math.fround(value))).toEqual([
    -Infinity,
    1,
    Math.fround(90 + Math.log(2)),
  ]);
});

test("a fresh size lives inside a branch", async () => {
  const graph = trace({ x: float32(["n"]), wanted: bool([]) }, ({ x, wanted }) =>
    optional(wanted, () => {
      const { indices } = nonZero(greater(x, 0));
      const rows = reshape(gather(x, indices), [-1, 1]);
      return { best: topK(reshape(matmul(rows, rows, { transposeB: true }), [-1]), 1).values };
    }),
  );
  const x = { data: Float32Array.of(-1, 3, 2, -5), shape: [4] };
  expect((await runOnce(graph, { x, wanted: true })).best.data).toEqual(Float32Array.of(9));
  expect((await runOnce(graph, { x, wanted: false })).best.data).toEqual(Float32Array.of(0));
});

test("results that are undefined are left out; an input may be a result, also twice", async () => {
  const graph = trace({ x: float32([2]) }, ({ x }) => ({
    y: undefined as unknown as Tensor,
    same: x,
    again: x,
    w: parameter("w", [1]),
  }));
  expect(Object.keys(graph.outputs)).toEqual(["same", "again", "w"]);
  const data = Float32Array.of(1, 2);
  const results = await runOnce(graph, {
    x: { data, shape: [2] },
    w: { data: Float32Array.of(3), shape: [1] },
  });
  expect([results.same.data, results.again.data, results.w.data[0]]).toEqual([data, data, 3]);
});

test("types of inputs are what they say", () => {
  expect(tensorType("float32", ["time+past"]).shape).toEqual(["past+time"]);
  expect(divideDimensions("2*batch*time", "time")).toBe("2*batch");
});
