/** No option is taken that would have no effect: for some kinds of models, forms of output or other options. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { smallWordConfig, writeSmallWordModel } from "../../model/byte/testing/small-word-model.ts";
import { loadModel } from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { createByteCheckpoint } from "../testing/byte-checkpoint.ts";
import { runCommand } from "../testing/run-command.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-misplaced-"));
const decoder = join(root, "decoder");
const source = join(root, "source");
let words = "";
beforeAll(async () => {
  createByteCheckpoint(decoder);
  // The configuration alone tells that these are an encoder-decoder's.
  mkdirSync(source);
  writeFileSync(join(source, "config.json"), JSON.stringify({ model_type: "t5" }));
  writeFileSync(
    join(source, "model.safetensors"),
    Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d]),
  );
  words = await writeSmallWordModel(root, smallWordConfig("word-pooled"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Expects that a command line is refused for this option, before anything is loaded. */
async function refuses(option: string, ...line: string[]): Promise<void> {
  const { status, stdout, stderr } = await runCommand([...line, "--json"]);
  expect([status, stdout]).toEqual([2, ""]);
  const { code, details } = (JSON.parse(stderr) as { error: Record<string, unknown> }).error;
  expect([code, details]).toEqual(["option-misplaced", expect.objectContaining({ option })]);
}

test.each([
  ["--context", "--context", "5"],
  ["--inexact", "--inexact"],
  ["--prefill-chunk", "--prefill-chunk", "5"],
  ["--heal", "--heal", "token"],
])("run: %s with an encoder-decoder", async (option, ...words) => {
  await refuses(option, "run", "-m", source, ...words, "a text");
});

test("run: --context of a model of words is its own limit", async () => {
  const line = ["run", "-m", words, "--json", "-n", "1", "--drafter", "none", "a text"];
  const { status, stderr } = await runCommand([...line, "--context", "257"]);
  expect([status, stderr]).toEqual([2, expect.stringContaining("context-too-long")]);
  expect((await runCommand([...line, "--context", "100"])).status).toBe(0);
});

test("run, serve: --inexact with a model of words; the library refuses exactness", async () => {
  await refuses("--inexact", "run", "-m", words, "--inexact", "a text");
  await refuses("--inexact", "serve", "-m", words, "--inexact", "--port", "0");
  expect(await codeOf(() => loadModel(words, { exact: true, inline: true }))).toBe(
    "model-exact-unsupported",
  );
});

test("run: options of sampling where nothing is sampled", async () => {
  for (const option of ["--top-k=5", "--top-p=0.5", "--min-p=0.1"]) {
    const name = option.split("=")[0]!;
    await refuses(name, "run", "-m", decoder, "--greedy", option, "a");
    await refuses(name, "run", "-m", decoder, "--temperature", "0", option, "a");
  }
});

test("run: forms of output that a chat or a list of continuations has no place for", async () => {
  for (const option of ["--show-drafts", "--stats"]) {
    await refuses(option, "run", "-m", decoder, "--sequences", "2", option, "a");
  }
  for (const option of ["--show-drafts", "--logprobs"]) {
    const { status, stderr } = await runCommand(["run", "-m", decoder, option]);
    expect([status, stderr]).toEqual([2, expect.stringContaining("option-misplaced")]);
  }
  await refuses("--inexact", "run", "-m", decoder, "--bytes", "--inexact", "a");
});

describe("options that belong to others", () => {
  const embed = ["embed", "-m", decoder, "--tokens", "a"];
  const decode = ["tokenize", decoder, "--decode", "1 2"];
  const lm = ["train", "lm", "--preset", "tiny", "--tokenizer", "bytes", "--corpus", "a.txt"];
  const needles = ["evaluate", "needle-threading", "--tokenizers", decoder];
  test.each<[string, string[]]>([
    ...["--pooling=mean", "--prompt=a", "--prompt-name=a", "--dimensions=4", "--max-tokens=8"].map(
      (option): [string, string[]] => [option, [...embed, option]],
    ),
    ["--normalize", [...embed, "--normalize"]],
    ["--every", ["classify", "-m", decoder, "--question", "who?", "--every", "a"]],
    ["--threads=1", ["index", root, "--index", join(root, "index"), "--words", "--threads=1"]],
    ["--offsets=utf16", [...decode, "--offsets=utf16"]],
    ["--whole", [...decode, "--whole"]],
    ["--ids", [...decode, "--ids"]],
    ["--ids", ["tokenize", decoder, "--jsonl", "--ids"]],
    ["--offsets=utf16", ["tokenize", decoder, "a", "--ids", "--offsets=utf16"]],
    ["--config-only", ["inspect", decoder, "--qtok", "--config-only"]],
    ["--decay=5", [...lm, "--steps", "2", "--out", join(root, "run"), "--decay=5"]],
    [
      "--final-learning-rate=1",
      [...lm, "--out", join(root, "run"), "--schedule=constant", "--final-learning-rate=1"],
    ],
    ["--evaluate-every=5", [...lm, "--out", join(root, "run"), "--evaluate-every=5"]],
    ["--pairs=5", [...needles, "--pairs=5"]],
    ["--model", [...needles, "--model", decoder]],
    ["--steps", ["transfer", "-t", decoder, "-o", join(root, "moved"), "--steps", "5"]],
  ])("%s: %j", async (option, line) => {
    await refuses(option.replace(/=.*/, ""), ...line);
  });
});

test("search: options of vectors in an index of words", async () => {
  const index = ["--index", join(root, "words-index")];
  writeFileSync(join(root, "note.txt"), "A rose by any other name.");
  expect((await runCommand(["index", join(root, "note.txt"), "--words", ...index])).status).toBe(0);
  for (const option of ["--exact", "--format=int8", "--threads=1"]) {
    await refuses(option.replace(/=.*/, ""), "search", "rose", ...index, option);
  }
});
