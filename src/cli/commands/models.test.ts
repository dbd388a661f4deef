import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import type { ModelsListDocument } from "../json-output.ts";
import { runCommand } from "../testing/run-command.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-models-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const commit = "0123456789abcdef0123456789abcdef01234567";
let cache = "";

/** A cache with two models as Python tools write it, the second one unfinished. */
beforeEach(() => {
  cache = mkdtempSync(join(root, "hub-"));
  const write = (path: string, content: string): void => {
    mkdirSync(join(cache, path, ".."), { recursive: true });
    writeFileSync(join(cache, path), content);
  };
  write("models--team--tiny/blobs/aa", "12345");
  write("models--team--tiny/blobs/bb", "678");
  write("models--team--tiny/refs/main", commit);
  write("models--team--tiny/refs/refs/pr/7", commit);
  write(`models--team--tiny/snapshots/${commit}/config.json`, "{}");
  write("models--team--large-2.0/blobs/cc.jeton.incomplete", "1");
  write(".locks/models--team--tiny/aa.lock", "");
  write("datasets--team--texts/blobs/dd", "not a model");
});

const run = (...args: string[]) =>
  runCommand(["models", ...args], { environment: { HF_HUB_CACHE: cache } });

describe("jeton models", () => {
  test("list: names, sizes and revisions", async () => {
    const { stdout, status } = await run("list", "--json");
    expect(status).toBe(0);
    const models = JSON.parse(stdout) as ModelsListDocument;
    expect(models).toEqual([
      {
        name: "team/large-2.0",
        folder: join(cache, "models--team--large-2.0"),
        bytes: 1,
        revisions: {},
        isPartial: true,
      },
      {
        name: "team/tiny",
        folder: join(cache, "models--team--tiny"),
        bytes: 8,
        revisions: { main: commit, "refs/pr/7": commit },
        isPartial: false,
      },
    ]);
    expect((await run("list")).stdout).toMatch(/^team\/tiny +8 B +main, refs\/pr\/7$/m);
    rmSync(cache, { recursive: true });
    expect((await run("list", "--json")).stdout).toBe("[]\n");
  });

  test("remove: the model, its locks and nothing else", async () => {
    expect(await run("remove", "team/tiny")).toEqual({
      status: 0,
      stdout: "team/tiny: 8 B freed\n",
      stderr: "",
    });
    expect(readdirSync(cache).sort()).toEqual([
      ".locks",
      "datasets--team--texts",
      "models--team--large-2.0",
    ]);
    expect(readdirSync(join(cache, ".locks"))).toEqual([]);
  });

  test.each([
    ["team/absent", "model-not-cached"],
    ["team/tiny@main", "model-name-invalid"],
    ["../datasets--team--texts", "model-name-invalid"],
    ["tiny", "model-name-invalid"],
  ])("remove %s fails and removes nothing", async (name, code) => {
    const before = readdirSync(cache);
    const { status, stderr } = await run("remove", name, "--json");
    expect([status, JSON.parse(stderr).error.code]).toEqual([1, code]);
    expect(readdirSync(cache)).toEqual(before);
  });

  test("pull needs a name", async () => {
    expect((await run("pull")).status).toBe(2);
    expect((await run("pull", "tiny", "--json")).stderr).toContain("model-name-invalid");
  });
});
