import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "jeton-chat-"));
  createByteCheckpoint(root, { contextLength: 4096, chatTemplate });
  model = await loadModel(root, { slots: 1 });
});
afterAll(async () => {
  await model.close();
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
    usesTemplate?: boolean;
    maxTokens?: number;
    onStdout?: (interrupt: () => void) => void;
  } = {},
): Promise<Conversation> {
  const { usesTemplate = true, maxTokens = 8, onStdout } = options;
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
  await chat(context, model, {
    generation: { greedy: true, maxTokens, ignoreEos: true },
    usesTemplate,
    quiet: false,
    ask: async () => waiting.shift(),
  });
  expect(handlers).toEqual([]);
  expect(model.openSequences).toBe(0);
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
    expect(stderr).toContain("/quit   leave");
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
