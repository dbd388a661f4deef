import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../checkpoint/index.ts";
import { createByteCheckpoint } from "../cli/testing/byte-checkpoint.ts";
import { complete, drafterNames, generate, openDrafter } from "../generate/index.ts";
import { type LoadedModel, loadModel } from "../model/index.ts";
import { startServer } from "../serve/index.ts";
import { loadTokenizer, saveTokenizer, trainTokenizer } from "../tokenizer/index.ts";
import { lexicalOverlap, meanOfSubtokens, randomRows } from "./baselines.ts";
import { readTokenForms } from "./token-forms.ts";
import { type TransferMethod, transfer } from "./transfer.ts";

const text =
  "The vocabulary is something to choose. A body that has learned one alphabet can be given another, " +
  "and what it knows of the old tokens says what the new ones mean. Tokens are only names of bytes.";
const tableName = "model.embed_tokens.weight";

let folder = "";
let source = "";
let target = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jeton-transfer-"));
  source = join(folder, "source");
  target = join(folder, "target");
  createByteCheckpoint(source, { width: 32 });
  const trained = await trainTokenizer({
    kind: "byte-level-bpe",
    vocabSize: 300,
    texts: [text, text],
    specialTokens: ["<bound>", "<other>"],
    eosToken: "<bound>",
  });
  await saveTokenizer(target, trained);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const rowsOf = async (path: string): Promise<Float32Array> => {
  await using checkpoint = await openCheckpoint(path);
  return checkpoint.readFloat32(tableName);
};

const methods: readonly TransferMethod[] = [randomRows(), lexicalOverlap(), meanOfSubtokens()];

describe.each(methods.map((method) => [method.name, method] as const))("%s", (name, method) => {
  test("writes a folder that generates, with the body bit by bit as it was", async () => {
    const out = join(folder, `out-${name}`);
    const result = await transfer(source, target, method, { out });
    const tokenizer = await loadTokenizer(target);
    expect(result).toMatchObject({
      method: name,
      newVocabularySize: tokenizer.vocabSize,
      sharedTokens: 256,
      specialTokens: 1,
    });
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(config).toMatchObject({ vocab_size: tokenizer.vocabSize, eos_token_id: 0 });
    await using before = await openCheckpoint(source);
    await using after = await openCheckpoint(out);
    expect([...after.tensors.keys()].sort()).toEqual([...before.tensors.keys()].sort());
    for (const tensor of before.tensors.keys()) {
      if (tensor === tableName || tensor === "lm_head.weight") continue;
      expect((await after.read(tensor)).data).toEqual((await before.read(tensor)).data);
    }
    // The row of the special token with the same spelling is the old one.
    const bound = tokenizer.tokenToId("<bound>")!;
    expect(await after.readRows(tableName, bound, 1)).toEqual(
      await before.readRows(tableName, 256, 1),
    );
    await using model = await loadModel(out, { threads: 1, inline: true });
    const ids: number[] = [];
    for await (const { id } of generate(model, "The body", { maxTokens: 4 })) ids.push(id);
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.every((id) => id < tokenizer.vocabSize)).toBe(true);
  });
});

describe("transfer", () => {
  test("to the model's own tokenizer changes nothing", async () => {
    const out = join(folder, "same");
    await transfer(source, source, meanOfSubtokens(), { out });
    expect(await rowsOf(out)).toEqual(await rowsOf(source));
  });

  test("gives every new token the mean of the bytes that spell it", async () => {
    const out = join(folder, "means");
    await transfer(source, target, meanOfSubtokens(), { out });
    const [old, rows] = [await rowsOf(source), await rowsOf(out)];
    const width = 32;
    const { forms } = readTokenForms(await loadTokenizer(target));
    const bytes = await loadTokenizer(source);
    for (const [id, form] of forms.entries()) {
      if (form === undefined) continue;
      for (let i = 0; i < width; i++) {
        let sum = 0;
        for (const character of form) sum += old[bytes.tokenToId(character)! * width + i]!;
        expect(rows[id * width + i]).toBeCloseTo(sum / form.length, 5);
      }
    }
  });

  test("repeats with its seed and differs with another", async () => {
    const rows: Float32Array[] = [];
    for (const [place, seed] of [1, 1, 2].entries()) {
      const out = join(folder, `seed-${place}`);
      await transfer(source, target, randomRows(), { out, seed });
      rows.push(await rowsOf(out));
    }
    expect(rows[0]).toEqual(rows[1]);
    expect(rows[0]).not.toEqual(rows[2]);
  });

  test("does not touch a folder that holds a model", async () => {
    await expect(transfer(source, target, randomRows(), { out: source })).rejects.toMatchObject({
      code: "transfer-target-exists",
    });
  });
});

describe("a transferred model", () => {
  const prompt = "The old tokens, the old tokens";
  const request = { maxTokens: 24, temperature: 0, ignoreEos: true };
  let model: LoadedModel;
  let draft: LoadedModel;
  let plain = "";
  beforeAll(async () => {
    const small = join(folder, "small");
    createByteCheckpoint(small, { width: 16, layers: 1 });
    const open = async (from: string, out: string): Promise<LoadedModel> => {
      await transfer(from, target, meanOfSubtokens(), { out });
      return loadModel(out, { threads: 1, inline: true });
    };
    model = await open(source, join(folder, "moved"));
    draft = await open(small, join(folder, "moved-small"));
    plain = (await complete(model, prompt, request)).text;
  });
  afterAll(async () => {
    await model[Symbol.asyncDispose]();
    await draft[Symbol.asyncDispose]();
  });

  test.each(drafterNames)("writes with %s what it writes without", async (name) => {
    const drafter = await openDrafter(name, model, { draftModel: draft });
    const { text, drafting } = await complete(model, prompt, { ...request, drafter });
    await drafter.close();
    expect(text).toBe(plain);
    expect(drafting!.forwardPasses).toBeGreaterThan(0);
  });

  test("serves like any other, with each drafter", async () => {
    const server = await startServer(model, { port: 0, host: "127.0.0.1", draftModel: draft });
    try {
      const texts = new Map<string, unknown>();
      for (const drafter of ["none", ...drafterNames]) {
        const response = await fetch(`${server.url}/v1/completions`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({
            prompt,
            max_tokens: request.maxTokens,
            temperature: 0,
            drafter,
          }),
        });
        const body = (await response.json()) as { choices: { text: string }[] };
        texts.set(drafter, body.choices[0]?.text);
      }
      expect([...new Set(texts.values())]).toEqual([expect.stringMatching(/./)]);
      expect(texts.size).toBe(drafterNames.length + 1);
    } finally {
      await server.close({ graceMs: 0 });
    }
  });

  test("takes only drafts that moved along", async () => {
    await using unmoved = await loadModel(source, { threads: 1, inline: true });
    const drafter = openDrafter("draft-model", model, { draftModel: unmoved });
    await expect(drafter).rejects.toMatchObject({ code: "draft-model-vocabulary" });
  });
});
