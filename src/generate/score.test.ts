import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LoadedModel, loadModel } from "../model/index.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { writeReferenceCheckpoint } from "../testing/reference-checkpoint.ts";
import { wordTokenizer } from "../testing/word-tokenizer.ts";
import { complete } from "./generate.ts";
import { score } from "./score.ts";

const text = "w5 w6 w7 w8 w9";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jeton-score-"));
  const tokenizer = join(folder, "words.json");
  const limits = {
    truncation: { max_length: 3, strategy: "LongestFirst", stride: 0, direction: "Right" },
    padding: {
      strategy: { Fixed: 8 },
      direction: "Right",
      pad_to_multiple_of: null,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: "w0",
    },
  };
  writeFileSync(tokenizer, JSON.stringify({ ...wordTokenizer(512), ...limits }));
  createRandomCheckpoint(join(folder, "model"), { family: "llama", seed: 3, tokenizer });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The model, with or without a BOS token. */
async function open(options: { begins: boolean }): Promise<LoadedModel> {
  for (const name of ["config.json", "generation_config.json"]) {
    const path = join(folder, "model", name);
    if (!existsSync(path)) continue;
    const config = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...config, bos_token_id: options.begins ? 1 : null }));
  }
  return loadModel(join(folder, "model"), { threads: 1, inline: true });
}

describe("a tokenizer whose file limits the length of texts", () => {
  test("does not cut or pad what a model reads", async () => {
    await using model = await open({ begins: true });
    expect((await complete(model, text, { maxTokens: 2 })).promptTokens).toBe(5);
    expect((await score(model, text)).tokens.map(({ id }) => id)).toEqual([5, 6, 7, 8, 9]);
  });
});

test("options of the wrong type are rejected with their names", async () => {
  await using model = await open({ begins: true });
  for (const [name, value] of Object.entries({ drafter: "auto", stop: "w7", stopIds: 7 })) {
    await expect(complete(model, text, { [name]: value })).rejects.toMatchObject({
      code: "generate-option-invalid",
      details: { name, value },
    });
  }
});

describe("score", () => {
  test("reports the most probable tokens of every position, consistent with the text's own", async () => {
    await using model = await open({ begins: true });
    const without = await score(model, text);
    const { tokens } = await score(model, text, { topLogProbabilities: 20, chunk: 2 });
    expect(tokens.map(({ id }) => id)).toEqual(without.tokens.map(({ id }) => id));
    for (const [index, { id, logProbability, topLogProbabilities }] of tokens.entries()) {
      const top = topLogProbabilities!;
      expect(top).toHaveLength(20);
      expect(logProbability).toBeCloseTo(without.tokens[index]!.logProbability, 4);
      expect([...top].sort((a, b) => b.logProbability - a.logProbability)).toEqual(top);
      const own = top.find((one) => one.id === id);
      if (own) expect(own.logProbability).toBe(logProbability);
      else expect(logProbability).toBeLessThanOrEqual(top.at(-1)!.logProbability);
    }
    // The first of them is the greedy continuation.
    const next = await complete(model, [1, 5, 6], { greedy: true, maxTokens: 1 });
    expect(tokens[2]!.topLogProbabilities![0]!.id).toBe(next.ids[0]);
    await expect(score(model, text, { topLogProbabilities: 21 })).toRejectWithCode(
      "generate-option-invalid",
    );
  });

  test("of a model without BOS leaves out the first token and its bytes", async () => {
    await using model = await open({ begins: false });
    const scored = await score(model, text);
    expect(scored.tokens.map(({ id }) => id)).toEqual([6, 7, 8, 9]);
    expect(scored.bytes).toBe("w6 w7 w8 w9".length);
    expect(scored.bitsPerByte).toBeCloseTo(-scored.logProbability / Math.LN2 / scored.bytes, 10);
    const asIds = await score(model, [5, 6, 7, 8, 9]);
    expect(asIds.logProbability).toBeCloseTo(scored.logProbability, 6);
    const parts = await score(model, " w7 w8 w9", { prefix: "w5 w6" });
    expect(parts.tokens).toEqual(scored.tokens.slice(1));
  });
});

test("logits that are not finite are an error in sampling and scoring", async () => {
  const made = createRandomCheckpoint(join(folder, "broken"), {
    family: "llama",
    seed: 3,
    tokenizer: join(folder, "words.json"),
  });
  made.tensors.get("model.norm.weight")!.data[5] = Number.NaN;
  writeReferenceCheckpoint(join(folder, "broken"), made, { dtype: "F32" });
  await using model = await loadModel(join(folder, "broken"), { threads: 1, inline: true });
  const failure = { code: "generate-logits-not-finite" };
  for (const options of [{ greedy: true }, { temperature: 1 }, { temperature: 1, topK: 5 }]) {
    await expect(complete(model, text, { ...options, maxTokens: 3 })).rejects.toMatchObject(
      failure,
    );
  }
  await expect(score(model, text)).rejects.toMatchObject(failure);
});
