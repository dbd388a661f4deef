/** Sparse decoders whose experts are stored fused, as transformers 5 has them in memory. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import {
  openCheckpoint,
  type TensorToWrite,
  writeShardedSafetensors,
} from "../checkpoint/index.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { bundledModel } from "../testing/test-data.ts";
import { decoderConfig } from "./decoder/config.ts";
import { decoderParameterShapes } from "./decoder/parameter-shapes.ts";
import { loadModel } from "./load-model.ts";
import { openModel } from "./open-model.ts";
import type { LoadedModel } from "./types.ts";
import { readParameter } from "./weights/read-parameter.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-fused-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What a stored name becomes: whole, or the n-th matrix of an expert in a tensor of all of them. */
type Rename = (name: string) => { readonly to: string; readonly at?: readonly [number, number] };

const experts =
  (pattern: RegExp, block: string, order: Readonly<Record<string, number>>): Rename =>
  (name) => {
    const [, layer, expert, matrix = ""] = pattern.exec(name) ?? [];
    const index = order[matrix];
    if (index === undefined) return { to: name };
    const stack = index === 2 ? "down_proj" : "gate_up_proj";
    return { to: `${layer}.${block}.experts.${stack}`, at: [Number(expert), index] };
  };

const mixtral = experts(
  /^(model\.layers\.\d+)\.block_sparse_moe\.experts\.(\d+)\.(w\d)\.weight$/,
  "mlp",
  { w1: 0, w3: 1, w2: 2 },
);
const qwen = experts(/^(model\.layers\.\d+)\.mlp\.experts\.(\d+)\.(\w+)\.weight$/, "mlp", {
  gate_proj: 0,
  up_proj: 1,
  down_proj: 2,
});
const gateAs =
  (router: string, other: Rename): Rename =>
  (name) => {
    const moved = name.replace(".block_sparse_moe.gate.", `.mlp.${router}.`);
    return moved === name ? other(name) : { to: moved };
  };
const granite: Rename = (name) => ({
  to: name
    .replace("input_linear.weight", "experts.gate_up_proj")
    .replace("output_linear.weight", "experts.down_proj")
    .replace("router.layer.weight", "router.weight"),
});

const families: Readonly<Record<string, Rename>> = {
  mixtral: gateAs("gate", mixtral),
  phimoe: gateAs("router", mixtral),
  olmoe: qwen,
  "qwen2-moe": qwen,
  "qwen3-moe": qwen,
  granitemoe: granite,
};

const small = { width: 32, layers: 2, heads: 2, kvHeads: 1, headDim: 16, feedForward: 48 };

function addTokenizer(folder: string): void {
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    copyFileSync(join(bundledModel, name), join(folder, name));
  }
}

/** A checkpoint as its family stores it, and the same fused. */
async function writeBoth(
  family: string,
  change: (tensors: Map<string, Tensor>) => void = () => {},
) {
  const plain = mkdtempSync(join(root, `${family}-`));
  createRandomCheckpoint(plain, { family, seed: 5, vocabulary: 300, ...small });
  addTokenizer(plain);
  await using checkpoint = await openCheckpoint(plain);
  const stacks = new Map<string, [Tensor, Tensor?, Tensor?][]>();
  const tensors = new Map<string, Tensor>();
  for (const [name, { shape }] of checkpoint.tensors) {
    const tensor = { shape, data: await checkpoint.readFloat32(name) };
    const { to, at } = families[family]!(name);
    if (at === undefined) tensors.set(to, tensor);
    else {
      const [expert, index] = at;
      const parts = stacks.get(to) ?? [];
      stacks.set(to, parts);
      parts[expert] ??= [] as unknown as [Tensor];
      parts[expert][(index % 2) as 0] = tensor;
    }
  }
  for (const [name, parts] of stacks) {
    const all = parts.flat() as Tensor[];
    const rows = parts[0]!.reduce((sum, part) => sum + part!.shape[0]!, 0);
    const data = new Float32Array(all.reduce((sum, part) => sum + part.data.length, 0));
    let offset = 0;
    for (const part of all) {
      data.set(part.data, offset);
      offset += part.data.length;
    }
    tensors.set(name, { shape: [parts.length, rows, all[0]!.shape[1]!], data });
  }
  change(tensors);
  const fused = join(plain, "fused");
  mkdirSync(fused);
  for (const name of ["config.json", "generation_config.json"]) {
    copyFileSync(join(plain, name), join(fused, name));
  }
  addTokenizer(fused);
  const written = Array.from(
    tensors,
    ([name, tensor]): TensorToWrite => ({
      ...{ name, dtype: "F32" },
      ...tensor,
    }),
  );
  await writeShardedSafetensors(fused, written);
  return { plain, fused };
}

async function logitsOf(opened: Promise<LoadedModel>): Promise<Float32Array> {
  await using model = await opened;
  const sequence = await model.openSequence();
  const ids = [3, 70, 71, 299, 12];
  const { logits } = await sequence.step({ ids, results: "all", logits: true });
  return logits!;
}

// The tokenizer is another model's, which is said.
const options = { format: "f32", threads: 1, onWarning: () => {} } as const;

function openBytes(folder: string): Promise<LoadedModel> {
  const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), "utf8"));
  return openModel({
    ...options,
    files: { config: json("config.json"), tokenizer: json("tokenizer.json") },
    weights: [{ name: "w", data: new Uint8Array(readFileSync(join(folder, "model.safetensors"))) }],
  });
}

describe.each(Object.keys(families))("%s", (family) => {
  test("gives the same logits in both layouts, on disk and in memory, and the same parameters", async () => {
    const { plain, fused } = await writeBoth(family);
    const expected = await logitsOf(loadModel(plain, { ...options, inline: true }));
    expect(await logitsOf(loadModel(fused, { ...options, inline: true }))).toEqual(expected);
    expect(await logitsOf(openBytes(fused))).toEqual(expected);
    await using before = await openCheckpoint(plain);
    await using after = await openCheckpoint(fused);
    expect([...after.tensors.keys()]).not.toEqual([...before.tensors.keys()]);
    for (const [name, shape] of decoderParameterShapes(decoderConfig(before.config))) {
      const own = await readParameter(before, name, shape);
      expect([name, await readParameter(after, name, shape)]).toEqual([name, own]);
    }
  });
});

test.each([
  ["transposed", [5, 32, 96]],
  ["of fewer experts", [4, 96, 32]],
])("experts %s are refused with the shape that is read", async (_, shape) => {
  const name = "model.layers.0.mlp.experts.gate_up_proj";
  const { fused } = await writeBoth("mixtral", (tensors) => {
    const size = shape.reduce((a, b) => a * b, 1);
    tensors.set(name, { shape, data: tensors.get(name)!.data.slice(0, size) });
  });
  await expect(loadModel(fused, { inline: true })).rejects.toMatchObject({
    code: "model-weights-shape",
    message: `"${name}" has the shape [${shape}], expected [5,96,32]: of each expert the rows of the gate, then those of up`,
  });
});
