import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openCheckpoint, writeShardedSafetensors } from "../../../checkpoint/index.ts";
import { codeOf } from "../../../testing/code-of.ts";
import { testData } from "../../../testing/test-data.ts";
import { loadEncoder } from "../load-encoder.ts";
import { classify } from "./classify.ts";
import { rerank, rerankCounted } from "./rerank.ts";
import { scoreLogits } from "./score-activation.ts";

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** A copy of a classifier with the first classes alone: a cross encoder. */
async function withClasses(
  folder: string,
  count: number,
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), "jeton-rerank-"));
  made.push(copy);
  cpSync(folder, copy, { recursive: true });
  await using checkpoint = await openCheckpoint(folder);
  const tensors = [];
  for (const [name, { shape }] of checkpoint.tensors) {
    const data = await checkpoint.readFloat32(name);
    const isHead = /^classifier\./.test(name);
    const rows = isHead ? [count, ...shape.slice(1)] : shape;
    const size = rows.reduce((a, b) => a * b, 1);
    tensors.push({ name, dtype: "F32" as const, shape: rows, data: data.slice(0, size) });
  }
  await writeShardedSafetensors(copy, tensors);
  const path = join(copy, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  const id2label = Object.fromEntries(
    Array.from({ length: count }, (_, id) => [id, `class ${id}`]),
  );
  writeFileSync(path, JSON.stringify({ ...config, id2label, label2id: undefined, ...more }));
  return copy;
}

interface Pair {
  text: string;
  pair?: string | null;
  classes: number[];
}

describe("a cross encoder", () => {
  const { folder, skip } = testData("models/families/bert-sequence-classification");
  const read = (): Pair[] =>
    (JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as { texts: Pair[] }).texts;

  test.skipIf(skip).each([1, 2])("of %i classes gives the logits of the pairs", async (count) => {
    await using model = await loadEncoder(await withClasses(folder, count), {
      inline: true,
      threads: 1,
      format: "f32",
    });
    const pairs = read().filter(({ pair }) => typeof pair === "string");
    expect(pairs.length).toBeGreaterThan(0);
    for (const { text, pair, classes } of pairs) {
      const ranked = await rerank(model, text, ["something else", pair!]);
      const expected = count === 1 ? classes[0]! : classes[1]! - classes[0]!;
      const found = ranked.find(({ index }) => index === 1)!;
      expect(found.logit).toBeCloseTo(expected, 3);
      expect(found.score).toBeCloseTo(1 / (1 + Math.exp(-expected)), 4);
      expect(ranked[0]!.logit).toBeGreaterThanOrEqual(ranked[1]!.logit);
      const [best, ...others] = await rerank(model, text, ["something else", pair!], { topN: 1 });
      expect([best, others]).toEqual([ranked[0], []]);
    }
  });

  test.skipIf(skip)(
    "counts the query once with each document, special tokens included",
    async () => {
      await using model = await loadEncoder(await withClasses(folder, 1), {
        inline: true,
        threads: 1,
      });
      const [query, documents] = ["where is the king", ["in his castle", "on tuesday"]];
      const count = (text: string): number =>
        model.tokenizer.countTokens(text, { addSpecialTokens: false });
      const { ranked, tokens } = await rerankCounted(model, query, documents);
      expect(ranked).toEqual(await rerank(model, query, documents));
      // [CLS] query [SEP] document [SEP]
      expect(tokens).toBe(documents.reduce((sum, text) => sum + count(query) + count(text) + 3, 0));
    },
  );

  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  const identity = "torch.nn.modules.linear.Identity";
  const old = (name: unknown) => ({ sbert_ce_default_activation_function: name });
  const own = (name: unknown) => ({
    sentence_transformers: { activation_fn: name, version: "4.1.0" },
  });

  test.skipIf(skip).each<[string, Record<string, unknown>, unknown, (x: number) => number]>([
    ["an older file's Identity", old(identity), undefined, (x) => x],
    ["a newer file's Identity", own(identity), undefined, (x) => x],
    ["linear", old("linear"), undefined, (x) => x],
    ["Tanh", own("torch.nn.modules.activation.Tanh"), undefined, Math.tanh],
    [
      "a newer file before an older",
      { ...old(identity), ...own("torch.nn.Sigmoid") },
      undefined,
      sigmoid,
    ],
    ["a newer file's null before an older", { ...old(identity), ...own(null) }, undefined, sigmoid],
    ["the newest file before all", own("torch.nn.Sigmoid"), identity, (x) => x],
    ["none, of a regression", { problem_type: "regression" }, undefined, sigmoid],
  ])("obeys %s", async (_, config, newest, activate) => {
    const copy = await withClasses(folder, 1, config);
    const settings = { model_type: "CrossEncoder", activation_fn: newest };
    writeFileSync(join(copy, "config_sentence_transformers.json"), JSON.stringify(settings));
    await using model = await loadEncoder(copy, { inline: true, threads: 1, format: "f32" });
    const documents = ["something else", "a king", "the river"];
    const ranked = await rerank(model, "the king", documents);
    for (const { score, logit } of ranked) expect(score).toBeCloseTo(activate(logit), 6);
    // A regression's class is its number, unless the folder names what makes scores.
    const classScore = "problem_type" in config ? (x: number) => x : activate;
    const pairs = documents.map((document) => ["the king", document] as const);
    for (const [found] of await classify(model, pairs)) {
      expect(found!.score).toBeCloseTo(classScore(found!.logit), 6);
    }
  });

  test.skipIf(skip)("of several classes scores them as its folder says", async () => {
    const open = async (config: Record<string, unknown>) =>
      loadEncoder(await withClasses(folder, 3, config), { inline: true, threads: 1 });
    await using sigmoids = await open(own("torch.nn.modules.activation.Sigmoid"));
    const [independent] = await classify(sigmoids, [["the king", "a rose"]]);
    for (const { score, logit } of independent!) expect(score).toBeCloseTo(sigmoid(logit), 6);
    // Identity is what newer folders name by default: several classes are probabilities nevertheless.
    for (const config of [{}, own(identity), own("torch.nn.modules.activation.Softmax")]) {
      await using model = await open(config);
      const [classes] = await classify(model, [["the king", "a rose"]]);
      expect(classes!.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 6);
    }
  });

  test.skipIf(skip)("two classes are one score: of their difference", async () => {
    for (const [name, activate] of [
      [identity, (x: number) => x],
      ["torch.nn.modules.activation.Softmax", sigmoid],
    ] as const) {
      const copy = await withClasses(folder, 2, own(name));
      await using model = await loadEncoder(copy, { inline: true, threads: 1 });
      const [found] = await rerank(model, "the king", ["a rose"]);
      expect(found!.score).toBeCloseTo(activate(found!.logit), 6);
    }
  });

  test.skipIf(skip)("with an activation that is not known is refused", async () => {
    for (const config of [old("torch.nn.modules.activation.Hardshrink"), own("my.Own"), own(3)]) {
      const opened = loadEncoder(await withClasses(folder, 1, config), { inline: true });
      await expect(opened).rejects.toMatchObject({
        code: "model-config-invalid",
        message: expect.stringMatching(
          /(Hardshrink|my\.Own|3).*Identity, Tanh, ReLU, Sigmoid, Softmax/,
        ),
      });
    }
    const copy = await withClasses(folder, 1);
    const settings = { activation_fn: "my.Own" };
    writeFileSync(join(copy, "config_sentence_transformers.json"), JSON.stringify(settings));
    expect(await codeOf(loadEncoder(copy, { inline: true }))).toBe("encoder-module-invalid");
  });

  test.skipIf(skip)("puts its folder's default prompt before the query", async () => {
    const score = async (query: string, settings: Record<string, unknown>) => {
      const copy = await withClasses(folder, 1);
      const path = join(copy, "config_sentence_transformers.json");
      writeFileSync(path, JSON.stringify({ prompts: { query: "in the castle: " }, ...settings }));
      await using model = await loadEncoder(copy, { inline: true, threads: 1, format: "f32" });
      const [[found] = []] = await classify(model, [[query, "a rose"]]);
      const [ranked] = await rerank(model, query, ["a rose"]);
      expect(found!.logit).toBe(ranked!.logit);
      return ranked!.logit;
    };
    const prompted = await score("the king", { default_prompt_name: "query" });
    expect(prompted).toBe(await score("in the castle: the king", {}));
    expect(prompted).not.toBe(await score("the king", {}));
    expect(await codeOf(score("the king", { default_prompt_name: "other" }))).toBe(
      "encoder-prompt-unknown",
    );
  });

  test.skipIf(skip)("reads token types only where its tokenizer says that it does", async () => {
    const scored = async (names: readonly string[] | undefined) => {
      const copy = await withClasses(folder, 1);
      const path = join(copy, "tokenizer_config.json");
      const settings = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
      writeFileSync(path, JSON.stringify({ ...settings, model_input_names: names }));
      await using model = await loadEncoder(copy, { inline: true, threads: 1, format: "f32" });
      const { ids } = model.tokenizer.encode("the king", { pair: "a rose", applyLimits: false });
      const plain = await model.run({ ids, outputs: ["sequence"] });
      const [{ logit } = { logit: Number.NaN }] = await rerank(model, "the king", ["a rose"]);
      return { logit, plain: plain.sequence!.data[0]! };
    };
    const all = ["input_ids", "token_type_ids", "attention_mask"];
    for (const names of [undefined, all]) {
      const { logit, plain } = await scored(names);
      expect(logit).not.toBeCloseTo(plain, 4);
    }
    const without = await scored(["input_ids", "attention_mask"]);
    expect(without.logit).toBeCloseTo(without.plain, 5);
  });

  test.skipIf(skip)("of three classes is refused", async () => {
    await using model = await loadEncoder(folder, { inline: true, threads: 1 });
    expect(await codeOf(rerank(model, "a", ["b"]))).toBe("encoder-rerank-classes");
  });
});

describe("a late-interaction model", () => {
  const { folder, skip } = testData("models/families/colbert");
  interface Late {
    queries: { text: string; vectors: number[][] }[];
    documents: { text: string; vectors: number[][] }[];
    maxSim: number[][];
  }

  test.skipIf(skip)("ranks by the expected sums of maxima", async () => {
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as Late;
    const documents = expected.documents.map(({ text }) => text);
    for (const [row, { text, vectors }] of expected.queries.entries()) {
      const ranked = await rerank(model, text, documents);
      const wanted = expected.maxSim[row]!;
      const order = [...wanted.keys()].sort((a, b) => wanted[b]! - wanted[a]!);
      expect(ranked.map(({ index }) => index)).toEqual(order);
      for (const { index, logit, score } of ranked) {
        expect(logit * vectors.length).toBeCloseTo(wanted[index]!, 3);
        expect(score).toBeCloseTo((1 + logit) / 2, 6);
      }
    }
    expect(await codeOf(rerank(model, "a", ["b"], { maxLength: 8 }))).toBe(
      "encoder-option-invalid",
    );
  });
});

test("sigmoids of very low logits keep their order and stay above zero", () => {
  const logits = [-30, -20, -18, -17, -16.5, -16, -14];
  const scores = scoreLogits(logits, "sigmoid");
  expect(scores).toEqual([...new Set(scores)].sort((a, b) => a - b));
  expect(scores[0]! * Math.exp(30)).toBeCloseTo(1, 9);
});
