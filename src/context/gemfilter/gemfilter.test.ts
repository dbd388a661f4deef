import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { complete } from "../../generate/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { errorOf } from "../../testing/code-of.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { describePolicy } from "../testing/describe-policy.ts";
import {
  hasPolicyOracle,
  largestDifference,
  oracleCases,
  oracleModel,
  oracleOptions,
} from "../testing/policy-oracle.ts";
import {
  gemFilter,
  largestScores,
  needlePrompts,
  poolScores,
  savedFilterLayer,
  saveFilterLayer,
  scorePrompt,
} from "./index.ts";

describePolicy({
  name: "gemfilter",
  small: gemFilter({ layer: 0, k: 40 }),
  large: gemFilter({ layer: 1, k: 200 }),
});

describe("choosing tokens", () => {
  test("pooling by hand: zeros beyond the ends count in the average alone", () => {
    const scores = [3, 6, 9];
    expect([...poolScores(scores, { kernel: 3, pooling: "average" })]).toEqual([3, 6, 5]);
    expect([...poolScores(scores, { kernel: 3, pooling: "max" })]).toEqual([6, 9, 9]);
  });

  test("of equal scores the lower place is chosen, and places come in order", () => {
    expect(largestScores([1, 5, 2, 5, 5], 2)).toEqual([1, 3]);
    expect(largestScores([1, 5, 2], 9)).toEqual([0, 1, 2]);
  });
});

describe("the filter layer saved with a model", () => {
  const folder = mkdtempSync(join(tmpdir(), "jeton-gemfilter-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const open = (): Promise<LoadedModel> =>
    loadModel(folder, { format: "f32", inline: true, threads: 1, onWarning: () => undefined });

  test("is found when no layer is given; without one, a layer has to be given", async () => {
    const tokenizer = join(bundledModel, "tokenizer.json");
    createRandomCheckpoint(folder, { family: "llama", seed: 3, layers: 3, tokenizer });
    const prompt = Array.from({ length: 60 }, (_, at) => 5 + ((7 * at * at) % 400));
    const run = (model: LoadedModel, contextPolicy = gemFilter({ k: 16 })) =>
      complete(model, prompt, { contextPolicy, greedy: true, maxTokens: 4, ignoreEos: true });
    {
      await using model = await open();
      const { message, details } = await errorOf(run(model));
      expect(message).toContain("jeton context calibrate");
      expect(details).toMatchObject({ option: "layer" });
      // Also where the prompt is short enough for no pass of the layer.
      const beyond = await errorOf(run(model, gemFilter({ layer: 3 })));
      expect(beyond.message).toMatch(/the option layer is 3, expected a layer of .* from 0 to 2/);
    }
    await saveFilterLayer(folder, 2);
    await using model = await open();
    expect(savedFilterLayer(model)).toBe(2);
    const saved = await run(model);
    expect(saved.context?.options["layer"]).toBe(2);
    const given = await run(model, gemFilter({ k: 16, layer: 2 }));
    expect([saved.context, saved.ids]).toEqual([given.context, given.ids]);
    // What the file said before is still there.
    const file = JSON.parse(readFileSync(join(folder, "generation_config.json"), "utf8")) as object;
    expect(file).toMatchObject({
      _from_model_config: true,
      context_policies: { gemfilter: { layer: 2 } },
    });
    await saveFilterLayer(folder, 7);
    await using other = await open();
    expect(savedFilterLayer(other)).toBeUndefined();
  });

  test("needle prompts have their length, and the needle is the number", async () => {
    await using model = await loadModel(bundledModel, { inline: true, threads: 1 });
    const { tokenizer } = model;
    const found = needlePrompts(tokenizer, { tokens: 300, count: 6 });
    for (const { ids, needle } of found) {
      expect(Math.abs(ids.length - 300)).toBeLessThan(40);
      expect(tokenizer.decode(ids.slice(needle, needle + 3))).toMatch(/^ ?\d{2,}/);
      expect(tokenizer.decode(ids.slice(0, needle))).toMatch(/The pass key is$/);
    }
  });

  test("that of the bundled model chooses the number of most prompts", async () => {
    await using model = await loadModel(bundledModel, { inline: true, threads: 1 });
    const policy = gemFilter({ k: 60 });
    const view = model.withContextPolicy!(policy);
    const prompts = needlePrompts(model.tokenizer, { tokens: 400, count: 6, seed: 1 });
    let chosen = 0;
    for (const { ids, needle } of prompts) {
      const places = await view.contextPolicy!.choosePrompt!(view, ids);
      if (places.includes(needle)) chosen++;
    }
    expect(chosen).toBeGreaterThanOrEqual(5);
  });
});

describe.skipIf(!hasPolicyOracle)("equals an independent float64 program", () => {
  const opened = new Map<string, LoadedModel>();
  afterAll(async () => {
    for (const model of opened.values()) await model.close();
  });

  test.each(oracleCases("gemfilter").map((case_) => [case_.name, case_] as const))(
    "%s",
    async (_name, case_) => {
      const folder = oracleModel(case_);
      const model =
        opened.get(folder) ??
        (await loadModel(folder, { format: "f32", inline: true, threads: 1 }));
      opened.set(folder, model);
      const { promptIds, steps, expected, settings } = case_;
      const policy = gemFilter(oracleOptions(case_));
      const scores = await scorePrompt(model.withContextPolicy!(policy), promptIds);
      const { kernel, pooling } = settings as { kernel: number; pooling: "average" | "max" };
      const pooled = poolScores(scores, { kernel, pooling });
      for (const [found, right] of [
        [scores, expected.scores!],
        [pooled, expected.pooled!],
      ] as const) {
        const scale = Math.max(...right.map(Math.abs));
        expect(largestDifference(found, right) / scale).toBeLessThan(1e-5);
      }
      const result = await complete(model, promptIds, {
        contextPolicy: policy,
        greedy: true,
        ignoreEos: true,
        maxTokens: steps,
      });
      expect(result.context?.chosen).toEqual(expected.indices);
      expect(result.ids).toEqual(expected.greedyIds);
    },
  );
});
