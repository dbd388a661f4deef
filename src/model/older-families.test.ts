/** What only the older families have: names and layouts of their own, and positions that end. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ModelConfig } from "../checkpoint/index.ts";
import { boundaryToken, byteTokenizerJson } from "../cli/testing/byte-tokenizer.ts";
import { parseContextPolicy } from "../context/index.ts";
import { complete, openByteDistribution, openDrafter } from "../generate/index.ts";
import { codeOf } from "../testing/code-of.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { readReferenceTensors, writeReferenceTensors } from "../testing/reference-checkpoint.ts";
import { referenceForward } from "../testing/reference-decoder.ts";
import { wordTokenizer } from "../testing/word-tokenizer.ts";
import { openArchitecture } from "../train/index.ts";
import { readWeights } from "../train/run/first-values.ts";
import { lexicalOverlap } from "../vocabulary/baselines.ts";
import { transfer } from "../vocabulary/transfer.ts";
import { loadModel } from "./load-model.ts";
import { openModel } from "./open-model.ts";
import type { LoadedModel } from "./types.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-older-families-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const vocabulary = 96;
const ids = Array.from({ length: 20 }, (_, at) => (7 * at * at + 3 * at + 5) % vocabulary);
const inline = { threads: 1, inline: true } as const;

function makeFolder(family: string, name = family) {
  const folder = join(root, name);
  const made = createRandomCheckpoint(folder, { family, seed: 3, vocabulary, layers: 2 });
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(wordTokenizer(vocabulary)));
  return { folder, ...made };
}

async function logitsOf(model: LoadedModel): Promise<Float32Array> {
  const sequence = await model.openSequence({ promptLength: ids.length });
  const { logits } = await sequence.step({ ids, results: "all", logits: true });
  await sequence.release();
  return logits!;
}

/** Changes the one file of weights of a folder. */
function rewrite(folder: string, name: (stored: string) => string, masks: readonly string[]): void {
  const file = join(folder, "model.safetensors");
  const tensors = new Map(
    Array.from(readReferenceTensors(file), ([stored, tensor]) => [name(stored), tensor]),
  );
  for (const mask of masks) {
    tensors.set(mask, { shape: [1, 1, 4, 4], data: new Float64Array(16).fill(1) });
  }
  writeReferenceTensors(file, tensors, "F32");
}

describe.each(["gpt2-scaled", "gpt-neo", "gpt-neox", "olmo", "olmo3"])("%s", (family) => {
  test("every format, and bytes in memory", async () => {
    const { folder, config, tensors } = makeFolder(family);
    const exact = referenceForward(config, tensors, ids);
    const size = Math.hypot(...exact);
    for (const [format, most] of [
      ["f32", 1e-5],
      ["int8", 0.05],
      ["int8-channel", 0.05],
      ["int4", 0.4],
    ] as const) {
      await using model = await loadModel(folder, { ...inline, format });
      const logits = await logitsOf(model);
      const distance = Math.hypot(...exact.map((logit, at) => logit - logits[at]!));
      expect(distance / size, format).toBeLessThan(most);
      await using opened = await openModel({
        files: {
          config: JSON.parse(readFileSync(join(folder, "config.json"), "utf8")),
          tokenizer: wordTokenizer(vocabulary),
        },
        weights: [
          {
            name: "model.safetensors",
            data: new Uint8Array(readFileSync(join(folder, "model.safetensors"))),
          },
        ],
        format,
        threads: 1,
      });
      expect(await logitsOf(opened), format).toEqual(logits);
    }
  });

  test("drafters write the same text", async () => {
    const { folder } = makeFolder(family, `${family}-drafted`);
    await using model = await loadModel(folder, inline);
    const prompt = [1, 2, 3, 1, 2, 3, 1, 2];
    const plain = await complete(model, prompt, { greedy: true, maxTokens: 12 });
    for (const name of ["prompt-lookup", "token-recycling", "lookahead"] as const) {
      const drafter = await openDrafter(name, model);
      const drafted = await complete(model, prompt, { greedy: true, maxTokens: 12, drafter });
      expect(drafted.ids, name).toEqual(plain.ids);
      await drafter.close();
    }
  });
});

describe.each(["gpt2-scaled", "gpt-neo", "gpt-neox"])("%s as files", (family) => {
  /** A folder whose tokens are the bytes. */
  function makeByteFolder(name: string) {
    const folder = join(root, name);
    const made = createRandomCheckpoint(folder, { family, seed: 5, vocabulary: 257, layers: 2 });
    writeFileSync(join(folder, "tokenizer.json"), byteTokenizerJson());
    const settings = { eos_token: boundaryToken.content };
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(settings));
    const special = { bos_token_id: boundaryToken.id, eos_token_id: boundaryToken.id };
    writeFileSync(join(folder, "config.json"), JSON.stringify({ ...made.config, ...special }));
    writeFileSync(join(folder, "generation_config.json"), JSON.stringify(special));
    return { folder, ...made };
  }

  test("a training reads and writes the names and layouts of published files", async () => {
    const { folder, config, tensors } = makeByteFolder(`${family}-trained`);
    const architecture = openArchitecture(config as ModelConfig);
    const read = await readWeights(folder, architecture);
    const stored = readReferenceTensors(join(folder, "model.safetensors"));
    expect([...read.keys()].sort()).toEqual([...tensors.keys()].sort());
    for (const [name, value] of read) {
      expect(value, name).toEqual({
        shape: tensors.get(name)!.shape,
        data: Float32Array.from(tensors.get(name)!.data),
      });
      const written = architecture.storedValue!(name, value);
      const published = stored.get(architecture.storedName!(name))!;
      expect(written, name).toEqual({
        shape: published.shape,
        data: Float32Array.from(published.data),
      });
    }
    expect(stored.size).toBe(read.size);
  });

  test("a transfer to the model's own tokens changes nothing", async () => {
    const { folder } = makeByteFolder(`${family}-source`);
    const out = join(root, `${family}-moved`);
    await transfer(folder, folder, lexicalOverlap(), { out });
    await using before = await loadModel(folder, inline);
    await using after = await loadModel(out, inline);
    expect(await logitsOf(after)).toEqual(await logitsOf(before));
  });

  test("probabilities of bytes are those of its tokens", async () => {
    const { folder } = makeByteFolder(`${family}-bytes`);
    await using model = await loadModel(folder, inline);
    const bytes = await openByteDistribution(model);
    await bytes.prefill(Uint8Array.of(65, 66));
    const found = await bytes.logProbabilities();
    const sequence = await model.openSequence();
    const ids = [boundaryToken.id, 65, 66];
    const { logits } = await sequence.step({ ids, logits: true });
    // Bytes that no text has here share no probability: those of the others keep their ratios.
    for (const byte of [10, 65, 200]) {
      expect(found[byte]! - found[66]!).toBeCloseTo(logits![byte]! - logits![66]!, 3);
    }
    expect(found.reduce((total, log) => total + Math.exp(log), 0)).toBeCloseTo(1, 6);
    await sequence.release();
    await bytes.close();
  });
});

describe("gpt2", () => {
  test("names without their prefix, and masks beside the weights", async () => {
    const { folder, config, tensors } = makeFolder("gpt2", "bare");
    rewrite(folder, (name) => name.replace(/^transformer\./, ""), [
      "h.0.attn.bias",
      "h.1.attn.masked_bias",
    ]);
    await using model = await loadModel(folder, inline);
    const exact = referenceForward(config, tensors, ids);
    const logits = await logitsOf(model);
    for (const [at, logit] of exact.entries()) expect(logits[at]).toBeCloseTo(logit, 3);
  });

  test("a context longer than the positions is refused by their name", async () => {
    const { folder } = makeFolder("gpt2", "long");
    await using model = await loadModel(folder, inline);
    expect(model.contextLength).toBe(64);
    const sequence = await model.openSequence();
    await sequence.step({ ids: Array.from({ length: 64 }, () => 1), results: "none" });
    await expect(sequence.step({ ids: [1] })).rejects.toMatchObject({
      code: "model-context-exceeded",
      message: expect.stringMatching(/gpt2 has a row for each of its 64 positions \(n_positions\)/),
    });
    await sequence.release();
    await expect(loadModel(folder, { ...inline, contextLength: 65 })).rejects.toMatchObject({
      code: "model-option-invalid",
      message: expect.stringMatching(/contextLength is 65, expected at most 64.*n_positions/),
    });
    await using short = await loadModel(folder, { ...inline, contextLength: 9 });
    expect(short.contextLength).toBe(9);
  });

  test("policies that choose rows run, those that move tokens are refused", async () => {
    const { folder } = makeFolder("gpt2", "policies");
    await using model = await loadModel(folder, inline);
    const run = (text: string) =>
      complete(model, ids, { greedy: true, maxTokens: 6, contextPolicy: parseContextPolicy(text) });
    const plain = await complete(model, ids, { greedy: true, maxTokens: 6 });
    // As many rows as there are: the same text.
    for (const text of ["full", "snapkv:k=64,window=8", "h2o:k=64,recent=8", "top-k:k=64"]) {
      expect((await run(text)).ids, text).toEqual(plain.ids);
    }
    expect((await run("truncate:k=20")).ids).toEqual(plain.ids);
    for (const text of [
      "ntk:scale=2",
      "sinks-window:sinks=4,window=28",
      "longheads:chunk=4,length=16",
    ]) {
      expect(await codeOf(run(text)), text).toBe("context-policy-rotation");
    }
    const under = model.withContextPolicy!(parseContextPolicy("h2o:k=16,recent=8"));
    expect(under.contextLength).toBe(64);
  });

  test("a configuration that asks for something else is refused", async () => {
    const { folder, config } = makeFolder("gpt2", "refused");
    for (const [changes, message] of [
      [{ add_cross_attention: true }, /add_cross_attention is true/],
      [{ n_embd: 64, hidden_size: 32 }, /hidden_size is 32, expected 64, as n_embd says/],
      [{ n_head: 7 }, /num_attention_heads is 7, expected a divisor of the hidden size 64/],
    ] as const) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ...changes }));
      await expect(loadModel(folder, inline)).rejects.toMatchObject({
        code: "model-config-invalid",
        message: expect.stringMatching(message),
      });
    }
  });
});
