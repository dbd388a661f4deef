import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testData, testModels } from "../../testing/test-data.ts";
import { createByteCheckpoint } from "../testing/byte-checkpoint.ts";
import { type RunCommandOptions, runCommand } from "../testing/run-command.ts";

const tiny = testData("models/tinystories-260k");

const chatTemplate =
  "{% for message in messages %}[{{ message.role }}: {{ message.content }}]{% endfor %}" +
  "{% if add_generation_prompt %}[assistant: {% endif %}";

let root = "";
let plain = "";
let chat = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "jeton-run-"));
  plain = join(root, "plain");
  chat = join(root, "chat");
  createByteCheckpoint(plain, { contextLength: 4096 });
  createByteCheckpoint(chat, { chatTemplate });
});
afterAll(() => rm(root, { recursive: true, force: true }));

interface Document {
  text: string;
  ids: number[];
  tokens: number;
  promptTokens: number;
  reusedTokens: number;
  finishReason: string;
  seed: number;
  model: string;
  format: string;
  threads: number;
  memory: { weights: number; cache: number; resident: number };
  logProbabilities?: { id: number; logProbability: number; text: string }[];
  sequences?: { text: string; ids: number[] }[];
  [key: string]: unknown;
}

async function run(model: string, ...args: string[]): Promise<Document> {
  const { status, stdout, stderr } = await runCommand(["run", "--model", model, "--json", ...args]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout) as Document;
}

describe("jeton run --json", () => {
  test("gives the generated ids alone, and what they cost", async () => {
    const result = await run(plain, "--greedy", "--max-tokens", "12", "--ignore-eos", "hello");
    expect(result).toMatchObject({
      tokens: 12,
      promptTokens: 6,
      reusedTokens: 0,
      finishReason: "length",
      model: plain,
      format: "f32",
    });
    expect(result.ids).toHaveLength(12);
    for (const key of ["tokensPerSecond", "promptTokensPerSecond", "prefillSeconds"]) {
      expect(result[key]).toBeGreaterThan(0);
    }
    expect(result.memory.weights).toBeGreaterThan(0);
    expect(result.memory.resident).toBeGreaterThan(result.memory.weights);
    expect(result).not.toHaveProperty("logProbabilities");
  });

  test('the prompt "" is the beginning of a sequence alone; - reads the prompt', async () => {
    const empty = await run(plain, "--greedy", "--max-tokens", "1", "");
    expect(empty.promptTokens).toBe(1);
    const options: RunCommandOptions = { stdin: ["hel", "lo\n"] };
    const args = ["run", "-m", plain, "--greedy", "-n", "5", "--json", "--ignore-eos"];
    const written = await run(plain, "--greedy", "-n", "5", "--ignore-eos", "hello");
    for (const line of [[...args, "-"], args]) {
      const read = await runCommand(line, options);
      expect((JSON.parse(read.stdout) as Document).ids).toEqual(written.ids);
    }
  });

  test("the same seed gives the same text, whichever options else", async () => {
    const args = ["--temperature", "1", "--top-k", "0", "--max-tokens", "16", "--ignore-eos", "a"];
    const first = await run(plain, "--seed", "7", ...args);
    expect(first.seed).toBe(7);
    expect((await run(plain, "--seed=7", "--prefill-chunk", "1", ...args)).ids).toEqual(first.ids);
    expect((await run(plain, "--seed", "8", ...args)).ids).not.toEqual(first.ids);
    const fresh = await run(plain, ...args);
    expect((await run(plain, "--seed", String(fresh.seed), ...args)).ids).toEqual(fresh.ids);
  });

  test("--logprobs gives every token's probability", async () => {
    const { ids, logProbabilities } = await run(plain, "--greedy", "-n", "6", "--logprobs", "abc");
    expect(logProbabilities!.map(({ id }) => id)).toEqual(ids);
    for (const { logProbability } of logProbabilities!) expect(logProbability).toBeLessThan(0);
  });

  test("--sequences continues the prompt several times at once", async () => {
    const args = ["--max-tokens", "10", "--ignore-eos", "abc"];
    const greedy = await run(plain, "--greedy", "--sequences", "4", ...args);
    const alone = await run(plain, "--greedy", ...args);
    expect(greedy.sequences!.map(({ ids }) => ids)).toEqual(Array(4).fill(alone.ids));
    expect(greedy).toMatchObject({ ids: alone.ids, totalTokens: 40 });
    const drawn = await run(plain, "--seed", "3", "-t", "1", "--sequences", "3", ...args);
    expect(new Set(drawn.sequences!.map(({ text }) => text)).size).toBeGreaterThan(1);
  });

  test("a chat model reads its template, unless --raw is given", async () => {
    const args = ["--greedy", "--max-tokens", "3", "hi"];
    const templated = "[user: hi][assistant: ";
    expect((await run(chat, ...args)).promptTokens).toBe(templated.length);
    expect((await run(chat, "--raw", ...args)).promptTokens).toBe("hi".length + 1);
    const system = await run(chat, "--system", "be brief", ...args);
    expect(system.promptTokens).toBe(`[system: be brief]${templated}`.length);
    // As for every model, "" is the beginning of a sequence alone.
    expect((await run(chat, "--greedy", "--max-tokens", "3", "")).promptTokens).toBe(1);
  });

  test("mistakes are told before and after loading, each with its status", async () => {
    const attempt = async (...args: string[]) => {
      const { status, stdout, stderr } = await runCommand(["run", "--json", ...args]);
      expect(stdout).toBe("");
      return [status, (JSON.parse(stderr) as { error: { code: string } }).error.code];
    };
    expect(await attempt("--model", plain)).toEqual([2, "prompt-missing"]);
    expect(await attempt("--model", plain, "--system", "x", "a")).toEqual([
      2,
      "system-unsupported",
    ]);
    expect(await attempt("--model", join(root, "absent"), "a")).toEqual([1, "model-not-found"]);
    const foreign = join(root, "model.gguf");
    writeFileSync(foreign, "");
    expect(await attempt("--model", foreign, "a")).toEqual([1, "checkpoint-format-unsupported"]);
    expect(await attempt("--model", plain, "--max-tokens", "5000", "a")).toEqual([
      1,
      "generate-context-exceeded",
    ]);
    expect(await attempt("--model", plain, "--context", "5000", "a")).toEqual([
      2,
      "context-too-long",
    ]);
    expect(await attempt("--model", plain, "--format", "int5", "a")).toEqual([
      2,
      "option-value-invalid",
    ]);
    for (const options of [
      ["--greedy", "--temperature", "0.5"],
      ["--drafter", "lookahead", "--draft-model", plain],
    ]) {
      expect(await attempt("--model", plain, ...options, "a")).toEqual([2, "option-misplaced"]);
    }
  });
});

describe("jeton run", () => {
  test("without --model, the model that comes with jeton writes words", async () => {
    const { status, stdout } = await runCommand([
      "run",
      "--json",
      "--greedy",
      "-n",
      "20",
      "The emperor",
    ]);
    expect(status).toBe(0);
    const { text, tokens, model } = JSON.parse(stdout) as Record<string, unknown>;
    expect(tokens).toBe(20);
    expect(model).toMatch(/jeton-nano$/);
    expect((text as string).match(/\b[a-z]{2,}\b/g)!.length).toBeGreaterThan(8);
  });

  test("streams the text, then says on standard error how fast it came", async () => {
    const args = ["--greedy", "--max-tokens", "40", "--ignore-eos", "abc"];
    const writes: string[] = [];
    const { stdout, stderr } = await runCommand(["run", "-m", plain, ...args], {
      onStdout: (text) => void writes.push(text),
    });
    expect(stdout).toBe(`${(await run(plain, ...args)).text}\n`);
    expect(writes.filter((text) => text !== "").length).toBeGreaterThan(5);
    expect(stderr).toMatch(/(^|\n)prompt 4 tokens at .*; generated 40 at .*; .* resident .*\n$/);
    expect((await runCommand(["run", "-m", plain, "--quiet", ...args])).stderr).toBe("");
  });

  test("one line of statistics, all of them with --stats; a default length that cut the text", async () => {
    const args = ["run", "-m", plain, "--greedy", "--ignore-eos", "abc"];
    const cut = await runCommand(args);
    expect(cut.stderr).toMatch(/^ended after 256 tokens \(--max-tokens\); prompt 4 tokens .*\n$/);
    const { stderr } = await runCommand([...args, "-n=8", "--stats", "--drafter", "lookahead"]);
    const lines = stderr.trimEnd().split("\n");
    expect(lines[0]).toMatch(
      /^prompt 4 tokens at .*; generated 8 at .*, [\d.]+ per forward pass; /,
    );
    expect(lines[1]).toMatch(/ended by the maximum length; seed \d+$/);
    expect(stderr).toContain("drafter lookahead: ");
  });

  test("the bundled model reads a short prompt after an opening, unless --raw is given", async () => {
    const lengths = async (...args: string[]) => {
      const command = ["run", "--json", "--greedy", "-n", "24", ...args];
      const { stdout } = await runCommand(command);
      return JSON.parse(stdout) as Document;
    };
    const [opened, raw, long] = await Promise.all([
      lengths("hi"),
      lengths("--raw", "hi"),
      lengths(
        "The history of the decline and fall of the empire was written in the eighteenth century.",
      ),
    ]);
    expect(raw.promptTokens).toBeLessThan(4);
    const { stderr } = await runCommand(["run", "--greedy", "-n", "2", "hi"]);
    expect(stderr).toContain(
      `prompt ${opened.promptTokens} tokens with an opening (--raw: without) `,
    );
    expect(opened.promptTokens).toBeGreaterThan(20);
    expect(opened.text).not.toMatch(/ lives in |The code of|number opens/);
    expect(raw.text).toMatch(/ lives in |The code of|number opens/);
    expect(long.promptTokens).toBeLessThan(30);
  });

  test("ends before a stop text", async () => {
    const args = ["--greedy", "--max-tokens", "60", "--ignore-eos", "abc"];
    const { text } = await run(plain, ...args);
    const stop = text.slice(4, 6);
    const stopped = await run(plain, "--stop", "never", "--stop", stop, ...args);
    expect(stopped.finishReason).toBe("stop");
    expect(stopped.text).toBe(text.slice(0, text.indexOf(stop)));
  });

  test("an interruption during the prompt or the text ends with status 130", async () => {
    const long = "abc ".repeat(400);
    const args = ["run", "-m", plain, "--prefill-chunk", "8", "--ignore-eos", "-n", "2000", long];
    const reading = await runCommand(args, {
      isTerminal: true,
      onStderr: (text, interrupt) => {
        if (text.includes("reading the prompt")) interrupt();
      },
    });
    expect(reading).toMatchObject({ status: 130, stdout: "" });
    let pieces = 0;
    const writing = await runCommand(args, {
      onStdout: (_, interrupt) => {
        if (++pieces === 5) interrupt();
      },
    });
    expect(writing).toMatchObject({ status: 130, stderr: "" });
    expect(pieces).toBeLessThan(10);
  });
});

describe("jeton score", () => {
  test("what a prefix says is not scored but counts for what follows", async () => {
    const measure = async (...args: string[]) => {
      const { stdout } = await runCommand(["score", "-m", plain, "--json", ...args]);
      return JSON.parse(stdout) as { bytes: number; tokens: { logProbability: number }[] };
    };
    const whole = await measure("abcdef");
    const rest = await measure("--prefix", "abc", "def");
    expect(rest.bytes).toBe(3);
    const last = ({ tokens }: typeof whole): number => tokens.at(-1)!.logProbability;
    expect(last(rest)).toBeCloseTo(last(whole), 4);
    expect(last(rest)).not.toBeCloseTo(last(await measure("--prefix", "xyz", "def")), 4);
  });

  test("measures a file to the byte", async () => {
    const path = join(root, "plain", "config.json");
    const bytes = readFileSync(path).length;
    const { stdout } = await runCommand(["score", "-m", plain, "--file", path, "--json"]);
    const result = JSON.parse(stdout) as Record<string, number>;
    expect(result["bytes"]).toBe(bytes);
    const { logProbability, scoredTokens, perplexity, bitsPerByte } = result;
    expect(perplexity!).toBeCloseTo(Math.exp(-logProbability! / scoredTokens!), 6);
    expect(bitsPerByte!).toBeCloseTo(-logProbability! / (bytes * Math.LN2), 6);
    const read = await runCommand(["score", "-m", plain, "--json"], {
      stdin: readFileSync(path, "utf8"),
    });
    expect(JSON.parse(read.stdout)).toMatchObject({ logProbability });
    const table = await runCommand(["score", "-m", plain, "--tokens", "abc"]);
    expect(table.stdout).toMatch(/^ *id {2}log-probability {2}probability {2}token\n/);
    expect(table.stdout).toMatch(/\nperplexity {2,}\d/);
    const both = await runCommand(["score", "-m", plain, "--file", path, "abc"]);
    expect(both.status).toBe(2);
  });
});

describe.skipIf(tiny.skip)("the tiny model of the data folder", () => {
  test("continues the beginning of a sequence as its float64 reference does", async () => {
    const model = tiny.folder;
    const reference = JSON.parse(readFileSync(join(model, "reference.json"), "utf8")) as {
      greedy_ids: number[];
    };
    const [beginning, ...expected] = reference.greedy_ids;
    expect(beginning).toBe(1);
    const count = String(expected.length);
    for (const more of [[], ["--sequences", "4"], ["--threads", "1"]]) {
      const result = await run(model, "--greedy", "--max-tokens", count, ...more, "");
      expect(result.ids).toEqual(expected);
      for (const { ids } of result.sequences ?? []) expect(ids).toEqual(expected);
    }
  });
});

describe.each(testModels("models/tinystories-260k"))("$name", ({ folder }) => {
  test("score and run agree on the probabilities of the same tokens", async () => {
    const prompt = "The emperor";
    const written = await run(
      folder,
      "--greedy",
      "--max-tokens",
      "60",
      "--logprobs",
      "--raw",
      prompt,
    );
    const scored = ["score", "--model", folder, "--json", "--prefix", prompt, written.text];
    const { stdout } = await runCommand(scored);
    const { tokens } = JSON.parse(stdout) as { tokens: { id: number; logProbability: number }[] };
    // The text may be cut into other tokens than those that were generated: compare up to there.
    const ids = written.ids;
    const differs = tokens.findIndex(({ id }, at) => id !== ids[at]);
    const shared = tokens.slice(0, differs < 0 ? tokens.length : differs);
    expect(shared.length).toBeGreaterThan(20);
    for (const [at, { logProbability }] of shared.entries()) {
      expect(logProbability).toBeCloseTo(written.logProbabilities![at]!.logProbability, 4);
    }
  });
});
