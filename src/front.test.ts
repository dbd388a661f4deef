import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { withNamedDrafters } from "./generate/named-drafters.ts";
import { createPromptLookupDrafter } from "./generate/speculative/prompt-lookup.ts";
import { complete, generate, loadModel, loadTokenizer, renderChat } from "./index.ts";

const folder = fileURLToPath(new URL("../models/jeton-nano", import.meta.url));
const question = [{ role: "user", content: "Who was Commodus?" }];

test("without arguments the bundled model opens; file URLs go wherever paths go", async () => {
  const model = await loadModel(undefined, { inline: true });
  const tokenizer = await loadTokenizer();
  const byUrl = await loadTokenizer(pathToFileURL(folder));
  expect(tokenizer.encodeIds("The emperor")).toEqual(model.tokenizer.encodeIds("The emperor"));
  expect(byUrl.encodeIds("The emperor")).toEqual(tokenizer.encodeIds("The emperor"));
  expect((await complete(model, "The emperor", { maxTokens: 3, greedy: true })).ids).toHaveLength(
    3,
  );
  await model.close();
  const address = "https://models.example/nano";
  await expect(loadModel(address)).toRejectWithCode("model-source-invalid", { source: address });
  await expect(loadTokenizer(3 as never)).toRejectWithCode("model-source-invalid");
});

test("a conversation is rendered once, with one BOS; a rendered text gets no second one", async () => {
  const model = await loadModel(folder, { inline: true, threads: 1 });
  const template = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %} Answer:";
  Object.assign(model.tokenizer.settings, { chatTemplates: new Map([["default", template]]) });
  // The tokenizer puts a BOS before text of its own accord.
  expect(model.tokenizer.encodeIds("x")[0]).toBe(model.bosTokenId);
  const options = { greedy: true, maxTokens: 8 };
  const text = renderChat(model.tokenizer, question);
  const ids = model.tokenizer.encodeIds(text, { addSpecialTokens: false });
  expect([...ids].filter((id) => id === model.bosTokenId)).toHaveLength(1);
  const wanted = await complete(model, ids, options);
  for (const prompt of [question, text]) {
    const found = await complete(model, prompt, options);
    expect(found.promptTokens).toBe(ids.length);
    expect(found.ids).toEqual(wanted.ids);
  }
  await expect(complete(model, { role: "user" } as never)).toRejectWithCode(
    "generate-prompt-invalid",
  );
  await model.close();
});

test("drafters by name: the same text, opened once per model, closed with it", async () => {
  const model = await loadModel(folder, { inline: true, threads: 1 });
  let opened = 0;
  let closed = 0;
  const counting = withNamedDrafters(() => {
    opened++;
    return { ...createPromptLookupDrafter(), close: () => void closed++ };
  });
  const options = { greedy: true, maxTokens: 12, ignoreEos: true };
  const wanted = await complete(model, "one two three one two", { ...options, drafter: "none" });
  expect(wanted.drafting).toBeUndefined();
  for (const run of [complete, counting.complete, counting.complete]) {
    const drafted = await run(model, "one two three one two", { ...options, drafter: "auto" });
    expect(drafted.ids).toEqual(wanted.ids);
    expect(drafted.drafting).toBeDefined();
  }
  const unknown = async () => {
    for await (const _token of generate(model, "x", { drafter: "lookahed" as "auto" }));
  };
  await expect(unknown).toRejectWithCode("drafter-unknown", { expected: "lookahead" });
  await expect(complete(model, "x", { temprature: 1 } as object)).toRejectWithCode(
    "generate-option-unknown",
    { expected: "temperature" },
  );
  expect([opened, closed]).toEqual([1, 0]);
  await model.close();
  expect(closed).toBe(1);
});
