import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../checkpoint/index.ts";
import { score } from "../generate/index.ts";
import { loadModel } from "../model/index.ts";
import { codeOf } from "../testing/code-of.ts";
import { loadTokenizer } from "../tokenizer/index.ts";
import {
  formatTrainingProgress,
  type TrainingProgress,
  type TrainLanguageModelOptions,
} from "./language-model-options.ts";
import { readRunOptions } from "./run/run-settings.ts";
import {
  optionsFor,
  prose,
  readLog,
  root,
  tokenizer,
  useSmallCorpora,
  weightsDigest,
} from "./testing/small-run.ts";
import { trainLanguageModel } from "./train-language-model.ts";

useSmallCorpora();

describe("trainLanguageModel", { timeout: 240_000 }, () => {
  test("the loss falls, and the exported folder scores text as the trainer does", async () => {
    const text = prose(7, 5);
    const ids = [...(await loadTokenizer(tokenizer)).encodeIds(text, { addSpecialTokens: false })];
    const heldOut = join(root, "held-out.txt");
    writeFileSync(heldOut, text);
    // One sequence: the separator and all of the text.
    const sequenceLength = ids.length;
    const progress: TrainingProgress[] = [];
    const result = await trainLanguageModel(
      optionsFor("whole", {
        heldOut: { files: [heldOut] },
        sequenceLength,
        evaluateEvery: 10,
        accumulation: 2,
        schedule: { kind: "linear", peak: 1e-2, steps: 30, warmupSteps: 3 },
        config: { ...optionsFor("").config, max_position_embeddings: sequenceLength + 1 },
        onProgress: (state) => progress.push(state),
      }),
    );
    const log = readLog("whole");
    expect(log.map(({ step }) => step)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    expect(result.loss).toBeLessThan(log[0]!.loss - 0.5);
    expect(log.filter((entry) => entry.heldOutLoss !== undefined).length).toBe(3);
    expect(new Set(progress.map(({ stage }) => stage))).toEqual(
      new Set(["tokenize", "train", "export"]),
    );
    expect(formatTrainingProgress(progress.at(-2)!)).toMatch(/^step 30\/30 · loss \d/);
    expect(readFileSync(join(root, "whole/loss.svg"), "utf8")).toContain("<polyline");
    expect(readdirSync(result.modelFolder).sort()).toEqual([
      "README.md",
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);

    await using model = await loadModel(result.modelFolder, { threads: 1, inline: true });
    const scored = await score(model, text);
    expect(scored.scoredTokens).toBe(ids.length);
    expect(model.bosTokenId).toBe(model.tokenizer.eosTokenId);
    expect(-scored.logProbability / scored.scoredTokens).toBeCloseTo(result.heldOutLoss!, 4);
  });

  test("a run goes on from what its folder says, and says where it can go on", async () => {
    const controller = new AbortController();
    const saved: number[] = [];
    const interrupted = trainLanguageModel(
      optionsFor("remembered", {
        dtype: "BF16",
        signal: controller.signal,
        onProgress: ({ step }) => step === 7 && controller.abort(),
        onCheckpoint: ({ step }) => saved.push(step),
      }),
    );
    await expect(interrupted).rejects.toThrow(/abort/i);
    expect(saved).toEqual([7]);
    const options = await readRunOptions(join(root, "remembered"));
    const { modelFolder } = await trainLanguageModel({ ...options, existing: "resume" });
    const config = readFileSync(join(modelFolder, "config.json"), "utf8");
    expect(JSON.parse(config)).toMatchObject({ torch_dtype: "bfloat16", hidden_size: 16 });
    // The weights do not depend on the changeable part.
    await trainLanguageModel({ ...options, existing: "resume", dtype: "F32", name: "other" });
    await trainLanguageModel(optionsFor("not-remembered"));
    expect(weightsDigest("remembered")).toBe(weightsDigest("not-remembered"));
    expect(await codeOf(readRunOptions(join(root, "nowhere")))).toBe("train-run-missing");
  });

  test("training goes on from the weights of a folder, and frozen ones stay", async () => {
    const first = await trainLanguageModel(optionsFor("first"));
    await using before = await openCheckpoint(first.modelFolder);
    const learning = "model.layers.1.mlp.down_proj.weight";
    const others = [...before.tensors.keys()].filter((name) => name !== learning);
    // A pattern means all of a layer.
    const frozen = ["model.layers.0.*", ...others.filter((name) => !name.includes("layers.0."))];
    const second = await trainLanguageModel(
      optionsFor("second", { initialWeights: first.modelFolder, frozen, steps: 5 }),
    );
    await using after = await openCheckpoint(second.modelFolder);
    for (const name of others) {
      expect(await after.readFloat32(name)).toEqual(await before.readFloat32(name));
    }
    expect(await after.readFloat32(learning)).not.toEqual(await before.readFloat32(learning));
  });

  test("a moved run whose originals are gone goes on to the same bits", async () => {
    await trainLanguageModel(optionsFor("stayed"));
    const first = await trainLanguageModel(optionsFor("origin", { steps: 3 }));
    const copy = join(root, "copied-tokenizer");
    cpSync(tokenizer, copy, { recursive: true });
    const book = join(root, "copied-book.txt");
    cpSync(join(root, "book.txt"), book);
    const begun = {
      tokenizer: copy,
      corpora: [{ files: [book] }],
      initialWeights: first.modelFolder,
    };
    await trainLanguageModel(optionsFor("unmoved", begun));
    const controller = new AbortController();
    const stop = ({ step }: TrainingProgress) => step === 11 && controller.abort();
    const more = { ...begun, signal: controller.signal, onProgress: stop };
    await expect(trainLanguageModel(optionsFor("moves", more))).rejects.toThrow(/abort/i);
    for (const path of [copy, book, first.modelFolder]) rmSync(path, { recursive: true });
    renameSync(join(root, "moves"), join(root, "moved"));
    const options = await readRunOptions(join(root, "moved"));
    const { modelFolder } = await trainLanguageModel({ ...options, existing: "resume" });
    expect(weightsDigest("moved")).toBe(weightsDigest("unmoved"));
    expect(weightsDigest("moved")).not.toBe(weightsDigest("stayed"));
    expect((await loadTokenizer(modelFolder)).vocabSize).toBe(300);
  });

  test("a run that failed before its first step does not stand in the way of the next", async () => {
    const short = optionsFor("retried", { corpora: [{ files: [join(root, "short.txt")] }] });
    writeFileSync(join(root, "short.txt"), "too short");
    expect(await codeOf(trainLanguageModel(short))).toBe("corpus-too-short");
    // The same name, now with a text: what was tokenized before is not taken for it.
    writeFileSync(join(root, "short.txt"), prose(5, 120));
    await trainLanguageModel({ ...short, steps: 12 });
    expect(readLog("retried")).toHaveLength(12);
    expect(await codeOf(trainLanguageModel(short))).toBe("train-run-exists");
    // A misspelt name leaves nothing behind at all.
    const misspelt = optionsFor("misspelt", { heldOut: { files: [join(root, "nowhere.txt")] } });
    expect(await codeOf(trainLanguageModel(misspelt))).toBe("corpus-file-unreadable");
    expect(existsSync(join(root, "misspelt"))).toBe(false);
  });

  test("the export holds the tokenizer that was trained with, for each kind of file", async () => {
    const text = "Some text, 2 lines.\nOf it.";
    const config = { eos_token: "<|endoftext|>", bos_token: "<|endoftext|>" };
    const byFile = join(root, "by-file");
    cpSync(tokenizer, byFile, { recursive: true });
    renameSync(join(byFile, "tokenizer.json"), join(byFile, "mine.json"));
    writeFileSync(join(byFile, "tokenizer_config.json"), JSON.stringify(config));
    const ranks = join(root, "gpt2.tiktoken");
    const bytes = Array.from({ length: 256 }, (_, byte) => Buffer.from([byte]).toString("base64"));
    writeFileSync(ranks, bytes.map((token, rank) => `${token} ${rank}\n`).join(""));
    for (const [name, path] of [
      ["from-json", join(byFile, "mine.json")],
      ["from-ranks", ranks],
    ] as const) {
      const { modelFolder } = await trainLanguageModel(
        optionsFor(name, { tokenizer: path, steps: 1 }),
      );
      const [ours, exported] = [await loadTokenizer(path), await loadTokenizer(modelFolder)];
      expect([...exported.encodeIds(text)]).toEqual([...ours.encodeIds(text)]);
      expect(exported.eosTokenId).toBe(ours.eosTokenId);
      expect(exported.bosTokenId).toBe(ours.bosTokenId);
    }
  });

  test("a run that is there, another configuration, a damaged checkpoint: clear errors, nothing lost", async () => {
    await trainLanguageModel(optionsFor("spoilt"));
    const before = weightsDigest("spoilt");
    expect(await codeOf(trainLanguageModel(optionsFor("spoilt")))).toBe("train-run-exists");
    const changed = trainLanguageModel(optionsFor("spoilt", { existing: "resume", batch: 8 }));
    await expect(changed).rejects.toThrow(/batch was 4, is 8/);
    const last = join(root, "spoilt/checkpoints/step-00000030.safetensors");
    truncateSync(last, 5000);
    const damaged = trainLanguageModel(optionsFor("spoilt", { existing: "resume" }));
    await expect(damaged).rejects.toThrow(/remove it to go on from step 20/);
    expect(await codeOf(damaged)).toBe("train-checkpoint-damaged");
    expect(weightsDigest("spoilt")).toBe(before);
    // As advised.
    rmSync(last);
    await trainLanguageModel(optionsFor("spoilt", { existing: "resume" }));
    expect(weightsDigest("spoilt")).toBe(before);
  });

  test.each([
    [{ steps: 0 }, "option-invalid"],
    [{ accumulation: 3 }, "option-invalid"],
    [{ frozen: ["nothing"] }, "option-invalid"],
    [{ frozen: ["model.layers.*", "*.norm"] }, "option-invalid"],
    [{ frozen: ["*"] }, "train-nothing-learns"],
    [{ corpora: [] }, "option-invalid"],
    [{ corpora: [{ files: ["book.txt"], weight: 0 }] }, "option-invalid"],
    [{ averageDecay: 1 }, "option-invalid"],
    [{ checkpointEvery: 0 }, "option-invalid"],
    [{ evaluationSequences: 0 }, "option-invalid"],
    [{ optimizer: [{ kind: "lion" } as never] }, "option-invalid"],
    [{ schedule: { kind: "cosine", peak: 1 } as never }, "option-invalid"],
    [{ sequenceLength: 100_000 }, "corpus-too-short"],
    [{ corpora: [{ files: ["/nowhere/at/all.txt"] }] }, "corpus-file-unreadable"],
    [{ corpora: [{ files: [] }] }, "corpus-empty"],
  ] as [Partial<TrainLanguageModelOptions>, string][])("%o: %s", async (more, code) => {
    const name = `bad-${createHash("sha256").update(JSON.stringify(more)).digest("hex")}`;
    expect(await codeOf(trainLanguageModel(optionsFor(name, more)))).toBe(code);
  });
});
