/** Folders that hold a SentencePiece model and no `tokenizer.json`, by the class that they name. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeSentencePieceModel } from "../testing/sentencepiece-file.ts";
import { loadTokenizer } from "./load-tokenizer.ts";

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

const pieces = [
  { text: "<pad>", score: 0, type: 3 },
  { text: "</s>", score: 0, type: 3 },
  { text: "<unk>", score: 0, type: 2 },
  ...["▁a", "▁rose", "▁", "b"].map((text, at) => ({ text, score: -1 - at })),
];

/** A folder with the model and these files. */
function folderOf(files: Readonly<Record<string, unknown>>): string {
  const folder = mkdtempSync(join(tmpdir(), "jeton-spiece-"));
  made.push(folder);
  writeFileSync(join(folder, "spiece.model"), writeSentencePieceModel({ pieces, modelType: 1 }));
  for (const [name, value] of Object.entries(files)) {
    writeFileSync(join(folder, name), JSON.stringify(value));
  }
  return folder;
}

// Ids as T5Tokenizer of transformers 5.18.0 gives them.
test.each([
  [{ "tokenizer_config.json": { tokenizer_class: "T5Tokenizer" } }, 107],
  [{ "tokenizer_config.json": { tokenizer_class: "T5TokenizerFast", extra_ids: 2 } }, 9],
  [{ "config.json": { model_type: "mt5" }, "tokenizer_config.json": { extra_ids: 0 } }, 7],
  [{ "config.json": { model_type: "t5" } }, 107],
] as const)("%j: the end token behind each text, extra ids counted down", async (files, size) => {
  const tokenizer = await loadTokenizer(folderOf(files));
  expect([...tokenizer.encode("a rose").ids]).toEqual([3, 4, 1]);
  expect([...tokenizer.encode("").ids]).toEqual([1]);
  const pair = tokenizer.encode("a rose", { pair: "a" });
  expect([...pair.ids]).toEqual([3, 4, 1, 3, 1]);
  expect(new Set(pair.typeIds)).toEqual(new Set([0]));
  expect(tokenizer.vocabSize).toBe(size);
  expect(tokenizer.tokenToId("<extra_id_0>")).toBe(size > 7 ? size - 1 : undefined);
});

test.each([
  [{ "tokenizer_config.json": { tokenizer_class: "XLMRobertaTokenizer" } }, "XLMRobertaTokenizer"],
  [{ "tokenizer_config.json": { tokenizer_class: "AlbertTokenizerFast" } }, "AlbertTokenizer"],
  [{ "config.json": { model_type: "camembert" } }, "CamembertTokenizer"],
])("%j is refused: its ids are others", async (files, name) => {
  await expect(loadTokenizer(folderOf(files))).rejects.toMatchObject({
    code: "tokenizer-class-unsupported",
    message: expect.stringContaining(name),
  });
});

test("other classes read the model file as it is", async () => {
  for (const files of [{}, { "tokenizer_config.json": { tokenizer_class: "LlamaTokenizer" } }]) {
    const tokenizer = await loadTokenizer(folderOf(files));
    expect([...tokenizer.encode("a rose").ids]).toEqual([3, 4]);
  }
});
