import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  unlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOf } from "../testing/code-of.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { readConfig, textConfig } from "./config.ts";
import { openSafetensors } from "./safetensors/safetensors.ts";
import {
  type TensorToWrite,
  writeSafetensors,
  writeShardedSafetensors,
} from "./safetensors/write-safetensors.ts";

let root: string;
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "jeton-checkpoint-")));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const tensor = (name: string, value: number, rows = 8): TensorToWrite => ({
  name,
  dtype: "F32",
  shape: [rows, 4],
  data: new Float32Array(rows * 4).fill(value),
});
const index = (weightMap: unknown): string =>
  JSON.stringify({ metadata: {}, weight_map: weightMap });

let folders = 0;
/** A fresh folder with the files given by name. */
async function makeFolder(files: Record<string, string>): Promise<string> {
  const folder = join(root, `case-${folders++}`);
  await mkdir(folder);
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

describe("openCheckpoint", () => {
  test("one file, with its configuration", async () => {
    const folder = await makeFolder({
      "config.json": '{"model_type":"llama","rope_theta":1e4}',
      "generation_config.json": '{"eos_token_id":[2,3]}',
    });
    await writeSafetensors(join(folder, "model.safetensors"), [tensor("a", 1), tensor("b", 2)]);
    await using checkpoint = await openCheckpoint(folder);
    expect(checkpoint.folder).toBe(folder);
    expect(checkpoint.config).toEqual({ model_type: "llama", rope_theta: 10000 });
    expect(checkpoint.generationConfig).toEqual({ eos_token_id: [2, 3] });
    expect(checkpoint.files).toEqual([join(folder, "model.safetensors")]);
    expect(await checkpoint.readRows("b", 7, 1)).toEqual(new Float32Array(4).fill(2));
    expect((await checkpoint.read("a")).shape).toEqual([8, 4]);
    expect(await codeOf(() => checkpoint.readFloat32("c"))).toBe("tensor-missing");
    expect(await codeOf(() => checkpoint.readRows("a", 8, 1))).toBe("tensor-rows-out-of-range");
  });

  test("shards behind links, as in the hub's cache: entries hold the real paths", async () => {
    const blobs = await makeFolder({});
    const folder = await makeFolder({
      "config.json": "{}",
      "model.safetensors.index.json": index({ a: "s1.safetensors", b: "s2.safetensors" }),
    });
    await writeSafetensors(join(blobs, "0a1b"), [tensor("a", 1), tensor("unlisted", 3)]);
    await writeSafetensors(join(blobs, "2c3d"), [tensor("b", 2)]);
    await symlink(join("..", blobs.slice(root.length + 1), "0a1b"), join(folder, "s1.safetensors"));
    await symlink(join("..", blobs.slice(root.length + 1), "2c3d"), join(folder, "s2.safetensors"));
    await using checkpoint = await openCheckpoint(folder);
    expect(checkpoint.tensors.get("a")?.file).toBe(join(blobs, "0a1b"));
    expect(checkpoint.tensors.get("b")?.file).toBe(join(blobs, "2c3d"));
    expect(await checkpoint.readFloat32("b")).toEqual(new Float32Array(32).fill(2));
    expect(await checkpoint.readFloat32("unlisted")).toEqual(new Float32Array(32).fill(3));
    const { file, offset } = checkpoint.tensors.get("a")!;
    expect((await readFile(file)).readFloatLE(offset)).toBe(1);
  });

  const config = { "config.json": "{}" };
  const cases: [string, string, Record<string, string>][] = [
    ["no configuration", "file-not-found", {}],
    ["no weights", "checkpoint-weights-missing", config],
    ["a pickle", "checkpoint-format-unsupported", { ...config, "pytorch_model.bin": "" }],
    ["weights cut off", "safetensors-truncated", { ...config, "model.safetensors": "1234567" }],
    [
      "an index that is no JSON",
      "config-invalid",
      { ...config, "model.safetensors.index.json": "{" },
    ],
    [
      "an index without a map",
      "checkpoint-index-invalid",
      { ...config, "model.safetensors.index.json": "{}" },
    ],
    ...[
      "../s.safetensors",
      "/s.safetensors",
      "a/s.safetensors",
      "..\\s.safetensors",
      "C:s.safetensors",
      "..",
      "s.bin",
      "s\0.safetensors",
      "",
    ].map((name): [string, string, Record<string, string>] => [
      `the shard ${JSON.stringify(name)}`,
      "checkpoint-shard-name-invalid",
      { ...config, "model.safetensors.index.json": index({ a: name }) },
    ]),
    [
      "a shard that is a number",
      "checkpoint-shard-name-invalid",
      { ...config, "model.safetensors.index.json": index({ a: 1 }) },
    ],
    [
      "__proto__ in the map",
      "config-invalid",
      { ...config, "model.safetensors.index.json": '{"weight_map":{"__proto__":"s.safetensors"}}' },
    ],
    [
      "a missing shard",
      "checkpoint-shard-missing",
      { ...config, "model.safetensors.index.json": index({ a: "s.safetensors" }) },
    ],
  ];
  test.each(cases)("%s: %s", async (_, code, files) => {
    const folder = await makeFolder(files);
    expect(await codeOf(() => openCheckpoint(folder))).toBe(code);
  });

  test("a tensor that its shard does not hold, and one that two shards hold", async () => {
    const folder = await makeFolder(config);
    await writeSafetensors(join(folder, "s1.safetensors"), [tensor("a", 1), tensor("twice", 1)]);
    await writeSafetensors(join(folder, "s2.safetensors"), [tensor("b", 1), tensor("twice", 2)]);
    const path = join(folder, "model.safetensors.index.json");
    await writeFile(path, index({ a: "s2.safetensors" }));
    expect(await codeOf(() => openCheckpoint(folder))).toBe("checkpoint-tensor-missing");
    await writeFile(path, index({ a: "s1.safetensors", b: "s2.safetensors" }));
    expect(await codeOf(() => openCheckpoint(folder))).toBe("checkpoint-tensor-ambiguous");
    await writeFile(
      path,
      index({ a: "s1.safetensors", b: "s2.safetensors", twice: "s2.safetensors" }),
    );
    await using checkpoint = await openCheckpoint(folder);
    expect((await checkpoint.readFloat32("twice"))[0]).toBe(2);
  });

  test("no folder", async () => {
    expect(await codeOf(() => openCheckpoint(join(root, "absent")))).toBe("checkpoint-not-found");
    const folder = await makeFolder({ "a.txt": "" });
    expect(await codeOf(() => openCheckpoint(join(folder, "a.txt")))).toBe("checkpoint-not-found");
  });

  const data = process.env["JETON_DATA"];
  if (!data) console.info("skipped: the checkpoints of JETON_DATA, which is unset");
  test.skipIf(!data)("the checkpoints of the data folder: F32, BF16, F16, sharded", async () => {
    const expected = [
      ["tinystories-260k", "F32", 47, 1],
      ["architectures/llama3-rope", "F32", undefined, 1],
      ["architectures/gemma2", "BF16", 46, 1],
      ["architectures/mistral-window", "F16", 30, 1],
      ["architectures/qwen2", "F32", 50, 2],
    ] as const;
    for (const [name, dtype, count, files] of expected) {
      await using checkpoint = await openCheckpoint(join(data!, "models", name));
      expect(checkpoint.files).toHaveLength(files);
      if (count) expect(checkpoint.tensors.size).toBe(count);
      for (const entry of checkpoint.tensors.values()) {
        expect(entry.dtype).toBe(dtype);
        const values = await checkpoint.readFloat32(entry.name);
        expect(values.every(Number.isFinite)).toBe(true);
        expect(values.some((value) => value !== 0)).toBe(true);
      }
    }
  });
});

describe("writeShardedSafetensors", () => {
  const list = (value: number, count: number): TensorToWrite[] =>
    Array.from({ length: count }, (_, i) => tensor(`layers.${i}.weight`, value + i, 8));

  test("shards keep the limit and the order, and open as one checkpoint", async () => {
    const folder = await makeFolder({ "config.json": "{}" });
    // 128 bytes a tensor; the third is longer than a shard may be and gets one of its own.
    const tensors = [...list(0, 2), tensor("long", 50, 100), ...list(100, 5).slice(2)];
    const written = await writeShardedSafetensors(folder, tensors, { maxShardBytes: 300 });
    expect(written.totalBytes).toBe(5 * 128 + 1600);
    expect(written.files).toEqual([1, 2, 3, 4].map((i) => `model-0000${i}-of-00004.safetensors`));
    await using checkpoint = await openCheckpoint(folder);
    expect([...checkpoint.tensors.keys()]).toEqual(tensors.map(({ name }) => name));
    for (const { name, data } of tensors) expect(await checkpoint.readFloat32(name)).toEqual(data);
    expect(await codeOf(() => writeShardedSafetensors(folder, [], { maxShardBytes: 0 }))).toBe(
      "option-invalid",
    );
  });

  test("replaces weights of any form by weights of any form, and leaves nothing of them", async () => {
    const folder = await makeFolder({ "config.json": "{}" });
    const forms = [
      { count: 6, maxShardBytes: 300 },
      { count: 6, maxShardBytes: 300 },
      { count: 2, maxShardBytes: 300 },
      { count: 4, maxShardBytes: 128 },
      { count: 0, maxShardBytes: 128 },
      { count: 1, maxShardBytes: 128 },
    ];
    for (const [round, { count, maxShardBytes }] of forms.entries()) {
      const tensors = list(round * 10, count);
      const { files } = await writeShardedSafetensors(folder, tensors, { maxShardBytes });
      const expected = [
        ...files,
        "config.json",
        ...(files.length > 1 ? ["model.safetensors.index.json"] : []),
      ];
      expect((await readdir(folder)).sort()).toEqual(expected.sort());
      await using checkpoint = await openCheckpoint(folder);
      expect(checkpoint.tensors.size).toBe(count);
      for (const { name, data } of tensors)
        expect(await checkpoint.readFloat32(name)).toEqual(data);
    }
  });

  test("a failure leaves the former weights whole", async () => {
    const folder = await makeFolder({ "config.json": "{}" });
    await writeShardedSafetensors(folder, list(0, 4), { maxShardBytes: 128 });
    const before = (await readdir(folder)).sort();
    const bad = { ...tensor("bad", 0), data: new Float32Array(1) };
    expect(
      await codeOf(() =>
        writeShardedSafetensors(folder, [...list(9, 3), bad], { maxShardBytes: 128 }),
      ),
    ).toBe("tensor-length-mismatch");
    expect((await readdir(folder)).sort()).toEqual(before);
    await using checkpoint = await openCheckpoint(folder);
    expect((await checkpoint.readFloat32("layers.3.weight"))[0]).toBe(3);
  });

  test("the data may be read from the very files that are replaced", async () => {
    const folder = await makeFolder({ "config.json": "{}" });
    await writeShardedSafetensors(folder, list(0, 4), { maxShardBytes: 256 });
    await using former = await openCheckpoint(folder);
    const copies = [...former.tensors.values()].map(
      ({ name, shape }): TensorToWrite => ({
        name,
        dtype: "BF16",
        shape,
        data: () => former.readFloat32(name),
      }),
    );
    await writeShardedSafetensors(folder, copies, { maxShardBytes: 64 });
    await using latter = await openCheckpoint(folder);
    expect(latter.files).toHaveLength(4);
    expect(await latter.readFloat32("layers.3.weight")).toEqual(
      await former.readFloat32("layers.3.weight"),
    );
  });
});

describe("readConfig", () => {
  const read = async (text: string) => readConfig(await makeFolder({ "config.json": text }));

  test("accepts what Python writes: NaN, Infinity, repeated keys, a byte order mark", async () => {
    expect(await read('\ufeff{"a":Infinity,"b":[-Infinity,NaN],"a":2}')).toEqual({
      a: 2,
      b: [-Infinity, Number.NaN],
    });
  });

  test("nested text configurations hold before what is around them", async () => {
    const config = await read(
      '{"model_type":"gemma3","architectures":["Gemma3ForConditionalGeneration"],"torch_dtype":"bfloat16","text_config":{"model_type":"gemma3_text","hidden_size":8}}',
    );
    expect(textConfig(config)).toEqual({
      model_type: "gemma3_text",
      architectures: ["Gemma3ForConditionalGeneration"],
      torch_dtype: "bfloat16",
      hidden_size: 8,
    });
    const plain = await read('{"model_type":"llama","text_config":null,"architectures":null}');
    expect(textConfig(plain)).toBe(plain);
    expect(plain.architectures).toBeUndefined();
  });

  test.each([
    ["", "config-invalid"],
    ["[]", "config-invalid"],
    ["null", "config-invalid"],
    ['{"a":1', "config-invalid"],
    ['{"__proto__":{"polluted":true}}', "config-invalid"],
    ['{"model_type":7}', "config-invalid"],
    ['{"architectures":"Llama"}', "config-invalid"],
    ['{"architectures":[1]}', "config-invalid"],
    ['{"text_config":[]}', "config-invalid"],
  ])("%s: %s", async (text, code) => {
    expect(await codeOf(() => read(text))).toBe(code);
  });

  test("a configuration longer than any", async () => {
    expect(await codeOf(() => read(" ".repeat(17 * 1024 * 1024)))).toBe("config-too-large");
  });

  test("text that is not UTF-8", async () => {
    const folder = await makeFolder({});
    await writeFile(join(folder, "config.json"), Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]));
    expect(await codeOf(() => readConfig(folder))).toBe("config-invalid");
  });
});

test("no file descriptor is left open by a checkpoint that cannot be opened", async () => {
  const folder = await makeFolder({
    "config.json": "{}",
    "model.safetensors.index.json": index({ a: "s1.safetensors", b: "s2.safetensors" }),
  });
  await writeSafetensors(join(folder, "s1.safetensors"), [tensor("a", 1)]);
  await writeFile(join(folder, "s2.safetensors"), "broken");
  const descriptors = async (): Promise<number> =>
    (await readdir("/proc/self/fd").catch(() => [])).length;
  const before = await descriptors();
  for (let i = 0; i < 20; i++) await codeOf(() => openCheckpoint(folder));
  expect(await descriptors()).toBeLessThanOrEqual(before + 2);
  await unlink(join(folder, "s2.safetensors"));
  const file = await openSafetensors(join(folder, "s1.safetensors"));
  await file.close();
});
