/** The conformance suite of context policies. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete } from "../../generate/index.ts";
import { type ContextPolicy, type LoadedModel, loadModel } from "../../model/index.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { fullAttention } from "../policies/index.ts";
import { attendedPlaces, largestDifference, runOracle } from "./policy-oracle.ts";

/** A policy under test. */
export interface PolicySubject {
  readonly name: string;
  /** With budgets below 60 tokens. */
  readonly small: ContextPolicy;
  /** With budgets of at least 200 tokens; of policies that choose nothing, absent. */
  readonly large?: ContextPolicy;
  /** Tokens that the last one of a long text attends to under `small`, of each head. */
  readonly budget?: number;
  /** True: a token may leave itself out. Default false. */
  readonly missesItself?: boolean;
}

const ids = Array.from({ length: 120 }, (_, at) => 5 + ((at * at * 7 + 11 * at) % 480));
const promptLength = 90;

/** Runs the suite on a small random model whose heads share keys. */
export function describePolicy({
  name,
  small,
  large,
  budget,
  missesItself = false,
}: PolicySubject): void {
  describe(`context policy ${name}`, () => {
    let folder: string;
    let model: LoadedModel;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "jeton-policy-"));
      const tokenizer = join(bundledModel, "tokenizer.json");
      createRandomCheckpoint(folder, { family: "llama", seed: 3, layers: 2, tokenizer });
      model = await loadModel(folder, { inline: true, threads: 1, format: "f32" });
    });
    afterAll(async () => {
      await model.close();
      rmSync(folder, { recursive: true, force: true });
    });

    const read = (policy: ContextPolicy, steps: number, options = {}) =>
      runOracle(model, policy, ids.slice(0, promptLength), { steps, attended: false, ...options });

    test.runIf(large)("equals full attention where everything fits", async () => {
      const [whole, own] = [await read(fullAttention(), 8), await read(large!, 8)];
      expect(own.greedyIds).toEqual(whole.greedyIds);
      expect(largestDifference(own.logitsAfterPrompt, whole.logitsAfterPrompt)).toBeLessThan(1e-5);
      expect(largestDifference(own.logitsAfterSteps, whole.logitsAfterSteps)).toBeLessThan(1e-5);
    });

    test.runIf(small.showsAttended)("chooses each token once, none of the future", async () => {
      const run = await read(small, 6, { attended: true });
      const { numAttentionHeads: heads, layers: all } = model.config;
      for (const step of run.steps.slice(1)) {
        for (const layer of all.keys()) {
          for (let head = 0; head < heads; head++) {
            const at = { layer, head, heads, layers: all.length };
            const places = attendedPlaces(step, at);
            expect(places[0]).toBeGreaterThanOrEqual(0);
            if (missesItself) expect(places.at(-1)).toBeLessThan(step.tokens);
            else expect(places.at(-1)).toBe(step.tokens - 1);
            if (budget) expect(places.length).toBe(budget);
          }
        }
      }
    });

    test("decoded tokens in one step equal tokens one by one", async () => {
      const one = await decode(small, (rest) => rest.map((id) => [id]));
      if (small.drafting.kind === "refused") {
        // Cut into single tokens by the worker; draft tokens are refused.
        await expect(decode(small, (rest) => [rest], true)).rejects.toMatchObject({
          code: "context-policy-drafts",
        });
      }
      const all = await decode(small, (rest) => [rest]);
      expect(largestDifference(all, one)).toBeLessThan(1e-5);
    });

    test("accepted rows of a draft equal decoded ones, rejected rows leave nothing", async () => {
      if (small.drafting.kind === "refused") return;
      const plain = await decode(small, (rest) => rest.slice(0, 6).map((id) => [id]));
      const view = model.withContextPolicy!(small);
      const sequence = await view.openSequence({ promptLength });
      await sequence.step({ ids: ids.slice(0, promptLength), results: "none" });
      const rest = ids.slice(promptLength, promptLength + 6);
      await sequence.step({ ids: [...rest.slice(0, 3), 9, 9, 9], commit: false, results: "all" });
      await sequence.accept([0, 1, 2]);
      const { logits } = await sequence.step({ ids: rest.slice(3), logits: true });
      await sequence.release();
      expect(largestDifference(logits!, plain)).toBeLessThan(1e-5);
    });

    test("a prompt that was read before gives what a fresh one gives", async () => {
      const fresh = await complete(model, ids.slice(0, promptLength), options(small));
      const reused = await complete(model, ids.slice(0, promptLength), options(small));
      const longer = await complete(model, ids, options(small));
      expect(reused.ids).toEqual(fresh.ids);
      if (small.reuse === "none") expect(reused.reusedTokens).toBe(0);
      else if (!small.choosePrompt) expect(reused.reusedTokens).toBeGreaterThan(0);
      // After another prompt nothing of the first is left.
      await complete(model, [7, 8, 9], options(small));
      const again = await complete(model, ids, { ...options(small), prefillChunk: 960 });
      expect(again.ids).toEqual(longer.ids);
    });

    const options = (contextPolicy: ContextPolicy) =>
      ({ greedy: true, maxTokens: 8, ignoreEos: true, contextPolicy }) as const;

    /** Logits after the last of all ids, of which those behind the prompt come in given steps. */
    async function decode(
      policy: ContextPolicy,
      cut: (rest: number[]) => number[][],
      isDraft = false,
    ): Promise<Float32Array> {
      const sequence = await model.withContextPolicy!(policy).openSequence({ promptLength });
      try {
        await sequence.step({ ids: ids.slice(0, promptLength), results: "none" });
        let logits: Float32Array = new Float32Array();
        for (const part of cut(ids.slice(promptLength))) {
          const step = { ids: part, logits: true, ...(isDraft && { commit: false }) };
          logits = (await sequence.step(step)).logits!;
        }
        return logits;
      } finally {
        await sequence.release();
      }
    }
  });
}
