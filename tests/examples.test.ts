/**
 * Every program of `examples/`, run as a user would: in a project that has installed the packed package, on
 * the bundled model. The pages of browsers are in `tests/browser/examples.test.ts`.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { transform } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete, loadModel } from "../src/index.ts";
import { createPackedProject, type PackedProject, repository } from "./documents/packed-project.ts";

const programs = readdirSync(join(repository, "examples")).filter((name) => name.endsWith(".ts"));

let project: PackedProject;
/** Texts after "The emperor", of the sources. */
let expected: { sampled: string; greedy: string };
beforeAll(async () => {
  project = createPackedProject();
  cpSync(join(repository, "README.md"), join(project.folder, "README.md"));
  mkdirSync(join(project.folder, "examples"));
  for (const name of programs) {
    const source = readFileSync(join(repository, "examples", name), "utf8");
    const { code } = await transform(source, { loader: "ts" });
    writeFileSync(join(project.folder, "examples", name.replace(/ts$/, "js")), code);
  }
  await using model = await loadModel();
  const options = { maxTokens: 24, seed: 1 };
  const sampled = await complete(model, "The emperor", options);
  const greedy = await complete(model, "The emperor", { ...options, greedy: true });
  expected = { sampled: sampled.text, greedy: greedy.text };
}, 120_000);
afterAll(() => project?.remove());

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; a status other than 0 fails. */
async function run(name: string, args: readonly string[] = [], input = ""): Promise<Output> {
  const program = join("examples", name.replace(/ts$/, "js"));
  const child = spawn(process.execPath, [program, ...args], {
    cwd: project.folder,
    env: project.env,
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
  child.stdin.end(input);
  const status = await new Promise((resolve) => child.on("close", resolve));
  expect(status, output.stderr).toBe(0);
  return output;
}

const lines = (text: string): string[] => text.trimEnd().split("\n");

/** One check for each program. */
const checks: Readonly<Record<string, () => Promise<void>>> = {
  "any-prompt-ending.ts": async () => {
    const { stdout } = await run("any-prompt-ending.ts");
    const [first, second, third, text, ...healed] = lines(stdout);
    const shares = [first, second, third].map((line) => Number(/ ([\d.]+)$/.exec(line!)![1]));
    // "The Roman emp" goes on as "empire" or "emperor".
    expect([first!.slice(0, 3), second!.slice(0, 3)]).toEqual(['"i"', '"e"']);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeLessThanOrEqual(1);
    expect(text).toMatch(/^"ire /);
    const [exact, token, none] = healed;
    expect(exact).toMatch(/^exact {2}"of the barbar/);
    for (const other of [token, none]) expect(other).not.toMatch(/barbar/);
  },
  "chat-loop.ts": async () => {
    const told = "The code of emperor is 4821. The code of river is 9034.";
    const { stdout, stderr } = await run(
      "chat-loop.ts",
      [],
      `${told} What is the code of emperor? The code of emperor is\n` +
        "What is the code of river? The code of river is\n",
    );
    expect(lines(stdout)).toEqual(["4821", "9034"]);
    // The second prompt begins with the first one and its answer.
    const [first, second] = [...stderr.matchAll(/\((\d+) of (\d+) prompt tokens/g)].map(
      ([, reused, all]) => [Number(reused), Number(all)],
    );
    expect(first![0]).toBe(0);
    expect(second![0]).toBeGreaterThanOrEqual(first![1]!);
    expect(second![1]).toBeGreaterThan(second![0]!);
  },
  "compare-drafters.ts": async () => {
    const { stdout } = await run("compare-drafters.ts");
    const rows = new Map(lines(stdout).map((line) => line.split(/\s+/) as [string, string]));
    for (const name of [
      "auto",
      "prompt-lookup",
      "token-recycling",
      "lookahead",
      "aded",
      "dyspec",
    ]) {
      expect(Number(rows.get(name)), name).toBeGreaterThanOrEqual(1);
    }
    expect(Number(rows.get("prompt-lookup"))).toBeGreaterThan(1.5);
  },
  "hidden-states.ts": async () => {
    const { stdout } = await run("hidden-states.ts");
    const [near, far] = [...stdout.matchAll(/:\s+(-?[\d.]+)/g)].map(([, value]) => Number(value));
    expect(near).toBeGreaterThan(far!);
    expect(near).toBeLessThanOrEqual(1);
  },
  "own-drafter.ts": async () => {
    const { stdout } = await run("own-drafter.ts");
    expect(stdout).toContain("same text: true\n");
    expect(Number(/mean acceptance length: (.+)/.exec(stdout)![1])).toBeGreaterThan(1.5);
  },
  "own-logits-processor.ts": async () => {
    const { stdout } = await run("own-logits-processor.ts");
    const [text, verdict] = [lines(stdout).slice(0, -1).join("\n"), lines(stdout).at(-1)];
    expect(verdict).toBe("holds an e: false");
    expect(text.length).toBeGreaterThan(20);
    expect(text).not.toMatch(/e/i);
  },
  "score-text.ts": async () => {
    const { stdout } = await run("score-text.ts");
    const values = [...stdout.matchAll(/^"(.*?)" +(-[\d.]+)$/gm)];
    expect(values.map(([, text]) => text).join("")).toBe("The emperor was advised by the senate.");
    const mean = values.reduce((sum, [, , value]) => sum + Number(value), 0) / values.length;
    const perplexity = Number(/perplexity: ([\d.]+)/.exec(stdout)![1]);
    expect(Math.exp(-mean) / perplexity).toBeCloseTo(1, 2);
  },
  "search-notes.ts": async () => {
    const { stdout } = await run("search-notes.ts", ["speculative decoding"]);
    const [, id, words] = /^(README\.md#\d+) {2}[\d.]+ {2}(.+)$/m.exec(stdout)!;
    expect(id).toMatch(/^README/);
    expect(words).toMatch(/speculative/);
  },
  "serve-and-call.ts": async () => {
    const { stdout } = await run("serve-and-call.ts");
    expect(stdout).toBe(`${expected.sampled}\n`);
  },
  "soft-prompt.ts": async () => {
    const { stdout } = await run("soft-prompt.ts");
    expect(stdout.trim().split(/\s+/).length).toBeGreaterThan(5);
  },
  "stream-text.ts": async () => {
    const { stdout } = await run("stream-text.ts");
    const rows = [...stdout.matchAll(/^"(.*)" +(-?[\d.]+) {2}(decoded|[\w-]+, depth \d+)$/gm)];
    expect(rows).toHaveLength(24);
    expect(rows.map(([, text]) => JSON.parse(`"${text}"`)).join("")).toBe(expected.greedy);
    for (const [, , logProbability] of rows) expect(Number(logProbability)).toBeLessThanOrEqual(0);
    expect(lines(stdout).at(-1)).toBe("length after 24 tokens");
  },
  "tokenizer-audit.ts": async () => {
    const { stdout } = await run("tokenizer-audit.ts");
    const ratios = lines(stdout).map((line) => Number(/([\d.]+) times/.exec(line)![1]));
    expect(ratios[0]).toBe(1);
    // The vocabulary was made from English text.
    for (const ratio of ratios.slice(1)) expect(ratio).toBeGreaterThan(1.2);
  },
  "train-from-text.ts": async () => {
    const text = Array.from({ length: 400 }, (_, index) => `one two three ${index % 7} four. `);
    writeFileSync(join(project.folder, "book.txt"), text.join(""));
    const { stdout, stderr } = await run("train-from-text.ts", ["book.txt", "60"]);
    const losses = [...stderr.matchAll(/ · loss ([\d.]+)/g)].map(([, loss]) => Number(loss));
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 2);
    expect(stdout).toMatch(/one|two|three|four/);
  },
  "transfer-tokenizer.ts": async () => {
    const { stdout } = await run("transfer-tokenizer.ts");
    expect(Number(/^(\d+) tokens in both/.exec(stdout)![1])).toBeGreaterThan(256);
    expect(lines(stdout).slice(1).join(" ").trim().length).toBeGreaterThan(10);
  },
};

describe("examples", { timeout: 120_000 }, () => {
  test("each program has a check, and a line in the list", () => {
    expect([...programs].sort()).toEqual(Object.keys(checks).sort());
    const list = readFileSync(join(repository, "examples/README.md"), "utf8");
    for (const file of programs) expect(list).toContain(`(${file})`);
  });

  test.each(Object.entries(checks))("%s", async (_name, check) => check());
});
