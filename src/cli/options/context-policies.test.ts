import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunDocument } from "../json-output.ts";
import { createByteCheckpoint } from "../testing/byte-checkpoint.ts";
import { runCommand } from "../testing/run-command.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-policies-"));
  createByteCheckpoint(folder, { contextLength: 64 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const prompt = "abcdefghij".repeat(12);
const run = (...args: string[]) =>
  runCommand(["run", "--model", folder, "--raw", "--greedy", "--max-tokens", "4", ...args, prompt]);

describe("jeton run --context-policy", () => {
  test("reads more than the trained context and shows what was kept", async () => {
    const policy = ["--context-policy", "sinks-window:sinks=3,window=10"];
    const { status, stderr } = await run(...policy, "--show-context", "--quiet");
    expect(status).toBe(0);
    expect(stderr).toMatch(/sinks-window: the layers attend to 13 of 12\d tokens\n.*\[… 1\d\d …\]/);
    const layers = await run(...policy, "--show-context", "--context-layers", "--quiet");
    expect(layers.stderr).toMatch(/sinks-window, layer 0: 13 of 12\d tokens/);
    const { stdout } = await run(...policy, "--show-context", "--json");
    const { context } = JSON.parse(stdout) as RunDocument;
    expect(context?.options).toEqual({ sinks: 3, window: 10, selfInWindow: true });
    expect(context?.attended?.layers[0]).toHaveLength(13);
  });

  test("the tokens that a filter chose are shown", async () => {
    const filter = ["--context-policy", "gemfilter:layer=0,k=20", "--show-context", "--json"];
    const { context } = JSON.parse((await run(...filter)).stdout) as RunDocument;
    expect(context?.chosen).toHaveLength(20);
  });

  test.each([
    [["--context-policy", "sinks-windows"], "option-value-invalid"],
    [["--context-policy", "h2o:k=x"], "option-value-invalid"],
    [["--show-context"], "option-misplaced"],
    [["--context-policy", "full", "--context-layers"], "option-misplaced"],
    [["--context-policy", "gemfilter", "--show-context", "--context-layers"], "option-misplaced"],
    [["--context-policy", "full", "--bytes"], "option-misplaced"],
  ])("%j is bad usage", async (args, code) => {
    const { status, stderr } = await run(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(`(${code})`);
  });

  test("a drafter that a policy excludes is said; auto drafts nothing then", async () => {
    const policy = ["--context-policy", "h2o:k=24,recent=8"];
    expect((await run(...policy)).status).toBe(0);
    const { status, stderr } = await run(...policy, "--drafter", "lookahead");
    expect(status).toBe(1);
    expect(stderr).toContain("(context-policy-drafts)");
  });
});
