import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { bundledModel, testData, testModels } from "../../testing/test-data.ts";
import { referenceFamilies } from "../../testing/tiny-config-variants.ts";
import type { ModelDescription } from "../inspect/description.ts";
import { type PresetArchitecture, presetConfig } from "../options/presets.ts";
import { runCommand } from "../testing/run-command.ts";

const tokenizers = testData("tokenizers");

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-inspect-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function inspect(...args: string[]): Promise<ModelDescription> {
  const { status, stdout, stderr } = await runCommand(["inspect", ...args, "--json"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout) as ModelDescription;
}

/** The `config.json` of `jeton train lm --architecture`. */
function preset(architecture: PresetArchitecture, more: object = {}): object {
  const sizes = { layers: undefined, hiddenSize: undefined, heads: undefined };
  return { ...presetConfig({ architecture, preset: "tiny", ...sizes }, 64), ...more };
}

describe("jeton inspect", () => {
  test("a checkpoint below its folder, and its tokenizer", async () => {
    const bundled = join(dirname(bundledModel), "jeton-embed");
    const path = join(folder, "older");
    cpSync(bundled, join(path, "0_Transformer"), { recursive: true });
    const type = "sentence_transformers.models.Transformer";
    writeFileSync(join(path, "modules.json"), JSON.stringify([{ path: "0_Transformer", type }]));
    const expected = await inspect(bundled);
    expect(await inspect(path)).toEqual({ ...expected, name: "older", path });
    const [own, below] = await Promise.all(
      [bundled, path].map((model) => runCommand(["tokenize", model, "a rose", "--json"])),
    );
    expect(below).toEqual(own);
    expect(below!.status).toBe(0);
  });

  test("a decoder beside modules.json is an encoder", async () => {
    const path = join(folder, "sentences");
    createRandomCheckpoint(path, { family: "qwen3", seed: 1 });
    const before = await inspect(path);
    const type = "sentence_transformers.models.Transformer";
    writeFileSync(join(path, "modules.json"), JSON.stringify([{ path: "", type }]));
    const { model } = await inspect(path);
    expect(before.model).toMatchObject({ kind: "decoder", keyValueHeads: 2 });
    expect(model).toEqual({ ...before.model, kind: "encoder" });
  });

  test.each(Object.keys(referenceFamilies))("%s: counts what the files hold", async (family) => {
    const path = join(folder, family);
    const { config, tensors } = createRandomCheckpoint(path, {
      family,
      seed: 1,
      dtype: "BF16",
      shards: 2,
    });
    let parameters = 0;
    for (const { data: values } of tensors.values()) parameters += values.length;
    const { name, model, weights, tokenizer } = await inspect(path);
    expect({ name, tokenizer }).toEqual({ name: family, tokenizer: null });
    expect(weights).toMatchObject({
      parameters,
      tensors: tensors.size,
      dtypes: { BF16: parameters },
      files: 2,
      defaultFormat: "f32",
    });
    expect(model).toMatchObject({
      runs: true,
      family: config["model_type"],
      layers: config["num_hidden_layers"] ?? config["n_layer"] ?? config["num_layers"],
      hiddenSize: config["hidden_size"] ?? config["n_embd"],
      vocabSize: 512,
      tieWordEmbeddings: !tensors.has("lm_head.weight"),
    });
  });

  test("several are compared side by side, what a thing does not have as a dash", async () => {
    const tokenizerOnly = join(folder, "words");
    await mkdir(tokenizerOnly, { recursive: true });
    const model = { type: "WordLevel", vocab: { "[UNK]": 0, a: 1 }, unk_token: "[UNK]" };
    writeFileSync(join(tokenizerOnly, "tokenizer.json"), JSON.stringify({ model }));
    const checkpoint = join(folder, "compared");
    createRandomCheckpoint(checkpoint, { family: "llama", seed: 2 });
    const { status, stdout } = await runCommand(["inspect", checkpoint, tokenizerOnly]);
    expect(status).toBe(0);
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^ +compared +words$/);
    expect(lines.find((line) => line.startsWith("layers"))).toMatch(/^layers +\d+ +-$/);
    expect(lines.find((line) => line.startsWith("tokenizer"))).toMatch(/- +WordLevel, 2 tokens$/);
    const both = await runCommand(["inspect", checkpoint, tokenizerOnly, "--json"]);
    expect(JSON.parse(both.stdout)).toHaveLength(2);
  });

  test("a model that jeton does not run is described all the same, with the reason", async () => {
    const path = join(folder, "other");
    await mkdir(path);
    writeFileSync(join(path, "config.json"), JSON.stringify({ model_type: "rwkv", n_layer: 3 }));
    const { model } = await inspect(path);
    expect(model).toMatchObject({ runs: false, family: "rwkv", layers: 3 });
    expect(model!.reason).toContain("rwkv");
  });

  test.each([
    [{ model_type: "bert" }, { kind: "encoder", layers: 12, contextLength: 512 }],
    [{ model_type: "t5" }, { kind: "encoder-decoder", layers: 6, hiddenSize: 512 }],
    [preset("byte2word", { vocab_size: 300 }), { kind: "encoder of words" }],
    [preset("word-pooled", { vocab_size: 256 }), { kind: "decoder", family: "word-pooled" }],
    [preset("mrt5"), { kind: "encoder-decoder", layers: 4, hiddenSize: 128 }],
  ])("what runs is said to, whichever command runs it: %j", async (config, expected) => {
    const path = await mkdtemp(join(folder, "kind-"));
    writeFileSync(join(path, "config.json"), JSON.stringify(config));
    const { model } = await inspect(path);
    expect(model).toMatchObject({ runs: true, reason: null, ...expected });
  });

  test("a folder with nothing in it, a broken tokenizer and a missing folder fail", async () => {
    const empty = join(folder, "empty");
    await mkdir(empty);
    expect(await runCommand(["inspect", empty])).toMatchObject({ status: 1, stdout: "" });
    writeFileSync(join(empty, "tokenizer.json"), "{");
    const broken = await runCommand(["inspect", empty, "--json"]);
    expect(broken).toMatchObject({ status: 1, stdout: "" });
    expect(JSON.parse(broken.stderr).error.code).toBe("tokenizer-not-json");
    expect((await runCommand(["inspect", join(folder, "absent")])).status).toBe(1);
  });
});

describe.each(testModels("models/tinystories-260k"))("jeton inspect on $name", ({ folder }) => {
  test("describes a checkpoint and its tokenizer", async () => {
    const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
    const { model, weights, tokenizer } = await inspect(folder);
    expect(model).toMatchObject({
      architecture: "LlamaForCausalLM",
      contextLength: config.max_position_embeddings,
      keyValueHeads: config.num_key_value_heads,
      intermediateSize: config.intermediate_size,
      tieWordEmbeddings: config.tie_word_embeddings,
    });
    const file = readFileSync(join(folder, "model.safetensors"));
    expect(weights).toMatchObject({ files: 1, bytes: file.length });
    expect(tokenizer!.vocabSize).toBe(config.vocab_size);
  });
});

describe.skipIf(tokenizers.skip)("jeton inspect on published tokenizers", () => {
  test("describes every folder with a tokenizer", { timeout: 120_000 }, async () => {
    const root = tokenizers.folder;
    const folders = readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "lib")
      .map((entry) => entry.name);
    for (const name of folders) {
      const { tokenizer, model } = await inspect(join(root, name));
      expect(model).toBeNull();
      expect(tokenizer!.vocabSize).toBeGreaterThan(1000);
    }
  });
});
