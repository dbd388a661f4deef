/** What `jeton run` reads before it loads the weights. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { readConfig } from "../../checkpoint/config.ts";
import { healPrompts } from "../../generate/exact-byte-probabilities/heal-prompt.ts";
import { openModel } from "../../model/index.ts";
import { promptMemory } from "../../model/prompt-memory.ts";
import { createByteCheckpoint } from "../testing/byte-checkpoint.ts";
import { runCommand } from "../testing/run-command.ts";

vi.mock(import("../../checkpoint/config.ts"), async (original) => {
  const actual = await original();
  return { ...actual, readConfig: vi.fn(actual.readConfig) };
});

vi.mock(import("../../model/prompt-memory.ts"), async (original) => {
  const actual = await original();
  return { ...actual, promptMemory: vi.fn(actual.promptMemory) };
});

vi.mock(import("../../generate/exact-byte-probabilities/heal-prompt.ts"), async (original) => {
  const actual = await original();
  return { ...actual, healPrompts: vi.fn(actual.healPrompts) };
});

const folder = mkdtempSync(join(tmpdir(), "jeton-run-start-"));
createByteCheckpoint(folder);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  vi.mocked(readConfig).mockClear();
  vi.mocked(healPrompts).mockClear();
});

test.each([
  ["run", []],
  ["run", ["--context", "64"]],
  ["run", ["--bytes", "--max-bytes", "2"]],
  ["score", ["--context", "64"]],
])("%s %j reads config.json once", async (name, options) => {
  const limit = name === "run" && !options.includes("--bytes") ? ["-n", "2"] : [];
  const line = [name, "-m", folder, "--json", ...limit, ...options, "hello"];
  const { status, stderr } = await runCommand(line);
  expect([status, stderr]).toEqual([0, ""]);
  expect(readConfig).toHaveBeenCalledTimes(1);
});

test("openModel reads config.json once", async () => {
  const opened = await openModel(folder, { inline: true });
  expect(opened.kind).toBe("decoder");
  await opened.model.close();
  expect(readConfig).toHaveBeenCalledTimes(1);
});

test("a prompt that the machine has no memory for is refused before healing reads it", async () => {
  const line = ["run", "-m", folder, "-n", "2", "hello"];
  expect((await runCommand(line)).status).toBe(0);
  expect(healPrompts).toHaveBeenCalledTimes(1);
  vi.mocked(promptMemory).mockReturnValueOnce({ cache: 1e18, pass: 0 });
  const { status, stderr } = await runCommand(line);
  expect(status).toBe(1);
  expect(stderr).toContain("(prompt-memory-exceeded)");
  expect(healPrompts).toHaveBeenCalledTimes(1);
});
