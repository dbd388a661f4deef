import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type ModelConfig, openCheckpoint } from "../checkpoint/index.ts";
import { generateFrom } from "../generate/index.ts";
import { loadSeq2Seq } from "../model/index.ts";
import { errorOf } from "../testing/code-of.ts";
import {
  optionsFor,
  prose,
  readLog,
  root,
  useSmallCorpora,
  weightsDigest,
} from "./testing/small-run.ts";
import { trainLanguageModel } from "./train-language-model.ts";

useSmallCorpora();

const sizes = {
  ...{ d_model: 32, d_kv: 8, d_ff: 48, num_heads: 4, num_layers: 2, num_decoder_layers: 1 },
  ...{ feed_forward_proj: "gated-gelu", tie_word_embeddings: false },
};
const byt5 = { model_type: "t5", ...sizes } as unknown as ModelConfig;
const mrt5 = {
  ...{ model_type: "mrt5", ...sizes, use_softmax1: true },
  ...{ delete_gate_layer: 1, deletion_threshold: -15 },
} as unknown as ModelConfig;

const options = (name: string, more: Partial<ReturnType<typeof optionsFor>> = {}) =>
  optionsFor(name, {
    config: mrt5,
    tokenizer: "byt5",
    sequenceLength: 64,
    steps: 60,
    checkpointEvery: 20,
    schedule: { kind: "constant", peak: 5e-3 },
    ...more,
  });

describe("an MrT5", () => {
  // Half of the positions, pushed hard, so that a short run shows it.
  const deletion = { target: 0.5, proportional: 40, delay: 10 };

  test("learns hidden spans, comes near its share, resumes bit for bit and writes", async () => {
    const whole = await trainLanguageModel(options("whole", { deletion }));
    const log = readLog("whole");
    expect(log[0]!.loss).toBeGreaterThan(4);
    expect(whole.loss).toBeLessThan(0.7 * log[0]!.loss);
    const shares = log.map(({ reported }) => reported!["deletedShare"]!);
    expect(shares.slice(0, 10).every((share) => share < 0.05)).toBe(true);
    expect(Math.max(...shares)).toBeGreaterThan(0.3);

    const stop = new AbortController();
    const broken = trainLanguageModel(
      options("broken", {
        ...{ deletion, signal: stop.signal },
        onCheckpoint: ({ step }) => step === 20 && stop.abort(),
      }),
    );
    await expect(broken).rejects.toThrow();
    await trainLanguageModel(options("broken", { deletion, existing: "resume" }));
    expect(weightsDigest("broken")).toBe(weightsDigest("whole"));
    const withoutTime = (name: string) => readLog(name).map(({ seconds: _, ...entry }) => entry);
    expect(withoutTime("broken")).toEqual(withoutTime("whole"));

    await using model = await loadSeq2Seq(whole.modelFolder, { inline: true });
    const ids: number[] = [];
    const text = prose(5, 2).slice(0, 60);
    for await (const { id } of generateFrom(model, text, {
      greedy: true,
      maxTokens: 8,
      soft: true,
    })) {
      ids.push(id);
    }
    // What is asked for first is the first hidden span.
    expect(ids[0]).toBe(258);
    expect(readFileSync(join(root, "whole/model/README.md"), "utf8")).toContain("a hidden byte");
  });

  test("begins with the weights of a ByT5, whose gate it adds, open", async () => {
    const steps = 4;
    const plain = await trainLanguageModel(options("plain", { config: byt5, steps }));
    const gated = await trainLanguageModel(
      options("gated", {
        ...{ initialWeights: plain.modelFolder, tokenizer: plain.modelFolder, steps: 1 },
        schedule: { kind: "constant", peak: 0 },
      }),
    );
    const read = async (folder: string) => {
      await using checkpoint = await openCheckpoint(folder);
      const values = new Map<string, Float32Array>();
      for (const name of checkpoint.tensors.keys())
        values.set(name, await checkpoint.readFloat32(name));
      return values;
    };
    const [before, after] = [await read(plain.modelFolder), await read(gated.modelFolder)];
    for (const [name, values] of before) expect(after.get(name)).toEqual(values);
    const added = [...after.keys()].filter((name) => !before.has(name));
    expect(added.sort()).toEqual([
      "encoder.block.1.delete_gate.feed_forward.bias",
      "encoder.block.1.delete_gate.feed_forward.weight",
      "encoder.block.1.delete_gate.layer_norm.weight",
    ]);
    expect([...after.get(added[0]!)!]).toEqual([1]);
  });

  test("reads a tokenizer that is only named, as ByT5's published folders have it", async () => {
    const folder = join(root, "named");
    mkdirSync(folder);
    const config = { tokenizer_class: "ByT5Tokenizer", extra_ids: 125 };
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(config));
    const named = await trainLanguageModel(options("by-name", { tokenizer: folder, steps: 1 }));
    expect(readdirSync(named.modelFolder)).toContain("tokenizer_config.json");
    await using model = await loadSeq2Seq(named.modelFolder, { inline: true });
    expect([...model.tokenizer.encodeIds("a")]).toEqual([100, 1]);
  });

  test("a ByT5 whose head is its table is trained so, and none that only says that it has one is opened", async () => {
    const tied = { ...byt5, tie_word_embeddings: true } as ModelConfig;
    const { modelFolder } = await trainLanguageModel(options("tied", { config: tied, steps: 1 }));
    {
      await using model = await loadSeq2Seq(modelFolder, { inline: true });
      expect(model.checkpoint.tensors.has("lm_head.weight")).toBe(false);
    }
    const path = join(modelFolder, "config.json");
    const config = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...config, tie_word_embeddings: false }));
    const error = await errorOf(loadSeq2Seq(modelFolder, { inline: true }));
    expect([error.code, error.message]).toEqual([
      "model-weights-missing",
      expect.stringContaining("lm_head.weight"),
    ]);
  });

  test("what does not fit is refused before anything is trained", async () => {
    const wrong: [Partial<ReturnType<typeof optionsFor>>, string, RegExp][] = [
      [{ tokenizer: "bytes" }, "train-tokenizer-not-bytes", /ids of ByT5.*give "byt5"/],
      [{ sequenceLength: 2000 }, "option-invalid", /sequenceLength is 2000, expected 2 to 15\d\d/],
      [{ documentMask: true }, "option-invalid", /documentMask/],
      [{ deletion: { target: 1 } }, "option-invalid", /target is 1, expected a share between/],
      [{ deletion: { rate: 0.5 } as never }, "option-invalid", /rate is no option/],
      [{ config: byt5, deletion: {} }, "option-invalid", /a t5 model has no gate/],
      [{ initialization: { inductionHeads: true } }, "option-invalid", /inductionHeads/],
    ];
    for (const [index, [change, code, message]] of wrong.entries()) {
      const error = await errorOf(trainLanguageModel(options(`wrong-${index}`, change)));
      expect(error.code).toBe(code);
      expect(error.message).toMatch(message);
      rmSync(join(root, `wrong-${index}`), { recursive: true, force: true });
    }
  });
});
