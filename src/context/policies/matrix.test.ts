/** Drafters, policies and weight formats combine: the text is that of the policy without a drafter, or the pair is refused. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete, type Drafter, openDrafter } from "../../generate/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { parseContextPolicy } from "./index.ts";

const policies = [
  "full",
  "ntk:scale=2",
  "sinks-window:sinks=4,window=28",
  "block-selection:init=4,local=16,block=4,blocks=4",
  "token-select:init=4,local=16,k=16",
  "token-select:init=4,local=16,k=16,cache=0.9",
  "longheads:chunk=8,length=40",
  "gemfilter:layer=1,k=40",
  "snapkv:k=40,window=8",
  "h2o:k=40,recent=8",
  "h2o:k=40,recent=8,evict=afterPrompt",
  "top-k:k=24",
];
const drafters = ["prompt-lookup", "token-recycling", "lookahead", "auto"] as const;
const prompt = "one two three four five six seven eight ".repeat(4);

describe.each(["f32", "int8", "int4"] as const)("policies and drafters, %s", (format) => {
  let model: LoadedModel;
  const opened = new Map<string, Drafter>();
  beforeAll(async () => {
    model = await loadModel(bundledModel, { format, inline: true, threads: 1 });
    for (const name of drafters) opened.set(name, await openDrafter(name, model));
  });
  afterAll(async () => {
    for (const drafter of opened.values()) await drafter.close();
    await model.close();
  });

  test.each(policies)("%s", async (text) => {
    const contextPolicy = parseContextPolicy(text);
    const options = { contextPolicy, greedy: true, maxTokens: 16 };
    const plain = await complete(model, prompt, options);
    for (const drafter of opened.values()) {
      const drafted = complete(model, prompt, { ...options, drafter });
      if (contextPolicy.drafting.kind === "excluded") {
        await expect(drafted).rejects.toMatchObject({ code: "context-policy-drafts" });
      } else {
        expect((await drafted).ids, drafter.name).toEqual(plain.ids);
      }
    }
  });
});

test("beside each other: sequences under several policies share a model", async () => {
  await using model = await loadModel(bundledModel, { inline: true, threads: 1 });
  const run = (text: string) =>
    complete(model, prompt, {
      contextPolicy: parseContextPolicy(text),
      greedy: true,
      maxTokens: 8,
    });
  const some = policies.slice(2, 6);
  const alone = [];
  for (const text of some) alone.push((await run(text)).ids);
  const together = await Promise.all([complete(model, prompt), ...some.map(run)]);
  expect(together.slice(1).map(({ ids }) => ids)).toEqual(alone);
  expect(model.openSequences).toBe(0);
});
