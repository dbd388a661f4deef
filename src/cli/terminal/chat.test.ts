import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GenerateOptions } from "../../generate/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import type { CommandContext, Output } from "../context.ts";
import { createByteCheckpoint } from "../testing/byte-checkpoint.ts";
import { chat } from "./chat.ts";
import { createStyle } from "./style.ts";

const chatTemplate =
  "{% for message in messages %}[{{ message.role }}: {{ message.content }}]{% endfor %}" +
  "{% if add_generation_prompt %}[assistant: {% endif %}";

let root = "";
let model: LoadedModel;
/** The same with a context of 128 tokens. */
let short: LoadedModel;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "jeton-chat-"));
  createByteCheckpoint(join(root, "model"), { contextLength: 4096, chatTemplate });
  model = await loadModel(join(root, "model"), { slots: 1 });
  createByteCheckpoint(join(root, "short"), { contextLength: 128, chatTemplate });
  short = await loadModel(join(root, "short"), { slots: 1 });
});
afterAll(async () => {
  await model.close();
  await short.close();
  await rm(root, { recursive: true, force: true });
});

interface Conversation {
  readonly stdout: string;
  readonly stderr: string;
}

/** Talks with these lines, then leaves; `onStdout` may interrupt. */
async function talk(
  lines: readonly string[],
  options: {
    model?: LoadedModel;
    usesTemplate?: boolean;
    maxTokens?: number;
    system?: string;
    generation?: GenerateOptions;
    onStdout?: (interrupt: () => void) => void;
  } = {},
): Promise<Conversation> {
  const { usesTemplate = true, maxTokens = 8, onStdout, system } = options;
  const generation = options.generation ?? { greedy: true, maxTokens, ignoreEos: true };
  const spoken = options.model ?? model;
  const written = { stdout: "", stderr: "" };
  const handlers: (() => void)[] = [];
  const controller = new AbortController();
  const interrupt = (): void => (handlers.at(-1) ?? (() => controller.abort()))();
  const output = (name: "stdout" | "stderr"): Output => ({
    isTerminal: false,
    columns: 80,
    style: createStyle(false),
    async write(text) {
      written[name] += text;
      if (name === "stdout") onStdout?.(interrupt);
    },
  });
  const context: CommandContext = {
    stdin: Readable.from([]),
    stdout: output("stdout"),
    stderr: output("stderr"),
    environment: {},
    signal: controller.signal,
    handleInterrupts(handler) {
      handlers.push(handler);
      return () => void handlers.splice(handlers.indexOf(handler), 1);
    },
  };
  const waiting = [...lines];
  await chat(context, spoken, {
    generation,
    usesTemplate,
    quiet: false,
    ...(system !== undefined && { system }),
    ask: async () => waiting.shift(),
  });
  expect(handlers).toEqual([]);
  expect(spoken.openSequences).toBe(0);
  return written;
}

describe("chat", () => {
  test("keeps the conversation, and what was read stays in the cache", async () => {
    const { stderr } = await talk(["hello", "more"]);
    const [first, second] = [...stderr.matchAll(/^prompt (\d+) tokens(?: \((\d+) from)?/gm)];
    const opening = "[user: hello][assistant: ".length;
    expect(Number(first![1])).toBe(opening);
    expect(Number(second![1])).toBeGreaterThan(opening + "[user: more][assistant: ".length);
    expect(Number(second![2])).toBeGreaterThanOrEqual(opening);
  });

  test("/clear forgets, /help lists, misspelt commands are not sent, /quit leaves", async () => {
    const { stderr, stdout } = await talk(["a", "/clear", "a", "/hepl", "/help", "/quit", "never"]);
    const prompts = [...stderr.matchAll(/^prompt (\d+) tokens/gm)].map((match) => match[1]);
    expect(prompts).toEqual(Array(2).fill(String("[user: a][assistant: ".length)));
    expect(stderr).toContain("did you mean /help?");
    expect(stderr).toMatch(/^\/quit +leave/m);
    const half = stdout.length / 2;
    expect(stdout.slice(half)).toBe(stdout.slice(0, half));
  });

  test("a model without a template continues each line by itself", async () => {
    const { stderr } = await talk(["abc", "", "abc"], { usesTemplate: false });
    expect(stderr).toContain("not a chat model");
    const prompts = [...stderr.matchAll(/^prompt (\d+) tokens/gm)].map((match) => match[1]);
    expect(prompts).toEqual(["4", "4"]);
  });

  test("an interruption ends the answer and not the chat; what was said counts", async () => {
    let pieces = 0;
    const { stderr } = await talk(["hello", "more"], {
      maxTokens: 1000,
      onStdout: (interrupt) => {
        pieces++;
        if (pieces === 5 || pieces === 20) interrupt();
      },
    });
    expect(stderr.match(/^stopped$/gm)).toHaveLength(2);
  });
});

const promptLengths = (stderr: string): number[] =>
  [...stderr.matchAll(/^prompt (\d+) tokens/gm)].map((match) => Number(match[1]));

describe("a full context", () => {
  test("drops the oldest turns and says so; the chat goes on", async () => {
    const { stderr } = await talk(["first one", "second", "third", "fourth"], { model: short });
    const lengths = promptLengths(stderr);
    expect(lengths).toHaveLength(4);
    for (const length of lengths) expect(length + 8).toBeLessThanOrEqual(128);
    expect(stderr).toContain("the oldest turn was dropped: the context of 128 tokens is full");
  });

  test("the system message stays", async () => {
    const system = "be brief";
    const { stderr } = await talk(["first one", "second", "third", "fourth"], {
      model: short,
      system,
    });
    const last = promptLengths(stderr).at(-1)!;
    // The prompt: the system message, some whole turns, and the last message.
    expect(last).toBeLessThanOrEqual(120);
    expect(last).toBeGreaterThan("[system: be brief][user: fourth][assistant: ".length);
    expect(stderr).toContain("dropped");
  });

  test("a message that alone is too long is an error, and the next one is answered", async () => {
    const { stderr } = await talk(["x".repeat(200), "short"], { model: short });
    expect(stderr).toContain("error: the message has");
    expect(promptLengths(stderr)).toEqual(["[user: short][assistant: ".length]);
    const plain = await talk(["x".repeat(200), "short"], { model: short, usesTemplate: false });
    expect(plain.stderr).toContain("error: the message has");
    expect(promptLengths(plain.stderr)).toEqual([6]);
  });

  test("an answer without a limit goes to the end of the context, and says so", async () => {
    const generation = { greedy: true, ignoreEos: true };
    const { stderr } = await talk(["hello", "again"], { model: short, generation });
    expect(
      stderr.match(/^the answer ended at the end of the context of 128 tokens$/gm),
    ).toHaveLength(2);
    expect(stderr).toMatch(/; generated 10[0-9] at/);
  });

  test("an answer that --max-tokens ends says so", async () => {
    const { stderr } = await talk(["hello"]);
    expect(stderr).toContain("the answer ended after 8 tokens; --max-tokens sets this limit");
    const { stderr: plain } = await talk(["hello"], {
      usesTemplate: false,
      generation: { greedy: true, ignoreEos: true },
    });
    expect(plain).toContain("the answer ended after 256 tokens; --max-tokens sets this limit");
  });
});

describe("commands of the chat", () => {
  test("/undo removes a turn, /regen answers again", async () => {
    const undone = await talk(["one", "two", "/undo", "three"]);
    const without = await talk(["one", "three"]);
    expect(promptLengths(undone.stderr).at(-1)).toBe(promptLengths(without.stderr).at(-1));
    expect(undone.stderr).toContain('removed: "two"');
    const generation = { temperature: 1, seed: 4, maxTokens: 12, ignoreEos: true };
    const again = await talk(["one", "/regen", "/regen"], { generation });
    expect(new Set(promptLengths(again.stderr)).size).toBe(1);
    expect(promptLengths(again.stderr)).toHaveLength(3);
    const single = await talk(["one"], { generation });
    // The first answer is that of the seed; the others are not three times the same.
    expect(again.stdout.startsWith(single.stdout)).toBe(true);
    expect(again.stdout).not.toBe(single.stdout.repeat(3));
    const nothing = await talk(["/regen", "/undo", "one"]);
    expect(nothing.stderr.match(/error: there is no message yet/g)).toHaveLength(2);
    expect(promptLengths(nothing.stderr)).toHaveLength(1);
  });

  test("/system sets, shows and removes the system message", async () => {
    const { stderr } = await talk(["/system be brief", "a", "/system", "/clear", "/system -", "a"]);
    const plain = "[user: a][assistant: ".length;
    expect(promptLengths(stderr)).toEqual(["[system: be brief]".length + plain, plain]);
    expect(stderr).toContain("system message: be brief");
    const { stderr: without } = await talk(["/system x"], { usesTemplate: false });
    expect(without).toContain("error: the model has no chat template");
  });

  test("/save and /load keep a conversation", async () => {
    const file = join(root, "saved chat.json");
    const { stderr } = await talk(["hello", `/save ${file}`, "more"]);
    const loaded = await talk([`/load ${file}`, "more"]);
    expect(loaded.stderr).toContain("loaded: 1 turn");
    expect(promptLengths(loaded.stderr)).toEqual([promptLengths(stderr)[1]]);
    await writeFile(join(root, "other.json"), '{"version":1,"messages":[{"role":"user"}]}');
    const wrong = await talk([`/load ${join(root, "other.json")}`, "/load", "/load absent", "a"]);
    expect(wrong.stderr).toContain("is not a conversation that /save wrote");
    expect(wrong.stderr).toContain("/load needs a file");
    expect(wrong.stderr).toContain("absent does not exist");
    expect(promptLengths(wrong.stderr)).toHaveLength(1);
  });

  test("/stats shows what --stats would; a path is a message", async () => {
    const { stderr } = await talk(["/stats", "a", "/stats", "/usr/bin is a folder"]);
    expect(stderr).toContain("no answer yet");
    expect(stderr).toMatch(/^prompt in .*; ended by the maximum length; seed \d+$/m);
    // Of the two answers and the statistics of the first.
    expect(promptLengths(stderr)).toHaveLength(3);
    expect(stderr).not.toContain("no command /usr");
  });
});
