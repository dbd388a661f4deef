import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { JetonError } from "../../core/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { bytesPerElement, type Dtype, readableDtypes, viewElements } from "./dtype.ts";
import { openSafetensors } from "./safetensors.ts";
import { type TensorToWrite, writeSafetensors } from "./write-safetensors.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-safetensors-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const dtypes = fc.constantFrom(...readableDtypes);
/** A tensor of random bytes: every pattern of bits of every type. */
const tensors: fc.Arbitrary<TensorToWrite[]> = fc.uniqueArray(
  fc
    .tuple(
      fc.string({ unit: "grapheme", maxLength: 12 }),
      dtypes,
      fc.array(fc.nat(5), { maxLength: 4 }),
      fc.nat(),
    )
    .filter(([name]) => name !== "__metadata__" && name !== "__proto__")
    .map(([name, dtype, shape, seed]) => {
      const elements = shape.reduce((product, dimension) => product * dimension, 1);
      const bytes = new Uint8Array(elements * bytesPerElement(dtype));
      for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(seed + i, 2654435761) >>> 24;
      return { name, dtype, shape, data: viewElements(dtype, bytes.buffer, 0, elements) };
    }),
  { selector: (tensor) => tensor.name, maxLength: 8 },
);
const bytesOf = (array: ArrayBufferView): Buffer =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength);

describe("a file that was written", () => {
  test("reads back bit for bit, whole and by rows, with its data aligned", async () => {
    const path = join(folder, "round-trip.safetensors");
    await fc.assert(
      fc.asyncProperty(
        tensors,
        fc.constantFrom(8, 64, 4096),
        fc.nat(),
        async (list, alignment, pick) => {
          await writeSafetensors(path, list, { alignment, metadata: { seed: String(pick) } });
          await using file = await openSafetensors(path);
          expect([...file.tensors.keys()].sort()).toEqual(list.map((tensor) => tensor.name).sort());
          expect(file.metadata.get("seed")).toBe(String(pick));
          for (const { name, dtype, shape, data } of list) {
            const expected = bytesOf(data as Uint8Array);
            const entry = file.tensors.get(name)!;
            expect(entry.offset % bytesPerElement(dtype)).toBe(0);
            if (expected.length % alignment === 0) expect(entry.offset % alignment).toBe(0);
            const whole = await file.read(name);
            expect(whole).toMatchObject({ name, dtype, shape });
            expect(bytesOf(whole.data).equals(expected)).toBe(true);
            if (shape.length === 0) continue;
            const start = pick % (shape[0]! + 1);
            const count = shape[0]! - start;
            const rows = await file.read(name, { rows: { start, count } });
            expect(rows.shape).toEqual([count, ...shape.slice(1)]);
            expect(
              bytesOf(rows.data).equals(
                expected.subarray(expected.length - bytesOf(rows.data).length),
              ),
            ).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("readFloat32 widens every type that float32 can hold, and fills a given array", async () => {
    const path = join(folder, "float32.safetensors");
    const values = Float32Array.of(0, 1, 2, 3, 64, 100);
    const asType = (dtype: Dtype): TensorToWrite => ({
      name: dtype,
      dtype,
      shape: [3, 2],
      data:
        dtype === "I8"
          ? Int8Array.from(values)
          : dtype === "U8" || dtype === "BOOL"
            ? Uint8Array.from(values)
            : dtype === "I16"
              ? Int16Array.from(values)
              : dtype === "U16"
                ? Uint16Array.from(values)
                : values,
    });
    const names: Dtype[] = ["F64", "F32", "F16", "BF16", "I16", "U16", "I8", "U8", "BOOL"];
    await writeSafetensors(path, [
      ...names.map(asType),
      { name: "I64", dtype: "I64", shape: [1], data: BigInt64Array.of(1n) },
    ]);
    await using file = await openSafetensors(path);
    for (const name of names) {
      expect(await file.readFloat32(name)).toEqual(values);
      expect(await file.readRows(name, 1, 2)).toEqual(values.subarray(2));
      const backing = new Float32Array(8);
      const into = backing.subarray(1, 7);
      expect(await file.readFloat32(name, { into })).toBe(into);
      expect(backing).toEqual(Float32Array.of(0, ...values, 0));
    }
    expect(await codeOf(() => file.readFloat32("I64"))).toBe("tensor-not-float");
    expect(await codeOf(() => file.readFloat32("F32", { into: new Float32Array(5) }))).toBe(
      "tensor-length-mismatch",
    );
    expect(await codeOf(() => file.readFloat32("absent"))).toBe("tensor-missing");
    for (const [start, count] of [
      [2, 2],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [Number.NaN, 1],
      [0, 2 ** 53],
    ] as const) {
      expect(await codeOf(() => file.readRows("F16", start, count))).toBe(
        "tensor-rows-out-of-range",
      );
    }
  });

  test("what is read can be transferred to a worker", async () => {
    const path = join(folder, "transfer.safetensors");
    await writeSafetensors(path, [
      { name: "a", dtype: "BF16", shape: [4], data: new Float32Array(4).fill(2) },
    ]);
    await using file = await openSafetensors(path);
    const read = await file.readFloat32("a");
    const moved = structuredClone(read, { transfer: [read.buffer as ArrayBuffer] });
    expect(moved).toEqual(new Float32Array(4).fill(2));
    expect(read.length).toBe(0);
  });

  test("data may come in parts, from functions and asynchronous generators", async () => {
    const path = join(folder, "parts.safetensors");
    const values = Float32Array.from({ length: 3_000_000 }, (_, i) => (i % 251) - 125);
    async function* parts(): AsyncGenerator<Float32Array> {
      for (let at = 0; at < values.length; at += 700_001) yield values.subarray(at, at + 700_001);
    }
    await writeSafetensors(path, [
      { name: "parts", dtype: "F16", shape: [1000, 3000], data: parts },
      { name: "later", dtype: "F64", shape: [values.length], data: async () => values },
      {
        name: "list",
        dtype: "F32",
        shape: [2, 2],
        data: () => [Float32Array.of(1, 2, 3), Float32Array.of(4)],
      },
    ]);
    await using file = await openSafetensors(path);
    expect(bytesOf(await file.readFloat32("parts")).equals(bytesOf(values))).toBe(true);
    expect(bytesOf(await file.readFloat32("later")).equals(bytesOf(values))).toBe(true);
    expect(await file.readFloat32("list")).toEqual(Float32Array.of(1, 2, 3, 4));
  });
});

describe("a write that fails", () => {
  test("leaves the former file and no temporary one", async () => {
    const inner = join(folder, "failing");
    await mkdir(inner);
    const path = join(inner, "model.safetensors");
    await writeSafetensors(path, [
      { name: "a", dtype: "F32", shape: [1], data: Float32Array.of(7) },
    ]);
    const before = await readFile(path);
    const attempts: [string, Partial<TensorToWrite>[]][] = [
      ["tensor-length-mismatch", [{ data: new Float32Array(3) }]],
      ["tensor-length-mismatch", [{ data: new Float32Array(5) }]],
      ["tensor-length-mismatch", [{ data: () => [new Float32Array(3), new Float32Array(3)] }]],
      ["tensor-array-mismatch", [{ data: new Int32Array(4) }]],
      ["tensor-array-mismatch", [{ dtype: "I8", data: new Float32Array(4) }]],
      ["tensor-name-duplicate", [{}, {}]],
      ["tensor-name-invalid", [{ name: "__metadata__" }]],
      ["tensor-name-invalid", [{ name: "half \ud800" }]],
      ["tensor-shape-invalid", [{ shape: [-1, 4] }]],
      ["tensor-shape-invalid", [{ shape: [2 ** 30, 2 ** 30] }]],
      ["tensor-dtype-unreadable", [{ dtype: "F8_E4M3" as Dtype }]],
      [
        "generator-failed",
        [
          {
            data: () => {
              throw new JetonError("no data", { code: "generator-failed" });
            },
          },
        ],
      ],
    ];
    for (const [code, changes] of attempts) {
      const list = changes.map((change) => ({
        name: "w",
        dtype: "F32" as Dtype,
        shape: [2, 2],
        data: new Float32Array(4),
        ...change,
      }));
      expect(await codeOf(() => writeSafetensors(path, list))).toBe(code);
    }
    for (const alignment of [0, 4, 48, 131072, Number.NaN]) {
      expect(await codeOf(() => writeSafetensors(path, [], { alignment }))).toBe("option-invalid");
    }
    expect(await readdir(inner)).toEqual(["model.safetensors"]);
    expect((await readFile(path)).equals(before)).toBe(true);
  });
});
