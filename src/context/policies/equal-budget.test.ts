import { expect, test } from "vitest";
import { complete } from "../../generate/index.ts";
import { loadModel } from "../../model/index.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { contextPolicies, parseContextPolicy, policiesOfBudget, truncate } from "./index.ts";

test.each([64, 128, 256, 1024])("every named policy attends to %i tokens, or to all", (budget) => {
  const policies = policiesOfBudget(budget).map((text) => parseContextPolicy(text));
  expect(policies.map(({ name }) => name).sort()).toEqual(
    // Landmarks are a model's own.
    contextPolicies
      .map(({ name }) => name)
      .filter((name) => name !== "landmark")
      .sort(),
  );
  const attended = policies.map(({ name, options }) => {
    const of = (key: string): number => options[key] as number;
    switch (name) {
      case "full":
      case "ntk":
        return budget;
      case "sinks-window":
        return of("sinks") + of("window");
      case "block-selection":
        return of("init") + of("local") + of("block") * of("blocks");
      case "token-select":
        return of("init") + of("local") + of("k");
      case "longheads":
        return of("length");
      default:
        return of("k");
    }
  });
  expect(attended).toEqual(policies.map(() => budget));
});

test.each([0, 63, 65, 250, 1.5])("a budget of %d is refused", (budget) => {
  expect(() => policiesOfBudget(budget)).toThrow(
    expect.objectContaining({ code: "option-invalid" }),
  );
});

test("a truncated prompt is its last tokens", async () => {
  await using model = await loadModel(bundledModel, { inline: true, threads: 1 });
  const ids = [...model.tokenizer.encodeIds("one two three four five ".repeat(12))];
  const options = { greedy: true, maxTokens: 6 } as const;
  const contextPolicy = truncate({ k: 20 });
  const cut = await complete(model, ids, { ...options, contextPolicy });
  const last = await complete(model, ids.slice(-20), options);
  expect(cut.ids).toEqual(last.ids);
  expect(cut.context?.chosen?.[0]).toBe(ids.length - 20);
});
