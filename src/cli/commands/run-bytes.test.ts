import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openByteDistribution } from "../../generate/index.ts";
import { smallWordConfig, writeSmallWordModel } from "../../model/byte/testing/small-word-model.ts";
import { loadModel } from "../../model/index.ts";
import { healingOptions } from "../options/healing.ts";
import { createByteCheckpoint } from "../testing/byte-checkpoint.ts";
import { runCommand } from "../testing/run-command.ts";

let root = "";
let plain = "";
let other = "";
let words = "";
let pooled = "";
let source = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "jeton-bytes-"));
  plain = join(root, "plain");
  other = join(root, "other");
  createByteCheckpoint(plain, { contextLength: 256 });
  createByteCheckpoint(other, { contextLength: 256, layers: 1 });
  const wordModel = (family: string): Promise<string> =>
    writeSmallWordModel(join(root, family), smallWordConfig(family), 5);
  words = await wordModel("hierarchical-transformer");
  pooled = await wordModel("word-pooled");
  source = join(root, "source");
  createByteCheckpoint(source);
  writeFileSync(join(source, "config.json"), JSON.stringify({ model_type: "t5" }));
});
afterAll(() => rm(root, { recursive: true, force: true }));

// biome-ignore lint/suspicious/noExplicitAny: documents of several commands
async function json(...line: string[]): Promise<any> {
  const { status, stdout, stderr } = await runCommand([...line, "--json"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout);
}

describe("jeton run --bytes", () => {
  const bytes = ["run", "--bytes", "--max-bytes", "6", "--ignore-eos"];

  test("a model whose tokens are bytes gives the same greedy text either way", async () => {
    const found = await json(...bytes, "-m", plain, "--greedy", "--prefix", "ab", "hello");
    expect(found.bytes.slice(0, 2)).toEqual([97, 98]);
    expect(found).toMatchObject({ promptBytes: 5, finishReason: "length" });
    expect(found.models).toMatchObject([{ model: plain, format: "f32" }]);
    const rest = await json(...bytes, "-m", plain, "--greedy", "helloab", "--logprobs");
    expect(rest.bytes.slice(0, 4)).toEqual(found.bytes.slice(2));
    expect(rest.logProbabilities).toHaveLength(6);
    const sum = rest.logProbabilities.reduce((total: number, log: number) => total + log, 0);
    expect(sum).toBeCloseTo(rest.logProbability, 9);
  });

  test("the same seed gives the same text; an ensemble has its own", async () => {
    const seeded = ["--seed", "3", "hello"];
    const one = await json(...bytes, "-m", plain, ...seeded);
    expect((await json(...bytes, "-m", plain, ...seeded)).bytes).toEqual(one.bytes);
    const both = await json("run", "--ensemble", `${plain},${other}`, ...bytes.slice(2), ...seeded);
    expect(both.models.map(({ model }: { model: string }) => model)).toEqual([plain, other]);
    expect(both.seed).toBe(3);
  });

  test("models of words generate bytes, alone and beside models of tokens", async () => {
    const asked = ["-m", words, "--greedy", "--prefix", "of", "The élan "];
    const found = await json(...bytes, ...asked);
    expect([found.promptBytes, found.bytes.slice(0, 2)]).toEqual([10, [0x6f, 0x66]]);
    // What it writes is what its distribution finds most probable.
    await using loaded = await loadModel(words, { inline: true });
    const distribution = await openByteDistribution(loaded);
    await distribution.prefill(new TextEncoder().encode("The élan of"));
    for (const byte of found.bytes.slice(2)) {
      const logs = (await distribution.logProbabilities()).subarray(0, 256);
      expect(logs.indexOf(Math.max(...logs))).toBe(byte);
      await distribution.advance(byte);
    }
    await distribution.close();
    const filled = await json(
      ...["fill-middle", "-m", words, "--greedy", "-n", "4", "--candidates", "1", "ab", "cd"],
    );
    expect(filled).toMatchObject({ method: "search", model: words });
    const scored = await json("score", "--bytes", "-m", words, "The élan");
    expect(scored.logProbabilities).toHaveLength(9);
    const mixed = ["--greedy", "--logprobs", "the"];
    const line = ["run", "--ensemble", `${plain},${pooled}`, ...bytes.slice(2), ...mixed];
    const both = await json(...line);
    expect(both.models.map(({ model }: { model: string }) => model)).toEqual([plain, pooled]);
    // The first byte has the mean of its probabilities in both.
    let sum = 0;
    for (const model of [plain, pooled]) {
      await using loaded = await loadModel(model, { inline: true });
      const distribution = await openByteDistribution(loaded);
      await distribution.prefill(new TextEncoder().encode("the"));
      sum += Math.exp((await distribution.logProbabilities())[both.bytes[0]]!);
      await distribution.close();
    }
    expect(both.logProbabilities[0]).toBeCloseTo(Math.log(sum / 2), 4);
  });

  test("models that go on with no text are refused by name", async () => {
    for (const line of [
      ["run", "--bytes", "-m", source, "a"],
      ["run", "--ensemble", `${plain},${source}`, "a"],
      ["score", "--bytes", "-m", source, "a"],
      ["fill-middle", "-m", source, "a", "b"],
    ]) {
      const { status, stderr } = await runCommand(line);
      expect([status, stderr]).toEqual([1, expect.stringContaining("encoder-decoder")]);
      expect(stderr).toContain(source);
    }
  });

  test.each([
    ["--max-tokens", "5"],
    ["--repetition-penalty", "2"],
    ["--drafter", "lookahead"],
    ["--heal", "token"],
    ["--sequences", "2"],
    ["--show-drafts", ""],
    ["--stats", ""],
    ["--ensemble", "a,b"],
  ])("%s %s is refused", async (option, value) => {
    const words = value === "" ? [option] : [option, value];
    const { status, stderr } = await runCommand(["run", "--bytes", "-m", plain, ...words, "a"]);
    expect([status, stderr]).toEqual([2, expect.stringContaining("option-misplaced")]);
  });

  test("options of bytes need --bytes; an ensemble has two models at least", async () => {
    for (const words of [
      ["--max-bytes", "5"],
      ["--prefix", "x"],
    ]) {
      const { status, stderr } = await runCommand(["run", "-m", plain, ...words, "a"]);
      expect([status, stderr]).toEqual([2, expect.stringContaining("option-misplaced")]);
    }
    const { status, stderr } = await runCommand(["run", "--ensemble", plain, "a"]);
    expect([status, stderr]).toEqual([2, expect.stringContaining("ensemble-invalid")]);
  });
});

describe("jeton run --heal", () => {
  const line = ["run", "--raw", "--greedy", "-n", "4"];
  const prompt = "The Roman emp";

  test("the bundled model ends the word that the prompt begins, by default", async () => {
    const exact = await json(...line, "--heal", "exact", prompt);
    expect(exact.healed).toMatch(/^(ire|eror)/);
    expect(exact.text.startsWith(exact.healed)).toBe(true);
    const { text, ids, healed, promptTokens, reusedTokens } = await json(...line, prompt);
    expect([text, ids, healed]).toEqual([exact.text, exact.ids, exact.healed]);
    // Healing reads the prompt: what the generation takes from its cache was read for it.
    expect([promptTokens, reusedTokens]).toEqual([4, 0]);
    const none = await json(...line, "--heal", "none", prompt);
    expect(none).not.toHaveProperty("healed");
    expect(none.text).not.toBe(exact.text);
    const shown = await runCommand([...line, "--quiet", prompt]);
    expect(shown.stdout).toBe(`${exact.text}\n`);
  });

  test("drafting changes nothing, stop strings may begin in the healed token", async () => {
    const plain = await json(...line, "--drafter", "none", prompt);
    for (const drafter of ["auto", "prompt-lookup", "lookahead"]) {
      const drafted = await json(...line, "--drafter", drafter, prompt);
      expect([drafted.text, drafted.ids]).toEqual([plain.text, plain.ids]);
    }
    const stop = plain.text.slice(1, plain.healed.length + 2);
    const stopped = await json(...line, "--stop", stop, prompt);
    expect([stopped.text, stopped.finishReason]).toEqual([plain.text[0], "stop"]);
  });

  test("several continuations draw their own endings, the same ones for a seed", async () => {
    const several = ["run", "--raw", "-n", "3", "-t", "1", "--top-p", "1", "--seed", "4"];
    const open = "The p";
    const { sequences } = await json(...several, "--sequences", "6", open);
    const healed = sequences.map((one: { healed?: string }) => one.healed ?? "");
    expect(new Set(healed).size).toBeGreaterThan(1);
    for (const [at, one] of sequences.entries()) expect(one.text.startsWith(healed[at])).toBe(true);
    const alone = await json(...several, open);
    expect([alone.text, alone.ids]).toEqual([sequences[0].text, sequences[0].ids]);
  });

  test("special tokens of a raw prompt stay tokens", async () => {
    const marked = await json(...line, "<|user|>The Roman emp");
    expect(marked.promptTokens).toBe(5);
  });

  test("prompts of models without byte pairs are left alone, and refused where healing is asked for", async () => {
    const found = await json(...line, "-m", words, "--ignore-eos", "The él");
    expect(found).not.toHaveProperty("healed");
    const { status, stderr } = await runCommand([...line, "--heal", "exact", "-m", words, "The"]);
    expect([status, stderr]).toEqual([1, expect.stringContaining("byte-tokens-unsupported")]);
  });

  test("the help names the default", async () => {
    const { defaultHealing } = await import("../../generate/index.ts");
    expect(healingOptions.heal.help).toContain(`${defaultHealing} (default`);
  });
});

test("jeton score --bytes: a text whose tokens are bytes scores as by tokens", async () => {
  const exact = await json("score", "--bytes", "-m", plain, "hello");
  const tokens = await json("score", "-m", plain, "hello");
  const byToken = tokens.tokens.map(
    ({ logProbability }: { logProbability: number }) => logProbability,
  );
  // Bytes that no UTF-8 text has here share nothing of the probability, so the others have more.
  expect(exact.logProbabilities).toHaveLength(5);
  for (const [at, log] of byToken.entries()) {
    expect(exact.logProbabilities[at]).toBeGreaterThan(log);
  }
  // With any bytes allowed the outcomes are the vocabulary: 256 bytes and the end.
  await using model = await loadModel(plain);
  const any = await openByteDistribution(model, { text: "bytes" });
  await any.prefill(new Uint8Array(0));
  for (const [at, byte] of new TextEncoder().encode("hello").entries()) {
    expect((await any.logProbabilities())[byte]!).toBeCloseTo(byToken[at]!, 3);
    await any.advance(byte);
  }
  await any.close();
  const { status, stderr } = await runCommand(["score", "--bytes", "--tokens", "-m", plain, "a"]);
  expect([status, stderr]).toEqual([2, expect.stringContaining("option-misplaced")]);
});

test("jeton fill-middle: says how the gap was filled", async () => {
  const line = ["fill-middle", "-m", plain, "--greedy", "-n", "4", "--candidates", "1", "ab", "cd"];
  const found = await json(...line);
  expect(found).toMatchObject({ method: "search", model: plain });
  const shown = await runCommand(line);
  expect(shown.stdout).toBe(`${found.middle}\n`);
  expect(shown.stderr).toContain("no fill-in-the-middle documents");
});
