/** What a caller in plain JavaScript gives to a training by mistake ends in an error that names it. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { trainCompressor } from "../context/index.ts";
import { JetonError } from "../core/index.ts";
import { trainLibTokenizer, trainTokenizer } from "../tokenizer/index.ts";
import { meanOfSubtokens, transfer } from "../vocabulary/index.ts";
import { trainEncoder, trainLanguageModel, trainTokenizerFolder } from "./index.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-wrong-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const folder = join(root, "run");

/** The message of the `JetonError` that a call throws; anything else fails the test. */
async function messageOf(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (error instanceof JetonError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error("accepted");
}

const wrong = (value: unknown) => value as never;

const trainings = [
  ["trainLanguageModel", trainLanguageModel, { config: {}, tokenizer: "t", corpora: [], steps: 1 }],
  ["trainEncoder", trainEncoder, { objective: {}, examples: [], steps: 1 }],
  ["trainCompressor", trainCompressor, { model: "m", corpora: [], steps: 1 }],
] as const;

describe.each(trainings)("%s", (_name, train, given) => {
  test.each([[undefined], [null], ["runs/a"], [[]]])("options %j", async (options) => {
    expect(await messageOf(() => train(wrong(options)))).toMatch(/^option-invalid: options is /);
  });

  test("a mistyped name, with the nearest one, before anything is written", async () => {
    const options = { ...given, folder, stepz: 3 };
    expect(await messageOf(() => train(wrong(options)))).toBe(
      "option-invalid: stepz is no option of a training; did you mean steps?",
    );
    expect(readdirSync(root)).toEqual([]);
  });

  test("more threads than any machine has", async () => {
    const options = { ...given, folder, threads: 999 };
    expect(await messageOf(() => train(wrong(options)))).toBe(
      "option-invalid: threads is 999, expected an integer from 1 to 256",
    );
  });

  test.each(Object.keys(given).slice(0, 1))("without %s", async (name) => {
    const options = { ...given, folder, [name]: undefined };
    expect(await messageOf(() => train(wrong(options)))).toMatch(
      new RegExp(`^option-invalid: ${name} is undefined, expected `),
    );
    expect(await messageOf(() => train(wrong({ ...given })))).toMatch(/folder is undefined/);
  });
});

describe("training a tokenizer", () => {
  const texts = ["the king", "the queen"];
  const code = "tokenizer-training-option: ";

  test("a mistyped name, and a kind that is none", async () => {
    const call = (given: object) => messageOf(() => trainTokenizer(wrong({ texts, ...given })));
    const kind = "unigram";
    expect(await call({ kind, vocab: 3 })).toBe(
      `${code}vocab is no option of the training of a tokenizer; did you mean vocabSize?`,
    );
    expect(await call({ kind: "bpe", vocabSize: 300 })).toContain("byte-level-bpe or");
    expect(await call({ kind, vocabSize: 300, texts: 5 })).toBe(
      `${code}texts is 5, expected a list or stream of texts`,
    );
  });

  test.each([
    ["byte-level-bpe", { lowercase: false }],
    ["byte-level-bpe", { maxAlphabet: 30 }],
    ["wordpiece", { pattern: "gpt2" }],
    ["wordpiece", { bosToken: "[CLS]" }],
    ["unigram", { minFrequency: 3 }],
    ["byte-fallback-bpe", { seedSize: 1000 }],
    ["lib", { splitDigits: true }],
    ["unigram", { steps: 3 }],
  ])("%s would ignore %j", async (kind, given) => {
    const options = { kind, vocabSize: 300, texts, ...given };
    const [name] = Object.keys(given);
    const wanted = new RegExp(`^${code}${name} is .*it means nothing for ${kind}$`);
    expect(await messageOf(() => trainTokenizer(wrong(options)))).toMatch(wanted);
    const { texts: _, ...training } = options;
    const corpus = { files: ["book.txt"] };
    const asFolder = { ...training, folder, corpus };
    expect(await messageOf(() => trainTokenizerFolder(wrong(asFolder)))).toMatch(wanted);
  });

  test("LiB's own training without texts", async () => {
    expect(await messageOf(() => trainLibTokenizer(wrong(undefined)))).toContain(
      "texts is undefined",
    );
  });
});

test("a transfer without a model, a method, or a folder to write", async () => {
  const method = meanOfSubtokens();
  const call = (...args: readonly unknown[]) =>
    messageOf(() => transfer(...(args as Parameters<typeof transfer>)));
  const code = "transfer-option-invalid: ";
  expect(await call()).toBe(`${code}model is undefined, expected a path`);
  expect(await call("m", "t", "mean", { out: folder })).toContain("expected a method");
  expect(await call("m", "t", method)).toContain("options is undefined");
  expect(await call("m", "t", method, {})).toBe(`${code}out is undefined, expected a path`);
  expect(await call("m", "t", method, { outt: folder })).toContain("did you mean out?");
});
