import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { JetonError } from "../../core/index.ts";
import { bytesPerElement, type Dtype, readableDtypes, viewElements } from "./dtype.ts";
import { openSafetensors } from "./safetensors.ts";
import { parseSafetensorsHeader, type SafetensorsHeader } from "./safetensors-header.ts";
import { type TensorToWrite, writeSafetensors } from "./write-safetensors.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-safetensors-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (!JetonError.isInstance(error)) throw error;
    return error.code;
  }
  return "accepted";
}

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

/** A file made of a header of any text and `dataLength` bytes. */
function build(header: string | Uint8Array, dataLength = 0, declared?: bigint): Buffer {
  const json = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(declared ?? BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(dataLength)]);
}

const one = (change: Record<string, unknown> = {}): Record<string, unknown> => ({
  dtype: "F32",
  shape: [2],
  data_offsets: [0, 8],
  ...change,
});

describe("a hostile file", () => {
  const cases: [string, string, Buffer][] = [
    ["an empty file", "safetensors-truncated", Buffer.alloc(0)],
    ["seven bytes", "safetensors-truncated", Buffer.alloc(7)],
    ["a header longer than the file", "safetensors-truncated", build("{}", 0, 3n)],
    ["a header beyond 100 MB", "safetensors-header-too-long", build("{}", 0, 100_000_001n)],
    ["a header of 2^64 - 1 bytes", "safetensors-header-too-long", build("{}", 0, 2n ** 64n - 1n)],
    ["a header of no bytes", "safetensors-header-invalid", build("")],
    ["a header that is not JSON", "safetensors-header-invalid", build("{a}")],
    [
      "a header that is not UTF-8",
      "safetensors-header-invalid",
      build(Buffer.from([0x7b, 0xff, 0x7d])),
    ],
    ["a byte order mark", "safetensors-header-invalid", build("\ufeff{}")],
    ["an array as header", "safetensors-header-invalid", build("[]")],
    ["deep nesting", "safetensors-header-invalid", build("[".repeat(100_000))],
    ["a tensor that is no object", "safetensors-header-invalid", build('{"a":1}')],
    ["__proto__ as a name", "safetensors-header-invalid", build('{"__proto__":{}}')],
    ["metadata that is no object", "safetensors-header-invalid", build('{"__metadata__":[]}')],
    ["metadata with a number", "safetensors-header-invalid", build('{"__metadata__":{"a":1}}')],
    [
      "two tensors of one name",
      "safetensors-duplicate-name",
      build(`{"a":${JSON.stringify(one())},"\\u0061":${JSON.stringify(one())}}`, 8),
    ],
    [
      "two shapes of one tensor",
      "safetensors-duplicate-name",
      build('{"a":{"dtype":"F32","shape":[2],"shape":[1],"data_offsets":[0,8]}}', 8),
    ],
    ...(
      [
        ["no dtype", "safetensors-header-invalid", { dtype: undefined }],
        ["no shape", "safetensors-shape-invalid", { shape: undefined }],
        ["a negative dimension", "safetensors-shape-invalid", { shape: [-2] }],
        ["two negative dimensions", "safetensors-shape-invalid", { shape: [-1, -2] }],
        ["a fractional dimension", "safetensors-shape-invalid", { shape: [0.5, 4] }],
        ["a text as dimension", "safetensors-shape-invalid", { shape: ["2"] }],
        ["a null as dimension", "safetensors-shape-invalid", { shape: [null] }],
        ["a dimension beyond 2^53", "safetensors-shape-invalid", { shape: [2 ** 53] }],
        ["a product beyond 2^53", "safetensors-shape-invalid", { shape: [2 ** 30, 2 ** 30] }],
        [
          "a product beyond 2^64 that wraps to 2",
          "safetensors-shape-invalid",
          { shape: [2 ** 32, 2 ** 32, 2] },
        ],
        ["too small a shape", "safetensors-size-mismatch", { shape: [1] }],
        ["too large a shape", "safetensors-size-mismatch", { shape: [3] }],
        ["another dtype's size", "safetensors-size-mismatch", { dtype: "BF16" }],
        ["a half byte", "safetensors-size-mismatch", { dtype: "F4", shape: [15] }],
        ["no offsets", "safetensors-offsets-invalid", { data_offsets: undefined }],
        ["one offset", "safetensors-offsets-invalid", { data_offsets: [8] }],
        ["offsets in reverse", "safetensors-offsets-invalid", { data_offsets: [8, 0] }],
        ["a negative offset", "safetensors-offsets-invalid", { data_offsets: [-8, 0] }],
        ["a fractional offset", "safetensors-offsets-invalid", { data_offsets: [0.5, 8.5] }],
        [
          "offsets beyond the file",
          "safetensors-truncated",
          { shape: [200], data_offsets: [0, 800] },
        ],
        ["a gap at the start", "safetensors-offsets-gap", { shape: [1], data_offsets: [4, 8] }],
        [
          "data after the last tensor",
          "safetensors-trailing-data",
          { shape: [1], data_offsets: [0, 4] },
        ],
      ] as [string, string, Record<string, unknown>][]
    ).map(([name, code, change]): [string, string, Buffer] => [
      name,
      code,
      build(JSON.stringify({ a: one(change) }), 8),
    ]),
    [
      "a shape that is Infinity",
      "safetensors-header-invalid",
      build('{"a":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,8]}}', 8),
    ],
    [
      "a shape that overflows to infinity",
      "safetensors-shape-invalid",
      build('{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}', 8),
    ],
    [
      "a dimension of -0",
      "safetensors-shape-invalid",
      build('{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'),
    ],
    [
      "overlapping tensors",
      "safetensors-offsets-overlap",
      build(JSON.stringify({ a: one(), b: one({ data_offsets: [4, 12] }) }), 12),
    ],
    [
      "one tensor twice",
      "safetensors-offsets-overlap",
      build(JSON.stringify({ a: one(), b: one() }), 8),
    ],
    [
      "a gap between tensors",
      "safetensors-offsets-gap",
      build(JSON.stringify({ a: one(), b: one({ data_offsets: [12, 20] }) }), 20),
    ],
  ];
  test.each(cases)("%s: %s", async (_, code, bytes) => {
    const path = join(folder, "hostile.safetensors");
    await writeFile(path, bytes);
    expect(await codeOf(() => openSafetensors(path))).toBe(code);
  });

  test("a missing file, a folder, a link to itself", async () => {
    expect(await codeOf(() => openSafetensors(join(folder, "absent.safetensors")))).toBe(
      "file-not-found",
    );
    expect(await codeOf(() => openSafetensors(folder))).toBe("file-is-folder");
    const loop = join(folder, "loop.safetensors");
    await symlink(loop, loop);
    expect(await codeOf(() => openSafetensors(loop))).toBe("file-link-loop");
  });

  test("a file that shrinks after it was opened, and one that was closed", async () => {
    const path = join(folder, "shrinking.safetensors");
    await writeSafetensors(path, [
      { name: "a", dtype: "F32", shape: [1000], data: new Float32Array(1000) },
    ]);
    const file = await openSafetensors(path);
    await truncate(path, file.size - 4);
    expect(await codeOf(() => file.readFloat32("a"))).toBe("safetensors-truncated");
    expect(await file.readRows("a", 0, 10)).toEqual(new Float32Array(10));
    await file.close();
    await file.close();
    expect(await codeOf(() => file.readFloat32("a"))).toBe("file-closed");
  });

  test("types that cannot be read are listed, and reading them says so", async () => {
    const path = join(folder, "listed.safetensors");
    const header = {
      a: { dtype: "F8_E4M3", shape: [8], data_offsets: [0, 8] },
      b: { dtype: "F4", shape: [4, 2], data_offsets: [8, 12] },
      c: { dtype: "Q9_TOMORROW", shape: [3], data_offsets: [12, 14] },
    };
    await writeFile(path, build(JSON.stringify(header), 14));
    await using file = await openSafetensors(path);
    expect(
      [...file.tensors.values()].map(({ name, dtype, length }) => [name, dtype, length]),
    ).toEqual([
      ["a", "F8_E4M3", 8],
      ["b", "F4", 4],
      ["c", "Q9_TOMORROW", 2],
    ]);
    for (const name of file.tensors.keys()) {
      expect(await codeOf(() => file.read(name))).toBe("tensor-dtype-unreadable");
    }
  });

  test("a header of several megabytes opens", async () => {
    const count = 60_000;
    const header: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      header[`model.layers.${i}.${"x".repeat(40)}.weight`] = {
        dtype: "U8",
        shape: [1],
        data_offsets: [i, i + 1],
      };
    }
    const path = join(folder, "long-header.safetensors");
    await writeFile(path, build(JSON.stringify(header), count));
    await using file = await openSafetensors(path);
    expect(file.tensors.size).toBe(count);
    expect(file.tensors.get(`model.layers.59999.${"x".repeat(40)}.weight`)?.offset).toBe(
      file.size - 1,
    );
  });

  test("a sparse file beyond 4 GiB is addressed rightly", async () => {
    const path = join(folder, "large.safetensors");
    const rows = 3 * 2 ** 20;
    const bytes = rows * 2048;
    const json = Buffer.from(
      JSON.stringify({
        big: { dtype: "BF16", shape: [rows, 1024], data_offsets: [0, bytes] },
        last: { dtype: "F32", shape: [1], data_offsets: [bytes, bytes + 4] },
      }),
    );
    const handle = await open(path, "w");
    await handle.write(build(json), 0);
    await handle.write(Buffer.from(Float32Array.of(1.5).buffer), 0, 4, 8 + json.length + bytes);
    await handle.write(Buffer.from([0x80, 0x3f]), 0, 2, 8 + json.length + bytes - 2);
    await handle.close();
    await using file = await openSafetensors(path);
    expect(await file.readFloat32("last")).toEqual(Float32Array.of(1.5));
    expect((await file.readRows("big", rows - 1, 1))[1023]).toBe(1);
  });
});

describe("the header's parser, fuzzed", () => {
  const valid = {
    __metadata__: { format: "pt" },
    "model.embed.weight": { dtype: "F32", shape: [4, 2], data_offsets: [0, 32] },
    "model.norm.weight": { dtype: "BF16", shape: [4], data_offsets: [32, 40] },
    scalar: { dtype: "I64", shape: [], data_offsets: [40, 48] },
    empty: { dtype: "F16", shape: [0, 7], data_offsets: [48, 48] },
  };
  const dataLength = 48;

  /** Invariants of every accepted header. */
  const checkAccepted = (
    header: SafetensorsHeader,
    headerLength: number,
    fileSize: number,
  ): void => {
    let covered = 0;
    for (const [key, { name, shape, offset, length }] of header.tensors) {
      expect(key).toBe(name);
      expect(offset).toBeGreaterThanOrEqual(8 + headerLength);
      expect(offset + length).toBeLessThanOrEqual(fileSize);
      expect(shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0)).toBe(
        true,
      );
      covered += length;
    }
    expect(covered).toBe(fileSize - 8 - headerLength);
  };
  const parseOrRefuse = (bytes: Uint8Array, fileSize: number): void => {
    let header: SafetensorsHeader;
    try {
      header = parseSafetensorsHeader(bytes, fileSize, "fuzzed");
    } catch (error) {
      if (!JetonError.isInstance(error)) throw error;
      expect(error.code).toMatch(/^safetensors-/);
      return;
    }
    checkAccepted(header, bytes.length, fileSize);
  };

  test("accepts the header that the mutations start from", () => {
    const bytes = Buffer.from(JSON.stringify(valid));
    const fileSize = 8 + bytes.length + dataLength;
    checkAccepted(parseSafetensorsHeader(bytes, fileSize, "valid"), bytes.length, fileSize);
  });

  test("bytes changed, cut and doubled", () => {
    const original = Buffer.from(JSON.stringify(valid));
    const edit = fc.record({
      at: fc.nat(original.length),
      remove: fc.nat(12),
      insert: fc.oneof(
        fc.uint8Array({ maxLength: 4 }),
        fc
          .constantFrom(
            "0",
            "9",
            "-",
            ".5",
            "e99",
            "\\",
            '"',
            "{",
            "}",
            "[",
            "]",
            ",",
            '"a":',
            "null",
          )
          .map((text) => Buffer.from(text)),
      ),
    });
    fc.assert(
      fc.property(
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: -8, max: 8 }),
        (edits, slack) => {
          let bytes: Buffer = original;
          for (const { at, remove, insert } of edits) {
            bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
          }
          parseOrRefuse(bytes, 8 + bytes.length + dataLength + slack);
        },
      ),
      { numRuns: 10_000 },
    );
  });

  test("values replaced by wrong ones of every kind", () => {
    const number = fc.oneof(
      fc.integer({ min: -2, max: 60 }),
      fc.double(),
      fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64, -(2 ** 53), 1e308),
    );
    const anything = fc.oneof(
      number,
      fc.jsonValue({ maxDepth: 2 }),
      fc.array(number, { maxLength: 5 }),
    );
    const tensor = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom("F32", "BF16", "I64", "F4", "F8_E5M2", "?"), anything),
        shape: fc.oneof(fc.array(number, { maxLength: 4 }), anything),
        data_offsets: fc.oneof(fc.tuple(number, number), anything),
        extra: anything,
      },
      { requiredKeys: [] },
    );
    const header = fc.dictionary(
      fc.constantFrom("__metadata__", "a", "b", "model.norm.weight", "constructor", "toString"),
      fc.oneof(tensor, anything),
    );
    fc.assert(
      fc.property(header, fc.nat(64), fc.boolean(), (changes, size, keep) => {
        const bytes = Buffer.from(JSON.stringify(keep ? { ...valid, ...changes } : changes));
        parseOrRefuse(bytes, 8 + bytes.length + size);
      }),
      { numRuns: 5000 },
    );
  });
});
