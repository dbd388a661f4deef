/** Programs: inputs, optional parts, errors, external data, quantized products, threads, release. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
  liveSessions,
  logSumExp,
  matmul,
  matmulBlockQuantized,
  matmulChannelQuantized,
  mean,
  multiply,
  nonZero,
  optional,
  type ParameterBinding,
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

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-tensor-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

function normals(count: number, ...keys: number[]): Float32Array {
  const random = createRandom(5, ...keys);
  return Float32Array.from({ length: count }, () => random.normal());
}

/** Runs once, on this thread, and releases. */
async function runOnce<Inputs extends string, Outputs extends string>(
  graph: Parameters<typeof compile<Inputs, Outputs>>[0],
  inputs: Parameters<Awaited<ReturnType<typeof compile<Inputs, Outputs>>>["run"]>[0],
  parameters: ReadonlyMap<string, ParameterBinding> = new Map(),
  threads = 1,
) {
  const program = await compile(graph, { inline: true, parameters, threads });
  try {
    return await program.run(inputs);
  } finally {
    await program.release();
  }
}

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

describe("external data", () => {
  test("weights lie in files of two folders, at an offset, in three formats", async () => {
    const values = [1.5, -2, 0.375, 1024, 0, -0.0625];
    const head = 64;
    const f32 = Float32Array.from(values);
    const bf16 = Uint16Array.from(new Uint32Array(f32.buffer), (bits) => bits >>> 16);
    // 1.5, -2, 0.375, 1024, 0, -0.0625 as IEEE half precision.
    const f16 = Uint16Array.of(0x3e00, 0xc000, 0x3600, 0x6400, 0x0000, 0xac00);
    const files = [
      ["one", "a.bin", f32],
      ["two", "b.bin", bf16],
      ["two/deep", "c.bin", f16],
    ] as const;
    const bindings = new Map<string, ParameterBinding>();
    for (const [index, [where, name, data]] of files.entries()) {
      await mkdir(join(folder, where), { recursive: true });
      const file = join(folder, where, name);
      const bytes = new Uint8Array(data.buffer);
      await writeFile(file, Buffer.concat([Buffer.alloc(head, 255), bytes, Buffer.alloc(9, 255)]));
      bindings.set(`w${index}`, { kind: "file", file, offset: head, length: bytes.length });
    }
    const graph = trace({ x: float32([1]) }, ({ x }) => ({
      y0: multiply(parameter("w0", [2, 3]), x),
      y1: multiply(cast(parameter("w1", [2, 3], "bfloat16"), "float32"), x),
      y2: multiply(cast(parameter("w2", [2, 3], "float16"), "float32"), x),
    }));
    for (const [device, inline] of [
      ["cpu", true],
      ["cpu", false],
      ["wasm", true],
    ] as const) {
      const program = await compile(graph, { parameters: bindings, inline, device });
      const results = await program.run({ x: { data: Float32Array.of(2), shape: [1] } });
      for (const name of ["y0", "y1", "y2"] as const) {
        expect([...results[name].data].map((value) => value / 2)).toEqual(values);
      }
      await program.release();
    }
  });

  test("large arrays in memory are handed over beside the model", async () => {
    const buffer = normals(300_004);
    const data = buffer.subarray(4);
    const graph = trace({ x: float32([]) }, ({ x }) => ({
      y: multiply(parameter("w", [300_000]), x),
    }));
    for (const inline of [true, false]) {
      const program = await compile(graph, {
        parameters: new Map([["w", { kind: "data", data }]]),
        inline,
      });
      const { y } = await program.run({ x: 2 });
      expect(y.data).toEqual(data.map((value) => value * 2));
      await program.release();
    }
  });

  test("beside weights in a file", async () => {
    const large = normals(300_000);
    const small = normals(10);
    const inFile = normals(300_000, 1);
    const file = join(folder, "beside.bin");
    await writeFile(file, new Uint8Array(inFile.buffer));
    const graph = trace({ x: float32([]) }, ({ x }) => ({
      y: multiply(parameter("large", [300_000]), x),
      z: multiply(parameter("inFile", [300_000]), x),
      w: multiply(parameter("small", [10]), x),
    }));
    const parameters = new Map<string, ParameterBinding>([
      ["inFile", { kind: "file", file, offset: 0, length: inFile.byteLength }],
      ["large", { kind: "data", data: large }],
      ["small", { kind: "data", data: small }],
    ]);
    for (const inline of [true, false]) {
      const program = await compile(graph, { parameters, inline });
      const { y, z, w } = await program.run({ x: 2 });
      expect(y.data).toEqual(large.map((value) => value * 2));
      expect(z.data).toEqual(inFile.map((value) => value * 2));
      expect(w.data).toEqual(small.map((value) => value * 2));
      await program.release();
    }
  });

  test("a file that is missing ends in an error", async () => {
    const graph = trace({ x: float32([]) }, ({ x }) => ({ y: multiply(parameter("w", [2]), x) }));
    const file = join(folder, "nothing.bin");
    const parameters = new Map<string, ParameterBinding>([
      ["w", { kind: "file", file, offset: 0, length: 8 }],
    ]);
    await expect(compile(graph, { parameters, inline: true })).rejects.toMatchObject({
      code: "tensor-session-refused",
    });
    await expect(compile(graph, { parameters })).rejects.toMatchObject({
      code: "tensor-session-refused",
    });
  });
});

describe("programs in worker threads", () => {
  const graph = trace({ table: float32([3]), index: int32(["n"]) }, ({ table, index }) => ({
    y: gather(table, index),
  }));
  const inputs = (...index: number[]) => ({
    table: { data: Float32Array.of(5, 6, 7), shape: [3] },
    index: { data: Int32Array.from(index), shape: [index.length] },
  });

  test("run, fail with a code, run again, and refuse after release", async () => {
    const program = await compile(graph);
    expect((await program.run(inputs(2, 0))).y.data).toEqual(Float32Array.of(7, 5));
    await expect(program.run(inputs(8))).rejects.toMatchObject({ code: "tensor-run-failed" });
    const [a, b] = await Promise.all([program.run(inputs(1)), program.run(inputs(2))]);
    expect([a.y.data[0], b.y.data[0]]).toEqual([6, 7]);
    await program.release();
    await expect(program.run(inputs(1))).rejects.toMatchObject({ code: "service-closed" });
  });

  test("release during a run waits for it; releasing twice is safe", async () => {
    const program = await compile(graph);
    const running = program.run(inputs(1, 1, 2));
    const releases = [program.release(), program.release()];
    expect((await running).y.data).toEqual(Float32Array.of(6, 6, 7));
    await Promise.all(releases);
    await program.release();
  });

  test("a part of a large array crosses alone", async () => {
    const program = await compile(graph);
    const arena = new Float32Array(1000).fill(4);
    const { y } = await program.run({
      ...inputs(0),
      table: { data: arena.subarray(9, 12), shape: [3] },
    });
    expect(y.data).toEqual(Float32Array.of(4));
    await program.release();
  });

  test("an idle program does not keep the process alive", async () => {
    const script = join(folder, "idle.mts");
    const index = new URL("./index.ts", import.meta.url).href;
    await writeFile(
      script,
      `import { compile, exp, float32, trace } from ${JSON.stringify(index)};
      const program = await compile(trace({ x: float32([]) }, ({ x }) => ({ y: exp(x) })));
      const { y } = await program.run({ x: 0 });
      console.log("result", y.data[0]);`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", script], {
      timeout: 50_000,
      cwd: new URL("../..", import.meta.url).pathname,
    });
    expect(stdout).toContain("result 1");
  });

  test("live sessions are counted until they are released", async () => {
    const before = liveSessions();
    const programs = await Promise.all([1, 2, 3].map(() => compile(graph, { inline: true })));
    expect(liveSessions()).toBe(before + 3);
    for (const program of programs) {
      await program.release();
      await program.release();
    }
    expect(liveSessions()).toBe(before);
    {
      await using program = await compile(graph, { inline: true });
      expect((await program.run(inputs(1))).y.data[0]).toBe(6);
    }
    expect(liveSessions()).toBe(before);
  });
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
