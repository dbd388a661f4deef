import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createByteCheckpoint } from "../../cli/testing/byte-checkpoint.ts";
import { generate, score } from "../../generate/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { randomRows } from "../baselines.ts";
import { transfer } from "../transfer.ts";
import { openHydra, writeHydra } from "./hydra.ts";

let folder = "";
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jeton-hydra-"));
  createByteCheckpoint(at("bytes"), { width: 32 });
  const trained = await trainTokenizer({
    kind: "byte-level-bpe",
    vocabSize: 300,
    texts: ["ein Haus, ein Hund, ein Baum", "ein Haus und ein Hund"],
    specialTokens: ["<bound>"],
    eosToken: "<bound>",
  });
  await saveTokenizer(at("tokenizer"), trained);
  await transfer(at("bytes"), at("tokenizer"), randomRows(), { out: at("words") });
  await writeHydra(at("hydra"), [
    { name: "bytes", folder: at("bytes") },
    { name: "words", folder: at("words") },
  ]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const write = async (model: LoadedModel, prompt: string | number[]): Promise<number[]> => {
  const ids: number[] = [];
  for await (const { id } of generate(model, prompt, { maxTokens: 6, temperature: 0 })) {
    ids.push(id);
  }
  return ids;
};

test("with either head on, it writes what the model of that vocabulary writes", async () => {
  for (const name of ["bytes", "words"]) {
    await using alone = await loadModel(at(name), { threads: 1, inline: true });
    await using hydra = await openHydra(at("hydra"), { head: name, threads: 1 });
    const prompt = hydra.encode(name, "ein Haus");
    expect(prompt).toEqual([...alone.tokenizer.encodeIds("ein Haus", { addSpecialTokens: false })]);
    expect(await write(hydra.model, prompt)).toEqual(await write(alone, prompt));
  }
});

test("a body in a file goes with tables of a megabyte and more in memory", async () => {
  const nano = fileURLToPath(new URL("../../../models/jeton-nano", import.meta.url));
  await transfer(nano, at("tokenizer"), randomRows(), { out: at("nano-words") });
  await writeHydra(at("nano-hydra"), [
    { name: "words", folder: at("nano-words") },
    { name: "nano", folder: nano },
  ]);
  for (const [name, source] of [
    ["words", at("nano-words")],
    ["nano", nano],
  ] as const) {
    await using alone = await loadModel(source, { format: "f32", threads: 1 });
    await using hydra = await openHydra(at("nano-hydra"), { head: name, threads: 1 });
    const prompt = hydra.encode(name, "ein Haus");
    expect(await write(hydra.model, prompt)).toEqual(await write(alone, prompt));
  }
});

test("reads the other vocabulary, also mixed with its own", async () => {
  await using hydra = await openHydra(at("hydra"), { head: "words", threads: 1 });
  const { offset } = hydra.vocabularies.get("bytes")!;
  expect(offset).toBe(hydra.model.tokenizer.vocabSize);
  const foreign = hydra.encode("bytes", "ein");
  expect(foreign.every((id) => id >= offset)).toBe(true);
  const mixed = [...hydra.encode("words", "ein Haus"), ...foreign];
  const ids = await write(hydra.model, mixed);
  expect(ids.every((id) => id < offset)).toBe(true);
  expect(() => hydra.encode("latin", "x")).toThrow(/no vocabulary "latin"/);
});

test("scores text of its head after a text of the other vocabulary", async () => {
  await using hydra = await openHydra(at("hydra"), { head: "words", threads: 1 });
  await using alone = await loadModel(at("words"), { threads: 1, inline: true });
  const own = hydra.encode("words", "ein Haus");
  const scored = await score(hydra.model, " und", { prefix: own });
  const expected = await score(alone, " und", { prefix: own });
  expect(scored.logProbability).toBeCloseTo(expected.logProbability, 4);
  const foreign = hydra.encode("bytes", "ein Haus");
  const after = await score(hydra.model, " und", { prefix: foreign });
  expect(after.tokens).toEqual(
    expected.tokens.map(({ id, text }) => expect.objectContaining({ id, text })),
  );
  expect(after.logProbability).not.toBeCloseTo(expected.logProbability, 4);
  const [beyond] = foreign;
  await expect(score(hydra.model, [beyond!], { prefix: own })).rejects.toMatchObject({
    code: "model-token-unknown",
    details: { id: beyond, vocabulary: hydra.model.tokenizer.vocabSize },
  });
});

test("is an ordinary checkpoint of its first vocabulary", async () => {
  await using ordinary = await loadModel(at("hydra"), { threads: 1, inline: true });
  await using first = await loadModel(at("bytes"), { threads: 1, inline: true });
  expect(await write(ordinary, "ein")).toEqual(await write(first, "ein"));
});

test("joins only models with the same body, under names that can be folders", async () => {
  createByteCheckpoint(at("other"), { width: 32, layers: 1 });
  await expect(
    writeHydra(at("odd"), [
      { name: "a", folder: at("bytes") },
      { name: "b", folder: at("other") },
    ]),
  ).rejects.toMatchObject({ code: "hydra-bodies-differ" });
  // The same weights, read in another way.
  for (const [field, value] of [
    ["rope_theta", 12345],
    ["rms_norm_eps", 0.01],
  ] as const) {
    cpSync(at("words"), at("changed"), { recursive: true });
    const path = join(at("changed"), "config.json");
    const config = { ...JSON.parse(readFileSync(path, "utf8")), [field]: value };
    writeFileSync(path, JSON.stringify(config));
    await expect(
      writeHydra(at("odd"), [
        { name: "a", folder: at("bytes") },
        { name: "b", folder: at("changed") },
      ]),
    ).rejects.toMatchObject({ code: "hydra-bodies-differ", details: { name: "b" } });
  }
  await expect(
    writeHydra(at("odd"), [
      { name: "a", folder: at("bytes") },
      { name: "../b", folder: at("words") },
    ]),
  ).rejects.toMatchObject({ code: "hydra-members-invalid" });
  await expect(openHydra(at("bytes"))).rejects.toMatchObject({ code: "hydra-not-found" });
});
