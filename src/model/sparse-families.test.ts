/** Sparse decoders against answers of an independent float64 program. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testData } from "../testing/test-data.ts";
import { loadModel } from "./load-model.ts";

interface ExpectedText {
  readonly ids: number[];
  readonly logits: number[];
  readonly greedyIds: number[];
  /** [layer][position][rank], null for a dense layer. */
  readonly experts: (number[][] | null)[];
  readonly expertWeights: (number[][] | null)[];
}

describe.each(["mixtral", "qwen2-moe"])("%s", (family) => {
  const data = testData(`models/families/${family}`);
  test.skipIf(data.skip)("logits, experts and greedy ids equal the expected ones", async () => {
    const { texts } = JSON.parse(readFileSync(join(data.folder, "expected.json"), "utf8")) as {
      texts: ExpectedText[];
    };
    await using model = await loadModel(data.folder, { format: "f32", threads: 1, inline: true });
    for (const { ids, logits, greedyIds, experts, expertWeights } of texts) {
      const sequence = await model.openSequence();
      const whole = await sequence.step({ ids, results: "all", logits: true, routing: true });
      const last = whole.logits!.subarray(-model.config.vocabSize);
      const furthest = Math.max(...logits.map((logit, id) => Math.abs(logit - last[id]!)));
      expect(furthest).toBeLessThan(1e-4);
      // [position][layer][rank] of sparse layers.
      const sparse = experts.filter((layer) => layer !== null);
      const byPosition = ids.flatMap((_, at) => sparse.flatMap((layer) => layer[at]!));
      expect([...whole.expertChoices!]).toEqual(byPosition);
      const weights = expertWeights.filter((layer) => layer !== null);
      const expected = ids.flatMap((_, at) => weights.flatMap((layer) => layer[at]!));
      for (const [at, weight] of expected.entries()) {
        expect(Math.abs(weight - whole.expertWeights![at]!)).toBeLessThan(1e-5);
      }
      let result = whole;
      let next = result.topIds[ids.length - 1]!;
      for (const id of greedyIds) {
        expect(next).toBe(id);
        result = await sequence.step({ ids: [id] });
        next = result.topIds[0]!;
      }
      await sequence.release();
    }
  });
});
