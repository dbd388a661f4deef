import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { loadTokenizer } from "../front.ts";
import { loadEncoder } from "../model/index.ts";
import { errorOf } from "../testing/code-of.ts";
import { bundledModelFolder, bundledModelNames, findBundledModel } from "./bundled-models.ts";
import { resolveModel } from "./hub/hub.ts";

const models = fileURLToPath(new URL("../../models", import.meta.url));
const workplace = realpathSync(mkdtempSync(join(tmpdir(), "jeton-bundled-")));
const before = process.cwd();
afterAll(() => {
  process.chdir(before);
  rmSync(workplace, { recursive: true });
});

test("every bundled model has its name, and every loader takes it", async () => {
  // Models of symbols and parts of jeton-nano are no checkpoint of a family: files of theirs are opened by their paths.
  const others = ["jeton-lexinvariant", "jeton-compressor", "jeton-hypernetwork"];
  expect([...bundledModelNames, ...others].sort()).toEqual(readdirSync(models).sort());
  for (const name of bundledModelNames) {
    expect(bundledModelFolder(name)).toBe(join(models, name));
    expect(await resolveModel(name)).toBe(join(models, name));
  }
  const tokenizer = await loadTokenizer("jeton-embed");
  expect(tokenizer.vocabSize).toBe((await loadTokenizer(join(models, "jeton-embed"))).vocabSize);
  await using encoder = await loadEncoder(undefined, { inline: true, threads: 1 });
  expect(encoder.folder).toBe(join(models, "jeton-embed"));
  const other = await errorOf(loadEncoder("jeton-nano"));
  expect(other).toMatchObject({ code: "model-family-unknown" });
  expect(other.message).toContain("it is a decoder: loadModel opens it");
});

test("another single word is an error that names them, and the nearest", async () => {
  const { code, message } = await errorOf(resolveModel("jeton-nan"));
  expect(code).toBe("model-name-invalid");
  expect(message).toMatch(/jeton-embed.*owner\/name.*did you mean jeton-nano\?/);
});

test("a folder that is called so goes first", async () => {
  await mkdir(join(workplace, "jeton-nano"));
  process.chdir(workplace);
  expect(findBundledModel("jeton-nano")).toBeUndefined();
  expect(await resolveModel("jeton-nano")).toBe(join(workplace, "jeton-nano"));
  expect(findBundledModel("jeton-embed")).toBe(join(models, "jeton-embed"));
});
