import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadTokenizer, saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { byteRanks, wordPieces } from "../../tokenizer/testing/vocabulary-files.ts";
import { createByteCheckpoint } from "../testing/byte-checkpoint.ts";
import { byteTokenizerJson } from "../testing/byte-tokenizer.ts";
import { runCommand } from "../testing/run-command.ts";

let folder = "";
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jeton-cli-transfer-"));
  createByteCheckpoint(at("source"), { width: 32, layers: 1 });
  const texts = ["ein Haus, ein Hund, ein Haus"];
  await saveTokenizer(
    at("target"),
    await trainTokenizer({ kind: "byte-level-bpe", vocabSize: 270, texts }),
  );
  writeFileSync(at("en.txt"), "a horse\na dog\n");
  writeFileSync(at("de.txt"), "ein Haus\nein Hund\n");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const transfer = (...args: string[]) =>
  runCommand(["transfer", "--model", at("source"), "--tokenizer", at("target"), ...args]);

test("writes a checkpoint and says what it did", async () => {
  const { status, stdout } = await transfer("-o", at("moved"), "--json");
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    folder: at("moved"),
    method: "mean",
    oldVocabularySize: 257,
    sharedTokens: 256,
  });
  expect(existsSync(at("moved/config.json"))).toBe(true);
  const again = await transfer("-o", at("moved"));
  expect(again.status).toBe(1);
  expect(again.stderr).toContain("holds a model already");
});

test.each([
  ["cl100k_base.tiktoken", () => byteRanks("ein", "Haus", " Haus"), "cl100k_base.tiktoken"],
  ["german.model", wordPieces, "tokenizer.model"],
  ["german.json", byteTokenizerJson, "tokenizer.json"],
] as const)("the tokenizer file %s gives a folder that loads", async (name, content, copy) => {
  const tokenizer = at(name);
  writeFileSync(tokenizer, content());
  const out = at(`with ${name}`);
  const args = ["transfer", "--model", at("source"), "--tokenizer", tokenizer, "-o", out];
  const { status, stderr } = await runCommand([...args, "--method", "random"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(existsSync(join(out, copy))).toBe(true);
  const original = await loadTokenizer(tokenizer);
  const copied = await loadTokenizer(out);
  expect(copied.encodeIds("ein Haus")).toEqual(original.encodeIds("ein Haus"));
  const run = await runCommand(["run", "-m", out, "--greedy", "-n", "2", "-q", "ein Haus"]);
  expect({ status: run.status, stderr: run.stderr }).toEqual({ status: 0, stderr: "" });
});

test("takes parallel text, line by line", async () => {
  const method = ["--method", "trans-tokenization", "--min-count", "0"];
  const text = ["--source-text", at("en.txt"), "--target-text", at("de.txt")];
  const { status, stdout } = await transfer(...method, ...text, "-o", at("translated"));
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${at("translated")}\n` });
});

test("says which option a method lacks", async () => {
  for (const [method, option] of [
    ["trans-tokenization", "--source-text"],
    ["wechsel", "--source-text"],
    ["zett", "--hypernetwork"],
  ] as const) {
    const { status, stderr } = await transfer("--method", method, "-o", at("never"));
    expect(status).toBe(2);
    expect(stderr).toContain(option);
  }
  expect((await runCommand(["transfer", "--model", at("source"), "-o", at("never")])).status).toBe(
    2,
  );
  expect(existsSync(at("never"))).toBe(false);
});

test("trains nothing where the result could not be written", async () => {
  const path = at("unused.safetensors");
  const training = ["--method", "zett", "--hypernetwork", path, "--text", at("en.txt")];
  await transfer("-o", at("taken"));
  const taken = await transfer(...training, "-o", at("taken"));
  expect(taken.stderr).toContain("transfer-target-exists");
  const absent = ["--tokenizer", at("absent"), "-o", at("never")];
  const lost = await runCommand(["transfer", "--model", at("source"), ...training, ...absent]);
  expect(lost.status).toBe(1);
  expect(existsSync(path)).toBe(false);
});

test("refuses an option that the method would leave aside", async () => {
  for (const args of [
    ["--min-count", "2"],
    ["--text", at("en.txt")],
    ["--method", "wechsel", "--directions", "both"],
    ["--method", "trans-tokenization", "--hypernetwork", at("h.safetensors")],
    ["--method", "zett", "--hypernetwork", at("h.safetensors"), "--steps", "5"],
  ]) {
    const { status, stderr } = await transfer(...args, "-o", at("never"));
    expect({ args, status }).toEqual({ args, status: 2 });
    expect(stderr).toContain("option-misplaced");
  }
  expect(existsSync(at("never"))).toBe(false);
});
