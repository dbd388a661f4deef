import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { JetonError } from "../core/index.ts";
import { liveSessions } from "../tensor/index.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { writeReferenceCheckpoint } from "../testing/reference-checkpoint.ts";
import { wordTokenizer } from "../testing/word-tokenizer.ts";
import { loadModel } from "./load-model.ts";
import { type OpenModelOptions, openModel } from "./open-model.ts";
import type { LoadedModel, WeightFormat } from "./types.ts";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-open-"));
  writeFileSync(join(root, "tokenizer.json"), JSON.stringify(wordTokenizer(512)));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function makeFolder(
  name: string,
  options: Omit<Parameters<typeof createRandomCheckpoint>[1], "tokenizer">,
): string {
  const folder = join(root, name);
  createRandomCheckpoint(folder, { ...options, tokenizer: join(root, "tokenizer.json") });
  return folder;
}

/** What a page would have fetched. The bytes begin at an odd address. */
function filesOf(folder: string): Pick<OpenModelOptions, "files" | "weights"> {
  const names = readdirSync(folder);
  const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), "utf8"));
  return {
    files: {
      config: json("config.json"),
      tokenizer: json("tokenizer.json"),
      ...(names.includes("generation_config.json") && {
        generationConfig: json("generation_config.json"),
      }),
    },
    weights: names
      .filter((name) => name.endsWith(".safetensors"))
      .map((name) => {
        const bytes = readFileSync(join(folder, name));
        const data = new Uint8Array(bytes.length + 1).subarray(1);
        data.set(bytes);
        return { name, data };
      }),
  };
}

async function logitsOf(model: LoadedModel): Promise<Float32Array> {
  const sequence = await model.openSequence();
  const { logits } = await sequence.step({ ids: [1, 5, 300, 7, 9], logits: true, results: "all" });
  await sequence.release();
  return logits!;
}

const formats: readonly WeightFormat[] = ["f32", "int8", "int8-channel", "int4"];
const dtypes = ["F32", "F16", "BF16", "F16"] as const;
const families = ["llama", "gemma2", "phi3", "qwen2"];

describe("tensors under other names", () => {
  const layouts: Record<string, (name: string) => string> = {
    "of a model of several modalities": (name) => `language_model.${name}`,
    "of one that transformers 5 saved": (name) =>
      name.startsWith("model.") ? name.replace("model.", "model.language_model.") : name,
    "without the head's company": (name) => name.replace(/^model\./, ""),
  };
  test.each(Object.entries(layouts))("%s", async (layout, rename) => {
    const family = "gemma3";
    const plain = makeFolder(`plain ${layout}`, { family, seed: 11 });
    const { config, tensors } = createRandomCheckpoint(plain, { family, seed: 11 });
    const folder = makeFolder(`named ${layout}`, { family, seed: 12 });
    const named = new Map(Array.from(tensors, ([name, tensor]) => [rename(name), tensor]));
    const isNested = layout !== "without the head's company";
    if (isNested) {
      named.set("vision_tower.patches.weight", { shape: [2, 3], data: new Float64Array(6) });
    }
    const nested = { model_type: "gemma3", text_config: config, vision_config: {} };
    writeReferenceCheckpoint(
      folder,
      { config: isNested ? nested : config, tensors: named },
      { dtype: "F32", shards: 2 },
    );
    rmSync(join(folder, "model.safetensors"));
    const options = { format: "f32", threads: 1 } as const;
    await using expected = await loadModel(plain, { ...options, inline: true });
    const logits = await logitsOf(expected);
    await using loaded = await loadModel(folder, { ...options, inline: true });
    expect(await logitsOf(loaded)).toEqual(logits);
    await using packed = await loadModel(folder, {
      format: "int8",
      inline: true,
      cacheFolder: join(root, "cache"),
    });
    expect(Math.abs((await logitsOf(packed))[0]! - logits[0]!)).toBeLessThan(0.5);
    await using opened = await openModel({ ...options, ...filesOf(folder) });
    expect(await logitsOf(opened)).toEqual(logits);
  });
});

describe("openModel", () => {
  test.each(
    formats.map((format, index) => ({ format, dtype: dtypes[index]!, family: families[index]! })),
  )("$family in $dtype as $format: the bits of loadModel", async ({ format, dtype, family }) => {
    const shards = family === "phi3" ? 1 : 2;
    const folder = makeFolder(format, { family, seed: 3, dtype, shards });
    const options = { format, threads: 1, slots: 3, contextLength: 64 } as const;
    await using loaded = await loadModel(folder, {
      ...options,
      inline: true,
      cacheFolder: join(root, "cache"),
    });
    const stages: string[] = [];
    const { files, weights } = filesOf(folder);
    expect(weights).toHaveLength(shards);
    await using opened = await openModel({
      ...options,
      files,
      weights,
      name: "bytes",
      onProgress: ({ stage }) => stages.push(stage),
    });
    expect(await logitsOf(opened)).toEqual(await logitsOf(loaded));
    expect(new Set(stages)).toEqual(new Set(format === "f32" ? ["load"] : ["pack", "load"]));
    for (const key of [
      "format",
      "threads",
      "slots",
      "contextLength",
      "eosTokenIds",
      "bosTokenId",
      "config",
    ] as const) {
      expect(opened[key], key).toEqual(loaded[key]);
    }
    expect(opened.name).toBe("bytes");
    expect(opened.folder).toBe("");
    expect((await opened.memory()).weights).toBe((await loaded.memory()).weights);
    expect(opened.tokenizer.encodeIds("w7 w9")).toEqual(loaded.tokenizer.encodeIds("w7 w9"));
  });

  test("WebAssembly agrees with the native runtime", async () => {
    const folder = makeFolder("wasm", { family: "gemma2", seed: 5, dtype: "BF16" });
    const given = { ...filesOf(folder), format: "f32", threads: 1 } as const;
    await using native = await openModel({ ...given, device: "cpu" });
    await using wasm = await openModel({ ...given, device: "wasm" });
    await using chosen = await openModel({ ...given, device: "auto" });
    expect([native.device, wasm.device, chosen.device]).toEqual(["cpu", "wasm", "cpu"]);
    const [expected, found] = [await logitsOf(native), await logitsOf(wasm)];
    const difference = expected.map((logit, index) => Math.abs(logit - found[index]!));
    expect(Math.max(...difference)).toBeLessThan(1e-3);
  });

  test("an aborted signal ends it before a session is opened", async () => {
    const folder = makeFolder("aborted", { family: "llama", seed: 1 });
    const before = liveSessions();
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    await expect(
      openModel({
        ...filesOf(folder),
        format: "int8",
        signal: controller.signal,
        onProgress: ({ stage, done }) => {
          if (stage === "pack" && done === 2) controller.abort(reason);
        },
      }),
    ).rejects.toBe(reason);
    expect(liveSessions()).toBe(before);
  });

  describe("bad input ends in a JetonError", () => {
    let good: Pick<OpenModelOptions, "files" | "weights">;
    beforeAll(() => {
      good = filesOf(makeFolder("good", { family: "llama", seed: 2, shards: 2 }));
    });

    const codeOf = async (change: Partial<OpenModelOptions>): Promise<string> => {
      const before = liveSessions();
      try {
        await (await openModel({ ...good, ...change })).close();
        return "none";
      } catch (error) {
        if (!JetonError.isInstance(error)) throw error;
        return error.code;
      } finally {
        expect(liveSessions()).toBe(before);
      }
    };
    const config = (change: object): Partial<OpenModelOptions> => ({
      files: { ...good.files, config: { ...(good.files.config as object), ...change } },
    });

    test("which says what is wrong", async () => {
      expect(await codeOf({})).toBe("none");
      expect(await codeOf({ weights: [] })).toBe("checkpoint-weights-missing");
      expect(await codeOf({ weights: [good.weights[0]!] })).toBe("model-weights-missing");
      expect(await codeOf({ weights: [...good.weights, good.weights[0]!] })).toBe(
        "checkpoint-tensor-ambiguous",
      );
      expect(await codeOf({ files: { ...good.files, config: [] } })).toBe("config-invalid");
      expect(await codeOf({ files: { ...good.files, generationConfig: "no" } })).toBe(
        "config-invalid",
      );
      expect(await codeOf(config({ model_type: "mamba" }))).toBe("model-family-unknown");
      expect(await codeOf(config({ vocab_size: 511 }))).toBe("model-weights-shape");
      expect(await codeOf(config({ intermediate_size: 95 }))).toBe("model-weights-shape");
      expect(await codeOf(config({ num_hidden_layers: 2e9 }))).toBe("model-config-invalid");
      expect(await codeOf(config({ attention_bias: true }))).toBe("model-weights-missing");
      expect(await codeOf({ files: { ...good.files, tokenizer: {} } })).toMatch(/^tokenizer-/);
      expect(await codeOf({ device: "gpu" as never })).toBe("model-option-invalid");
      expect(await codeOf({ device: "webgpu" })).toBe("webgpu-missing");
      expect(await codeOf({ device: "webgpu", format: "int8-channel" })).toBe("webgpu-format");
      expect(await codeOf({ device: "webgpu", exact: true })).toBe("model-exact-unsupported");
    });

    test("which names the tensor whose shape is wrong, though groups have the right size", async () => {
      const { config: file, tensors } = createRandomCheckpoint(join(root, "shapes"), {
        family: "llama",
        seed: 2,
      });
      const layer = "model.layers.1.self_attn";
      const [query, key] = [`${layer}.q_proj.weight`, `${layer}.k_proj.weight`];
      const wrong: [string, Record<string, { shape: readonly number[]; data: Float64Array }>][] = [
        [query, { [query]: tensors.get(key)!, [key]: tensors.get(query)! }],
        ["model.norm.weight", { "model.norm.weight": { shape: [63], data: new Float64Array(63) } }],
        [
          "model.embed_tokens.weight",
          { "model.embed_tokens.weight": { shape: [9, 64], data: new Float64Array(9 * 64) } },
        ],
      ];
      for (const [name, changes] of wrong) {
        const folder = makeFolder("shapes", { family: "llama", seed: 2 });
        const changed = new Map([...tensors, ...Object.entries(changes)]);
        writeReferenceCheckpoint(folder, { config: file, tensors: changed }, { dtype: "F32" });
        await expect(openModel(filesOf(folder))).rejects.toMatchObject({
          code: "model-weights-shape",
          details: { name },
        });
      }
    });

    test("wherever the bytes are cut", async () => {
      const [first, second] = good.weights;
      await fc.assert(
        fc.asyncProperty(fc.nat({ max: first!.data.length - 1 }), async (length) => {
          const cut = { name: first!.name, data: first!.data.subarray(0, length) };
          expect(await codeOf({ weights: [cut, second!] })).toBe("safetensors-truncated");
        }),
        { numRuns: 30 },
      );
    });
  });
});
