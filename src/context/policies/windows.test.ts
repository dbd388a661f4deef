/** Layers with a window of their own attend to all tokens within it, under every policy. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { largestDifference, runOracle } from "../testing/policy-oracle.ts";
import { fullAttention, parseContextPolicy } from "./index.ts";

let folder = "";
let model: LoadedModel;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jeton-windows-"));
  const tokenizer = join(bundledModel, "tokenizer.json");
  // Every layer of Mistral has a window.
  createRandomCheckpoint(folder, { family: "mistral", seed: 5, layers: 2, tokenizer });
  model = await loadModel(folder, {
    inline: true,
    threads: 1,
    format: "f32",
    onWarning: () => undefined,
  });
});
afterAll(async () => {
  await model.close();
  rmSync(folder, { recursive: true, force: true });
});

const ids = Array.from({ length: 90 }, (_, at) => 5 + ((at * at * 7 + 11 * at) % 480));

test.each([
  "sinks-window:sinks=2,window=4",
  "block-selection:init=2,local=4,block=2,blocks=2",
  "token-select:init=2,local=4,k=2",
  "token-select:init=2,local=4,k=2,cache=0.5",
  "longheads:chunk=2,length=8",
  "snapkv:k=4,window=2",
  "h2o:k=4,recent=2",
  "top-k:k=2",
])("%s", async (text) => {
  expect(model.config.layers.every(({ slidingWindow }) => slidingWindow !== undefined)).toBe(true);
  const read = (policy: Parameters<typeof runOracle>[1]) =>
    runOracle(model, policy, ids, { steps: 6, attended: false });
  const whole = await read(fullAttention());
  const own = await read(parseContextPolicy(text));
  expect(own.greedyIds).toEqual(whole.greedyIds);
  expect(largestDifference(own.logitsAfterPrompt, whole.logitsAfterPrompt)).toBeLessThan(1e-5);
  expect(largestDifference(own.logitsAfterSteps, whole.logitsAfterSteps)).toBeLessThan(1e-5);
});
