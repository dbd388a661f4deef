import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ModelConfig } from "../checkpoint/index.ts";
import { score } from "../generate/index.ts";
import { smallWordConfig } from "../model/byte/testing/small-word-model.ts";
import { loadModel } from "../model/index.ts";
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

describe.each(["word-pooled", "hierarchical-transformer"])("%s", (family) => {
  const options = (name: string) =>
    optionsFor(`${name}-${family}`, {
      config: smallWordConfig(family),
      tokenizer: "bytes",
      sequenceLength: 96,
      steps: 24,
      checkpointEvery: 12,
      schedule: { kind: "constant", peak: 5e-3 },
    });

  test("learns, resumes bit for bit and loads like any other model", async () => {
    const heldOut = { files: [join(root, "book.txt")] };
    const whole = await trainLanguageModel({ ...options("whole"), heldOut });
    const losses = readLog(`whole-${family}`).map(({ loss }) => loss);
    expect(losses[0]).toBeGreaterThan(4);
    expect(losses.at(-1)!).toBeLessThan(0.75 * losses[0]!);
    for (const file of ["loss.svg", "model/README.md"]) {
      expect(readFileSync(join(root, `whole-${family}`, file), "utf8")).toContain(" nats a byte");
    }
    const stop = new AbortController();
    const broken = trainLanguageModel({
      ...options("broken"),
      heldOut,
      signal: stop.signal,
      onCheckpoint: ({ step }) => step === 12 && stop.abort(),
    });
    await expect(broken).rejects.toThrow();
    await trainLanguageModel({ ...options("broken"), heldOut, existing: "resume" });
    expect(weightsDigest(`broken-${family}`)).toBe(weightsDigest(`whole-${family}`));
    await using model = await loadModel(whole.modelFolder, { inline: true });
    // The loss is in nats a byte, word ends included, as scores are.
    const { bitsPerByte } = await score(model, prose(99, 40).slice(0, 200));
    expect(Math.abs(bitsPerByte - whole.heldOutBitsPerByte!)).toBeLessThan(0.6);
    expect(whole.heldOutBitsPerByte).toBeCloseTo(whole.heldOutLoss! / Math.LN2, 1);
  });
});

test("other tokens than bytes, and unknown sizes, are refused before anything is trained", async () => {
  const config = smallWordConfig("hierarchical-transformer");
  const wrong: [Partial<ReturnType<typeof optionsFor>>, string][] = [
    [{ config }, "train-tokenizer-not-bytes"],
    [
      { tokenizer: "bytes", config: { ...config, num_word_prefixes: 2 } as ModelConfig },
      "model-config-invalid",
    ],
    [
      { tokenizer: "bytes", config: { ...config, word_rule: "sentence" } as ModelConfig },
      "word-rule-invalid",
    ],
    [{ tokenizer: "bytes", config, initialization: { inductionHeads: true } }, "option-invalid"],
  ];
  for (const [index, [change, code]] of wrong.entries()) {
    const error = await errorOf(trainLanguageModel(optionsFor(`wrong-${index}`, change)));
    expect(error.code).toBe(code);
    rmSync(join(root, `wrong-${index}`), { recursive: true, force: true });
  }
});
