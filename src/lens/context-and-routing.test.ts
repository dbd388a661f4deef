/** What a lens tells of context policies and of experts, beside the library's own generation and passes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseContextPolicy } from "../context/index.ts";
import { complete } from "../generate/index.ts";
import { type LoadedModel, loadModel } from "../model/index.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { bundledModel } from "../testing/test-data.ts";
import {
  createLensHost,
  type EndEvent,
  type GenerateRequest,
  type LensHost,
  runLens,
} from "./index.ts";

const prompt = "The emperor was a soldier of the old guard, and his army knew it. The king and";
let model: LoadedModel;
let host: LensHost;
beforeAll(async () => {
  model = await loadModel(bundledModel, { inline: true, threads: 1, format: "f32" });
  host = createLensHost({
    model,
    drafters: ["none", "auto"],
    drafter: async (name) => {
      if (name !== "none") throw new Error(`${name} was asked for`);
      return undefined;
    },
    contextPolicy: parseContextPolicy,
  });
});
afterAll(() => model.close());

async function run(
  request: Omit<GenerateRequest, "kind">,
  through: LensHost = host,
): Promise<{ text: string; end: EndEvent }> {
  let text = "";
  for await (const event of runLens(through, { kind: "generate", ...request })) {
    if (event.kind === "token") text += event.token.text;
    else if (event.kind === "end") return { text, end: event };
  }
  throw new Error("no end");
}

const settings = { maxTokens: 6, sampling: { greedy: true } } as const;

describe("context policies", () => {
  test("two sinks and a window of six: every layer attends to those places", async () => {
    const { end } = await run({
      prompt,
      ...settings,
      contextPolicy: "sinks-window:sinks=2,window=6",
    });
    const last = end.promptTokens;
    const wanted = [0, 1, ...Array.from({ length: 6 }, (_, at) => last - 5 + at)];
    expect(end.context!.attended!.tokens).toBe(last + 1);
    expect(end.context!.attended!.layers).toEqual(model.config.layers.map(() => wanted));
  });

  test.each([
    "token-select:init=2,local=4,k=4",
    "longheads:chunk=4,length=12",
    "gemfilter:layer=2,k=9",
    "full",
  ])("%s: text and kept tokens are those of generate", async (policy) => {
    const contextPolicy = parseContextPolicy(policy);
    const wanted = await complete(model, prompt, {
      ...{ greedy: true, maxTokens: 6, contextPolicy, reportContext: true },
    });
    const { text, end } = await run({ prompt, ...settings, contextPolicy: policy });
    expect(text).toBe(wanted.text);
    expect(end.context).toEqual(wanted.context);
  });

  test("a model on the caller's thread needs no module that could be imported", async () => {
    const bundled = createLensHost({
      ...host,
      contextPolicy: (text) => ({ ...parseContextPolicy(text), module: "bundle:none" }),
    });
    const contextPolicy = "top-k:k=7";
    const { end } = await run({ prompt, ...settings, contextPolicy }, bundled);
    expect(end.context).toEqual((await run({ prompt, ...settings, contextPolicy })).end.context);
  });

  test("two policies with equal options and one module are two programs", async () => {
    const bundled = createLensHost({
      ...host,
      contextPolicy: (text) => ({ ...parseContextPolicy(text), module: "bundle:one" }),
    });
    for (const policy of ["top-k:k=5", "snapkv:k=5,window=2", "h2o:k=5,recent=2"]) {
      const request = { prompt, ...settings, contextPolicy: policy };
      expect((await run(request, bundled)).end.context).toEqual((await run(request)).end.context);
    }
  });

  test("auto drafts nothing where each token depends on the choice before", async () => {
    const request = { prompt, ...settings, drafter: "auto" } as const;
    const contextPolicy = "token-select:init=2,local=4,k=4,cache=0.9";
    expect((await run({ ...request, contextPolicy })).end.drafting).toBeUndefined();
    await expect(run({ ...request, contextPolicy: "top-k" })).rejects.toThrow("auto was asked for");
  });

  test("a misspelt policy, and a lens without policies, are refused", async () => {
    const wrong = run({ prompt, contextPolicy: "token-selekt" });
    await expect(wrong).rejects.toMatchObject({ code: "context-policy-unknown" });
    const { contextPolicy: _, ...without } = host;
    const none = run({ prompt, contextPolicy: "top-k" }, without);
    await expect(none).rejects.toMatchObject({ code: "lens-request-invalid" });
    expect(model.openSequences).toBe(0);
  });
});

test("routing: experts and weights are those of a pass over the text", async () => {
  const folder = mkdtempSync(join(tmpdir(), "jeton-lens-experts-"));
  const tokenizer = join(bundledModel, "tokenizer.json");
  createRandomCheckpoint(folder, { family: "qwen2-moe", seed: 6, vocabulary: 4099, tokenizer });
  const sparse = await loadModel(folder, {
    ...{ format: "f32", inline: true, threads: 1 },
    onWarning() {},
  });
  try {
    const lens = createLensHost({ ...host, model: sparse });
    const { perToken } = sparse.config.experts!;
    for await (const event of runLens(lens, { kind: "routing", text: prompt })) {
      const ids = event.tokens.map(({ id }) => id);
      const sequence = await sparse.openSequence();
      const step = await sequence.step({ ids, results: "all", routing: true });
      await sequence.release();
      // `decoder_sparse_step` 2: the second and the fourth of four layers.
      expect(event.layers.map(({ layer }) => layer)).toEqual([1, 3]);
      const byToken = ids.map((_, at) => event.layers.map(({ choices }) => choices[at]!));
      expect(byToken.flat(2)).toEqual([...step.expertChoices!]);
      const weights = ids.map((_, at) => event.layers.map((layer) => layer.weights[at]!)).flat(2);
      expect(weights).toEqual([...step.expertWeights!]);
      expect(weights.length).toBe(ids.length * 2 * perToken);
    }
    const dense = runLens(host, { kind: "routing", text: prompt }).next();
    await expect(dense).rejects.toMatchObject({ code: "model-experts-none" });
  } finally {
    await sparse.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
