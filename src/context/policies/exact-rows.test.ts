/** Under every policy a decoded token is the same, to the last bit, alone and beside others: what drafters rely on. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ContextPolicy, type LoadedModel, loadModel } from "../../model/index.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { parseContextPolicy } from "./index.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-exact-rows-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const policies = [
  "full",
  "sinks-window:sinks=2,window=20",
  "block-selection:init=2,local=8,block=4,blocks=3",
  "token-select:init=2,local=8,k=12",
  "longheads:chunk=4,length=20",
  "snapkv:k=24,window=4",
  "h2o:k=24,recent=4,evict=afterPrompt",
  "top-k:k=12",
];

const ids = Array.from({ length: 200 }, (_, at) => 5 + ((at * at * 7 + 11 * at) % 480));
const promptLength = 180;

async function rows(
  model: LoadedModel,
  policy: ContextPolicy,
  sizes: readonly number[],
): Promise<number[]> {
  const sequence = await model.withContextPolicy!(policy).openSequence({ promptLength });
  await sequence.step({ ids: ids.slice(0, promptLength), results: "none" });
  const found: number[] = [];
  for (let [at, turn] = [promptLength, 0]; at < ids.length; turn++) {
    const end = Math.min(ids.length, at + sizes[turn % sizes.length]!);
    const step = { ids: ids.slice(at, end), logits: true, results: "all" } as const;
    found.push(...(await sequence.step(step)).logits!);
    at = end;
  }
  await sequence.release();
  return found;
}

// A key head for each query head; one for all; a factor of scores of 1; sinks.
describe.each([
  ["llama", { heads: 4, kvHeads: 4 }],
  ["qwen2", { heads: 4, kvHeads: 1 }],
  ["granitemoe", { heads: 4, kvHeads: 4 }],
  ["gpt-oss", { heads: 4, kvHeads: 4 }],
] as const)("%s %o", (family, heads) => {
  let model: LoadedModel;
  beforeAll(async () => {
    const folder = join(root, family);
    const tokenizer = join(bundledModel, "tokenizer.json");
    createRandomCheckpoint(folder, { family, seed: 4, layers: 2, ...heads, tokenizer });
    const options = {
      inline: true,
      threads: 1,
      format: "f32",
      onWarning: () => undefined,
    } as const;
    model = await loadModel(folder, options);
  });
  afterAll(() => model.close());

  test.each(policies)("%s", async (text) => {
    const policy = parseContextPolicy(text);
    const alone = await rows(model, policy, [1]);
    for (const sizes of [[20], [3, 1, 5]]) {
      const together = await rows(model, policy, sizes);
      expect(together.filter((value, at) => value !== alone[at])).toEqual([]);
    }
  });
});
