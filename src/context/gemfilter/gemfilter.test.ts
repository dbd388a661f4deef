import { afterAll, describe, expect, test } from "vitest";
import { complete } from "../../generate/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { describePolicy } from "../testing/describe-policy.ts";
import {
  hasPolicyOracle,
  largestDifference,
  oracleCases,
  oracleModel,
  oracleOptions,
} from "../testing/policy-oracle.ts";
import { gemFilter, largestScores, poolScores, scorePrompt } from "./index.ts";

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
