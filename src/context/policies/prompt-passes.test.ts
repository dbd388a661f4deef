/** How prompts are cut into passes under policies, and what is scored under them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete, score, scoreContinuations } from "../../generate/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { largestDifference, runOracle } from "../testing/policy-oracle.ts";
import { fullAttention, parseContextPolicy } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "jeton-prompt-passes-"));
let model: LoadedModel;
beforeAll(async () => {
  const tokenizer = join(bundledModel, "tokenizer.json");
  createRandomCheckpoint(folder, { family: "llama", seed: 6, layers: 2, tokenizer });
  const how = { inline: true, threads: 1, format: "f32", onWarning: () => undefined } as const;
  model = await loadModel(folder, how);
});
afterAll(async () => {
  await model.close();
  rmSync(folder, { recursive: true, force: true });
});

const ids = Array.from({ length: 600 }, (_, at) => 5 + ((at * at * 7 + 11 * at) % 480));

test("chunks that keep an earlier choice are never cut by a pass, however long the prompt", async () => {
  const contextPolicy = parseContextPolicy(
    "token-select:init=1,local=7,k=9,cache=0.3,cacheInPrefill=true",
  );
  const whole = await runOracle(model, contextPolicy, ids, { steps: 8, attended: false });
  const options = { contextPolicy, greedy: true, ignoreEos: true, maxTokens: 8 } as const;
  expect((await complete(model, ids, options)).ids).toEqual(whole.greedyIds);
  await expect(complete(model, ids, { ...options, prefillChunk: 4 })).rejects.toThrow(
    /prefillChunk is 4, expected a multiple of 7/,
  );
});

test("a long chunk is no error where the incomplete block completes what is kept", async () => {
  // Of 30 tokens one whole block of 16 lies before the latest ones: nothing is left out.
  const policy = parseContextPolicy("block-selection:init=1,local=3,block=16,blocks=1,chunk=30");
  const read = (own: typeof policy, length: number) =>
    runOracle(model, own, ids.slice(0, length), { steps: 0, attended: false });
  for (const length of [30, 35]) {
    const whole = await read(fullAttention(), length);
    const kept = await read(policy, length);
    expect(largestDifference(kept.logitsAfterPrompt, whole.logitsAfterPrompt)).toBeLessThan(1e-5);
  }
  const longer = parseContextPolicy("block-selection:init=1,local=3,block=16,blocks=1,chunk=36");
  await expect(read(longer, 36)).rejects.toMatchObject({ code: "context-policy-chunk" });
});

describe("scores under policies", () => {
  const prompt = ids.slice(0, 60);
  const continuations = [[5, 6, 8], [5, 6, 9], [5, 7], [300]];

  test.each([
    "full",
    "sinks-window:sinks=2,window=8",
    "token-select:init=1,local=7,k=4",
    "longheads:chunk=4,length=12",
    "snapkv:k=8,window=4",
    "h2o:k=8,recent=4,evict=afterPrompt",
  ])("continuations have the probabilities of decoded tokens: %s", async (text) => {
    const view = model.withContextPolicy!(parseContextPolicy(text));
    const found = await scoreContinuations(view, prompt, continuations);
    for (const [at, tokens] of continuations.entries()) {
      const sequence = await view.openSequence({ promptLength: prompt.length });
      const expected: number[] = [];
      for (const [depth, id] of tokens.entries()) {
        const read = depth === 0 ? prompt : [tokens[depth - 1]!];
        const { targetLogProbabilities } = await sequence.step({
          ids: read,
          results: "all",
          targets: [...read.slice(1), id],
        });
        expected.push(targetLogProbabilities!.at(-1)!);
      }
      await sequence.release();
      const { logProbabilities } = found[at]!;
      expect(largestDifference(logProbabilities, expected)).toBeLessThan(1e-4);
    }
  });

  test.each([
    "gemfilter:layer=1,k=8",
    "truncate:k=8",
    "h2o:k=8,recent=4",
    "token-select:init=1,local=7,k=4,cache=0.5",
  ])("what cannot be scored is refused: %s", async (text) => {
    const view = model.withContextPolicy!(parseContextPolicy(text));
    await expect(scoreContinuations(view, prompt, continuations)).rejects.toMatchObject({
      code: "context-policy-unavailable",
    });
    if (!view.contextPolicy!.choosePrompt) return;
    // Its tokens are no prompt: without the choice the score would be that of full attention.
    await expect(score(view, prompt)).rejects.toMatchObject({ code: "context-policy-unavailable" });
  });
});
