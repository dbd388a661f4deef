/** Opening a folder: packed weights on disk, and in memory where the disk takes none. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { JetonError } from "../core/index.ts";
import { loadModel } from "./load-model.ts";
import type { LoadedModel } from "./types.ts";

const bundled = fileURLToPath(new URL("../../models/jeton-nano", import.meta.url));

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-load-"));
  writeFileSync(join(root, "file"), "");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function logitsOf(model: LoadedModel): Promise<Float32Array> {
  const sequence = await model.openSequence();
  const ids = model.tokenizer.encodeIds("The sea was calm and the");
  const { logits } = await sequence.step({ ids, logits: true });
  await sequence.release();
  return logits!;
}

test.each(["int8", "int8-channel", "int4"] as const)(
  "%s: where no cache can be written, it warns once and the bits are the same",
  async (format) => {
    const warnings: JetonError[] = [];
    const open = async (cacheFolder: string): Promise<Float32Array> => {
      const onWarning = (warning: JetonError) => void warnings.push(warning);
      await using model = await loadModel(bundled, { format, threads: 1, cacheFolder, onWarning });
      return await logitsOf(model);
    };
    const expected = await open(join(root, "cache"));
    expect(await open(join(root, "cache"))).toEqual(expected);
    expect(warnings).toEqual([]);
    // No user can make a folder below a file.
    expect(await open(join(root, "file", "cache"))).toEqual(expected);
    expect(warnings.map(({ code }) => code)).toEqual(["packed-cache-unwritable"]);
  },
);

test("models of other depths over the same weight file do not share packed matrices", async () => {
  const shallow = join(root, "shallow");
  mkdirSync(shallow);
  for (const name of readdirSync(bundled)) {
    if (name !== "config.json") symlinkSync(join(bundled, name), join(shallow, name));
  }
  const config = JSON.parse(readFileSync(join(bundled, "config.json"), "utf8")) as object;
  writeFileSync(join(shallow, "config.json"), JSON.stringify({ ...config, num_hidden_layers: 2 }));
  const open = async (folder: string, cache: string): Promise<Float32Array> => {
    const cacheFolder = join(root, cache);
    await using model = await loadModel(folder, { format: "int8", threads: 1, cacheFolder });
    return await logitsOf(model);
  };
  const few = await open(shallow, "depths");
  const all = await open(bundled, "depths");
  expect(all).toEqual(await open(bundled, "cache"));
  expect(few).not.toEqual(all);
});

test("without a handler, the warning is one of the process", async () => {
  const warned = new Promise<Error & { code?: string }>((resolve) => {
    process.once("warning", (warning) => resolve(warning));
  });
  const cacheFolder = join(root, "file", "cache");
  await using _model = await loadModel(bundled, { format: "int4", threads: 1, cacheFolder });
  expect(await warned).toMatchObject({ name: "JetonWarning", code: "packed-cache-unwritable" });
});

test("a stored head counts, also where the config ties it to the embeddings", async () => {
  const tied = join(root, "tied");
  mkdirSync(tied);
  for (const name of readdirSync(bundled)) {
    if (name !== "config.json") symlinkSync(join(bundled, name), join(tied, name));
  }
  const config = JSON.parse(readFileSync(join(bundled, "config.json"), "utf8")) as object;
  writeFileSync(
    join(tied, "config.json"),
    JSON.stringify({ ...config, tie_word_embeddings: true }),
  );
  const options = { format: "f32", threads: 1, inline: true } as const;
  await using expected = await loadModel(bundled, options);
  await using model = await loadModel(tied, options);
  expect(model.config.tieWordEmbeddings).toBe(false);
  expect(await logitsOf(model)).toEqual(await logitsOf(expected));
});
