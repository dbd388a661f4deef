import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { trainLanguageModel } from "../../train/index.ts";
import {
  corpora,
  root as data,
  prose,
  optionsFor as smallRun,
  useSmallCorpora,
} from "../../train/testing/small-run.ts";
import type { TrainCompressorOptions } from "./index.ts";
import {
  identifyModel,
  openCompressor,
  readCompressor,
  readCompressorRunOptions,
  trainCompressor,
} from "./index.ts";

useSmallCorpora();
const root = mkdtempSync(join(tmpdir(), "jeton-compressors-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let model = "";
let heldOut = "";
beforeAll(async () => {
  ({ modelFolder: model } = await trainLanguageModel(smallRun("model", { steps: 10 })));
  heldOut = join(data, "held-out.txt");
  writeFileSync(heldOut, prose(7, 60));
});

function optionsFor(
  name: string,
  more: Partial<TrainCompressorOptions> = {},
): TrainCompressorOptions {
  return {
    folder: join(root, name),
    model,
    corpora,
    steps: 8,
    batch: 3,
    window: 16,
    windows: 2,
    chunk: 8,
    factors: [2, 4, 8],
    threads: 1,
    seed: 2,
    checkpointEvery: 3,
    ...more,
  };
}

const digestOf = (file: string): string =>
  createHash("sha256").update(readFileSync(file)).digest("hex");

describe("training a compressor", () => {
  test("writes a compressor for the model, which does not change", async () => {
    const before = digestOf(join(model, "model.safetensors"));
    const result = await trainCompressor(
      optionsFor("whole", { heldOut: { files: [heldOut] }, evaluateEvery: 4 }),
    );
    expect(result.steps).toBe(8);
    // Every token behind the first chunk of each sample, but for the beginnings of documents.
    expect(result.tokens).toBeGreaterThan(8 * 3 * 28);
    expect(result.tokens).toBeLessThanOrEqual(8 * 3 * 32);
    expect(result.heldOutLoss).toBeGreaterThan(0);
    expect(digestOf(join(model, "model.safetensors"))).toBe(before);
    await using loaded = await loadModel(model, { inline: true, threads: 1 });
    const read = await readCompressor(result.file, loaded.config);
    expect(read.config).toEqual({
      ...{ layers: 1, window: 16, factors: [2, 4, 8], norm: "final", projection: true },
    });
    expect(read.model).toBe(await identifyModel(model));
    await using open = await openCompressor(loaded, result.file, { inline: true, threads: 1 });
    const { outputs } = await open.compress([1, 2, 3]);
    expect(outputs.every(Number.isFinite)).toBe(true);
  });

  test("an interrupted run goes on and ends the same, bit for bit", async () => {
    const whole = await trainCompressor(optionsFor("uninterrupted"));
    const stop = new AbortController();
    const { folder } = optionsFor("interrupted");
    const interrupted = trainCompressor(
      optionsFor("interrupted", {
        signal: stop.signal,
        onProgress: ({ step }) => step === 5 && stop.abort(new Error("enough")),
      }),
    );
    await expect(interrupted).rejects.toThrow("enough");
    const known = await readCompressorRunOptions(folder);
    const resumed = await trainCompressor({ ...known, existing: "resume" });
    expect(digestOf(resumed.file)).toBe(digestOf(whole.file));
    expect(resumed.loss).toBe(whole.loss);
  });

  test("goes on from another compressor of the same form", async () => {
    const first = await trainCompressor(optionsFor("first"));
    const second = await trainCompressor(
      optionsFor("second", {
        initialCompressor: first.file,
        schedule: { kind: "constant", peak: 0 },
      }),
    );
    const [a, b] = [readFileSync(first.file), readFileSync(second.file)];
    expect(b.equals(a)).toBe(true);
    const other = optionsFor("third", { initialCompressor: first.file, norm: "none" });
    expect(await codeOf(trainCompressor(other))).toBe("compressor-invalid");
  });

  test("sizes that would let an embedding hold what it helps to predict, and corpora without a share, are refused", async () => {
    const wrong: Partial<TrainCompressorOptions>[] = [
      { factors: [2, 3] },
      { chunk: 6 },
      { chunk: 24 },
      { factors: [4, 2] },
      { factors: [] },
      { layers: 3 },
      { windows: 40, factors: [2] },
      { steps: 0 },
      { corpora: [] },
      { corpora: optionsFor("").corpora.map((corpus) => ({ ...corpus, weight: 0 })) },
    ];
    for (const [at, more] of wrong.entries()) {
      expect(await codeOf(trainCompressor(optionsFor(`wrong-${at}`, more)))).toBe("option-invalid");
    }
  });

  test("a run of another kind is no run of a compressor", async () => {
    expect(await codeOf(readCompressorRunOptions(join(data, "model")))).toBe("train-run-missing");
    expect(await codeOf(readCompressorRunOptions(join(root, "absent")))).toBe("train-run-missing");
  });
});
