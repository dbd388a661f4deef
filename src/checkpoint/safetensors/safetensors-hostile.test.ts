import { mkdtemp, open, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { JetonError } from "../../core/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { openSafetensors } from "./safetensors.ts";
import { parseSafetensorsHeader, type SafetensorsHeader } from "./safetensors-header.ts";
import { writeSafetensors } from "./write-safetensors.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-safetensors-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

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
