import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  cast,
  compile,
  float32,
  multiply,
  type ParameterBinding,
  parameter,
  trace,
} from "./index.ts";
import { normals } from "./testing/run-once.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-tensor-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
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
