import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete, openDrafter, openExactBytes } from "../../generate/index.ts";
import {
  type LoadedModel,
  loadModel,
  type PolicyOptions,
  rowsOfTokens,
} from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { createContextPolicy, parseContextPolicy } from "../policies/index.ts";
import { describePolicy } from "../testing/describe-policy.ts";
import {
  attendedPlaces,
  hasPolicyOracle,
  largestDifference,
  type OracleCase,
  type OracleRun,
  oracleCases,
  oracleModel,
  runOracle,
} from "../testing/policy-oracle.ts";
import { landmarkAttention } from "./index.ts";

const block = 7;
const config = { mem_id: 511, mem_freq: block, train_context_length: 64 };
/** Prompt chunks of three blocks. */
const small = { ...config, mem_freq: 5 };
const modes = ["perTokenAndHead", "maxOverHeads", "maxOverTokens"] as const;

for (const mode of modes) {
  describePolicy({
    name: `landmark, ${mode}`,
    config: small,
    small: landmarkAttention({ blocks: 2, mode, chunk: 15 }),
    large: landmarkAttention({ blocks: 25, mode, chunk: 15 }),
    // The whole prompt in one chunk, and the landmarks of all blocks.
    whole: landmarkAttention({ blocks: 25, chunk: 1000 }),
  });
}
describePolicy({
  name: "landmark, the latest blocks alone",
  config,
  small: landmarkAttention({ blocks: 2, capacity: 3, chunk: 20 }),
});
describePolicy({
  name: "landmark, no retrieval",
  config,
  small: landmarkAttention({ blocks: 0, chunk: 21 }),
});

describe("a model with landmarks", () => {
  let folder = "";
  let model: LoadedModel;
  const ids = Array.from({ length: 70 }, (_, at) => 5 + ((at * at * 7 + 11 * at) % 480));
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "jeton-landmark-"));
    const tokenizer = join(bundledModel, "tokenizer.json");
    createRandomCheckpoint(folder, { family: "llama", seed: 8, layers: 2, tokenizer });
    addKeys(folder, config);
    model = await loadModel(folder, { inline: true, threads: 1, onWarning: () => undefined });
  });
  afterAll(async () => {
    await model.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("runs under its own policy, beyond the trained window, and never writes a landmark", async () => {
    expect(model.contextPolicy).toMatchObject({
      name: "landmark",
      // Four blocks, and as many tokens as 64 rows have behind five slots of 8.
      options: { blocks: 4, chunk: 21 },
      inserts: { id: 511, every: 7 },
    });
    const options = { maxTokens: 60, ignoreEos: true, temperature: 3, seed: 1 } as const;
    const { ids: written, context } = await complete(model, ids, options);
    expect(context).toMatchObject({ policy: "landmark" });
    expect(written).not.toContain(511);
    expect(model.contextLength).toBeGreaterThan(1000);
    const named = landmarkAttention({ blocks: 4 });
    const same = await complete(model, ids, { ...options, contextPolicy: named });
    expect(same.ids).toEqual(written);
  });

  test("drafted text is that without a drafter, or the pair is refused", async () => {
    await using drafter = await closing(await openDrafter("prompt-lookup", model));
    for (const mode of modes) {
      const contextPolicy = landmarkAttention({ blocks: 2, mode, chunk: 14 });
      const options = { contextPolicy, greedy: true, maxTokens: 30, ignoreEos: true };
      const drafted = complete(model, ids, { ...options, drafter });
      if (mode === "maxOverTokens") {
        await expect(drafted).rejects.toMatchObject({ code: "context-policy-drafts" });
        continue;
      }
      expect((await drafted).ids).toEqual((await complete(model, ids, options)).ids);
    }
  });

  test("has a distribution of the next byte, byte by byte as at once", async () => {
    const own = join(folder, "bytes");
    const texts = ["the king and the queen sat on a green hill and saw the sea ".repeat(9)];
    const tokenizer = join(own, "tokenizer");
    const kind = "byte-level-bpe";
    await saveTokenizer(tokenizer, await trainTokenizer({ kind, texts, vocabSize: 300 }));
    const file = join(tokenizer, "tokenizer.json");
    createRandomCheckpoint(own, { family: "llama", seed: 8, layers: 2, tokenizer: file });
    addKeys(own, config);
    await using small = await loadModel(own, { inline: true, threads: 1, onWarning() {} });
    await using bytes = await closing(await openExactBytes(small));
    const sum = (logs: Float64Array): number => logs.reduce((all, log) => all + Math.exp(log), 0);
    // Beyond the trained window.
    const long = new TextEncoder().encode(texts[0]);
    await bytes.prefill(long);
    expect(small.tokenizer.countTokens(texts[0]!)).toBeGreaterThan(100);
    expect(sum(await bytes.logProbabilities())).toBeCloseTo(1, 9);
    const text = long.subarray(0, 40);
    await bytes.prefill(text);
    const whole = await bytes.logProbabilities();
    await bytes.prefill(text.subarray(0, 28));
    for (const byte of text.subarray(28)) {
      await bytes.logProbabilities();
      await bytes.advance(byte);
    }
    const grown = await bytes.logProbabilities();
    for (const [outcome, log] of whole.entries()) {
      expect(Math.abs(Math.exp(log) - Math.exp(grown[outcome]!))).toBeLessThan(1e-5);
    }
  });

  test("sequences of which each token depends on the choice before give no bytes", async () => {
    const sequential = model.withContextPolicy!(
      landmarkAttention({ mode: "maxOverTokens", chunk: 14 }),
    );
    expect(await codeOf(openExactBytes(sequential))).toBe("context-policy-unavailable");
  });

  test("heads of which there is one share nothing: maxOverHeads is perTokenAndHead", async () => {
    const single = mkdtempSync(join(tmpdir(), "jeton-landmark-head-"));
    const one = { family: "llama", seed: 8, layers: 2, heads: 1, kvHeads: 1 };
    createRandomCheckpoint(single, { ...one, tokenizer: join(bundledModel, "tokenizer.json") });
    addKeys(single, config);
    const quiet = { onWarning: () => undefined };
    await using own = await loadModel(single, { inline: true, threads: 1, ...quiet });
    const read = (mode: (typeof modes)[number]) =>
      runOracle(own, landmarkAttention({ blocks: 2, mode, chunk: 14 }), ids, {
        steps: 8,
        attended: false,
      });
    const [alone, shared] = [await read("perTokenAndHead"), await read("maxOverHeads")];
    expect(shared.greedyIds).toEqual(alone.greedyIds);
    expect(largestDifference(shared.logitsAfterSteps, alone.logitsAfterSteps)).toBeLessThan(1e-5);
    rmSync(single, { recursive: true, force: true });
  });

  test("a block that is not retrieved changes nothing", async () => {
    const policy = landmarkAttention({ blocks: 0, chunk: 21 });
    const run = (given: readonly number[]) =>
      runOracle(model, policy, given, { steps: 0, attended: false });
    const [plain, changed] = [await run(ids), await run(ids.with(3, 77))];
    expect([...changed.logitsAfterPrompt]).toEqual([...plain.logitsAfterPrompt]);
    expect([...(await run(ids.with(66, 77))).logitsAfterPrompt]).not.toEqual([
      ...plain.logitsAfterPrompt,
    ]);
  });

  test("what cannot be is refused", async () => {
    const text =
      (of: readonly number[], policy = "landmark:blocks=2") =>
      () =>
        complete(model, of, { contextPolicy: parseContextPolicy(policy), maxTokens: 1 });
    expect(await codeOf(text([5, 511, 6]))).toBe("context-policy-inserted");
    expect(await codeOf(text([5], "landmark:blocks=7"))).toBe("context-policy-option");
    expect(await codeOf(text([5], "landmark:mode=loud"))).toBe("context-policy-option");
    const { hiddenSize } = model.config;
    const embedded = () =>
      complete(model, [5, 6], { promptEmbeddings: new Float32Array(2 * hiddenSize) });
    expect(await codeOf(embedded)).toBe("generate-option-invalid");
    await using plain = await loadModel(bundledModel, { inline: true, threads: 1 });
    const elsewhere = () => complete(plain, "x", { contextPolicy: landmarkAttention() });
    expect(await codeOf(elsewhere)).toBe("context-policy-unavailable");
  });
});

/** Writes keys into a checkpoint's `config.json`. */
function addKeys(folder: string, keys: object): void {
  const path = join(folder, "config.json");
  const known = JSON.parse(readFileSync(path, "utf8")) as object;
  writeFileSync(path, JSON.stringify({ ...known, ...keys }));
}

/** Closes a drafter at the end of a block. */
async function closing<Drafter extends { close(): void | Promise<void> }>(
  drafter: Drafter,
): Promise<Drafter & AsyncDisposable> {
  return Object.assign(drafter, {
    [Symbol.asyncDispose]: async () => {
      await drafter.close();
    },
  });
}

const cases = oracleCases("landmark").filter(({ policy }) => policy === "landmark-cache");

describe.skipIf(!hasPolicyOracle)("the block cache equals an independent float64 program", () => {
  let model: LoadedModel;
  beforeAll(async () => {
    model = await loadModel(oracleModel({ model: "landmark-a" }), {
      format: "f32",
      inline: true,
      threads: 1,
      onWarning: () => undefined,
    });
  });
  afterAll(() => model.close());

  test.each(cases.map((case_) => [case_.name, case_] as const))("%s", async (_name, case_) => {
    const { settings, chunk, expected, steps, promptIds } = case_;
    const { block: _block, ...rest } = settings;
    const options = { ...rest, chunk: chunk! } as PolicyOptions;
    const policy = createContextPolicy("landmark", options);
    const run = await runOracle(model, policy, promptIds, { steps, attended: true, chunk: chunk! });
    expectRetrieved(run, case_, model);
    expect(run.greedyIds).toEqual(expected.greedyIds);
    for (const [found, wanted] of [
      [run.logitsAfterPrompt, expected.logitsAfterPrompt],
      [run.logitsAfterSteps, expected.logitsAfterSteps],
    ] as const) {
      // The landmark's own logit is never used.
      expect(largestDifference(found.subarray(0, 512), wanted.slice(0, 512))).toBeLessThan(1e-3);
    }
  });
});

/** Blocks that the last token of each listed chunk retrieved. */
function expectRetrieved(run: OracleRun, { expected }: OracleCase, model: LoadedModel): void {
  const { numAttentionHeads: heads, layers } = model.config;
  let checked = 0;
  for (const { layer, firstQuery, chosen } of expected.retrieved!) {
    let before = 0;
    const step = run.steps.find(({ tokens }) => {
      const isIt = rowsOfTokens(before, block) === firstQuery;
      before = isIt ? before : tokens;
      return isIt;
    })!;
    const first = Math.floor(before / block);
    // The chunk's last row is a landmark where its last token fills a block.
    const row = step.tokens % block === 0 ? chosen.length - 2 : chosen.length - 1;
    for (const [head, wanted] of chosen[row]!.entries()) {
      const places = attendedPlaces(step, { layer, head, heads, layers: layers.length });
      const blocks = places.map((at) => Math.floor(at / block)).filter((id) => id < first);
      expect([...new Set(blocks)], `layer ${layer}, head ${head}`).toEqual(wanted);
      expect(blocks.length).toBe(block * wanted.length);
      checked++;
    }
  }
  expect(checked).toBeGreaterThan(0);
}
