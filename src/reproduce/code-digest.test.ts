import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collectCode, digestCode } from "./code-digest.ts";
import { defineReproduction } from "./define-reproduction.ts";
import { runReproduction } from "./run-reproduction.ts";
import { meanOf } from "./sample.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-digest-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Four modules: one imported, one behind it and loaded late, one a worker, and one that nothing imports. */
function writeModules(name: string, extension = "ts"): { folder: string; module: string } {
  const folder = join(root, name);
  mkdirSync(join(folder, "deep"), { recursive: true });
  const write = (file: string, text: string): void =>
    writeFileSync(join(folder, `${file}.${extension}`), text);
  write("main", `import { one } from "./one.${extension}";\nexport const main = one;\n`);
  write("one", `export const one = () => import("./deep/two.${extension}");\n`);
  write("deep/two", `new Worker(new URL("../worker.${extension}", import.meta.url));\n`);
  write("worker", `export * from "./main.${extension}";\n`);
  write("alone", "export const alone = 1;\n");
  return { folder, module: pathToFileURL(join(folder, `main.${extension}`)).href };
}

describe.each(["ts", "js"])("the digest of .%s modules", (extension) => {
  test("is over everything imported from files beside, in circles and workers too", async () => {
    const { folder, module } = writeModules(`collected-${extension}`, extension);
    const names = [...(await collectCode(module)).keys()].map((url) =>
      url.slice(pathToFileURL(folder).href.length + 1, -3),
    );
    expect(names).toEqual(["main", "one", "deep/two", "worker"]);
  });

  test("changes with any of them and with nothing else, wherever they lie", async () => {
    const { folder, module } = writeModules(`changed-${extension}`, extension);
    const digest = await digestCode(module);
    expect(digest).toMatch(/^[0-9a-f]{16}$/);
    expect(await digestCode(writeModules(`moved-${extension}`, extension).module)).toBe(digest);
    expect(await digestCode(module, ["another runtime"])).not.toBe(digest);
    writeFileSync(join(folder, `alone.${extension}`), "export const alone = 2;\n");
    expect(await digestCode(module)).toBe(digest);
    for (const file of ["main", "one", "deep/two", "worker"]) {
      const path = join(folder, `${file}.${extension}`);
      const before = await digestCode(module);
      writeFileSync(path, `${await collectText(path)}// changed\n`);
      expect(await digestCode(module), file).not.toBe(before);
    }
  });
});

async function collectText(path: string): Promise<string> {
  return [...(await collectCode(pathToFileURL(path))).values()][0]!;
}

test("the digest of a reproduction reaches the engine and the tokenizers", async () => {
  const module = new URL("../vocabulary/zett/reproduction.ts", import.meta.url);
  const names = [...(await collectCode(module)).keys()];
  for (const part of ["tensor/emit.ts", "tokenizer/tokenizer.ts", "train/run/trainer"]) {
    expect(names.some((name) => name.includes(part))).toBe(true);
  }
  expect(names.some((name) => name.endsWith(".test.ts"))).toBe(false);
});

test("a changed code file invalidates what was remembered, and remembered results are said", async () => {
  const { folder, module } = writeModules("remembered");
  const environment = { JETON_CACHE: join(root, "cache") };
  let measured = 0;
  const reproduction = defineReproduction({
    system: "some-system",
    module,
    claims: [
      {
        id: "holds",
        text: "It holds.",
        paper: { words: "it holds" },
        unit: "times",
        units: "seeds",
        control: "none of it",
        direction: "higher",
        effect: "value",
        noEffect: 0,
        reproduced: 1,
        partly: 1,
        quick: { reproduced: 1, partly: 1 },
      },
    ],
    async run({ remember, report }) {
      const values = await remember("counting", { to: 5 }, async () => {
        measured++;
        return [1, 2, 3, 4, 5];
      });
      report("holds", { measured: meanOf(values), control: meanOf(values.map(() => 0)) });
    },
  });
  const run = async (options: { fresh?: boolean; seed?: number } = {}) => {
    const notices: string[] = [];
    const onNotice = (line: string): void => void notices.push(line);
    const { result } = await runReproduction(reproduction, { environment, onNotice, ...options });
    return { notices, result };
  };
  const { notices: first, result } = await run();
  expect(first).toEqual([]);
  expect(measured).toBe(1);
  const again = await run();
  expect(measured).toBe(1);
  expect(again.notices).toEqual([
    expect.stringMatching(/^some-system: counting is remembered from 2\d{3}-\d\d-\d\dT.*same code/),
  ]);
  expect(again.result.claims).toEqual(result.claims);
  await run({ seed: 1 });
  expect(measured).toBe(2);
  writeFileSync(join(folder, "deep", "two.ts"), "export const changed = true;\n");
  const { notices, result: other } = await run();
  expect({ notices, measured }).toEqual({ notices: [], measured: 3 });
  expect(other.code).not.toBe(result.code);
  await run({ fresh: true });
  expect(measured).toBe(4);
});
