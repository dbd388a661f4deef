/** Folders that hold BERT's `vocab.txt` and no `tokenizer.json`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadTokenizer } from "./load-tokenizer.ts";
import { copyTokenizer } from "./tokenizer-files.ts";

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const words = ["the", "king", "King", "##s", "é", "e", "東", "<x>", "!"];

interface Files {
  readonly lines?: readonly string[];
  readonly ending?: string;
  readonly settings?: object;
  readonly map?: object;
  readonly model?: object;
}

function folderOf({ lines = [...special, ...words], ending = "\n", ...files }: Files): string {
  const folder = mkdtempSync(join(tmpdir(), "jeton-vocabulary-"));
  made.push(folder);
  writeFileSync(join(folder, "vocab.txt"), lines.map((line) => line + ending).join(""));
  const write = (name: string, value: object | undefined): void => {
    if (value) writeFileSync(join(folder, name), JSON.stringify(value));
  };
  write("tokenizer_config.json", files.settings);
  write("special_tokens_map.json", files.map);
  write("config.json", files.model);
  return folder;
}

const bert = { tokenizer_class: "BertTokenizer" };

// Ids as AutoTokenizer of transformers 5.18.0 gives them.
test.each<readonly [string, Files, number[]]>([
  ["lower case", { settings: bert }, [2, 5, 6, 8, 10, 11, 1, 4, 13, 3]],
  [
    "case as it is",
    { settings: { tokenizer_class: "ElectraTokenizerFast", do_lower_case: false } },
    [2, 1, 7, 8, 9, 11, 1, 4, 13, 3],
  ],
  [
    "accents kept in lower case",
    { settings: { ...bert, strip_accents: false } },
    [2, 5, 6, 8, 9, 11, 1, 4, 13, 3],
  ],
  [
    "characters without spaces together",
    { settings: { ...bert, tokenize_chinese_chars: false } },
    [2, 5, 6, 8, 10, 1, 4, 13, 3],
  ],
  [
    "the first token of a map",
    { map: { cls_token: { content: "<x>" } }, model: { model_type: "distilbert" } },
    [12, 5, 6, 8, 10, 11, 1, 4, 13, 3],
  ],
  ["lines that end otherwise", { ending: "\r\n" }, [2, 5, 6, 8, 10, 11, 1, 4, 13, 3]],
])("vocab.txt alone: %s", async (_name, files, ids) => {
  const folder = folderOf(files);
  const tokenizer = await loadTokenizer(folder);
  const text = "The Kings é 東京[MASK]!";
  expect([...tokenizer.encode(text).ids]).toEqual(ids);
  const pair = tokenizer.encode("the king", { pair: "the" });
  expect([...pair.ids]).toEqual([ids[0], 5, 6, 3, 5, 3]);
  expect([...pair.typeIds]).toEqual([0, 0, 0, 0, 1, 1]);
  const copy = folderOf({ lines: special, ...files, settings: {} });
  rmSync(join(copy, "vocab.txt"));
  await copyTokenizer(folder, copy);
  expect([...(await loadTokenizer(copy)).encode(text).ids]).toEqual(ids);
});

test.each<readonly [string, Files, string, RegExp]>([
  [
    "another class",
    { settings: { tokenizer_class: "MPNetTokenizer" } },
    "tokenizer-class-unsupported",
    /another way by MPNetTokenizer; expected tokenizer\.json/,
  ],
  [
    "another model",
    { model: { model_type: "mpnet" } },
    "tokenizer-class-unsupported",
    /the tokenizer of mpnet/,
  ],
  ["no first token", { lines: words }, "tokenizer-json-invalid", /expected a line \[UNK\]/],
  [
    "a switch that is none",
    { settings: { ...bert, do_lower_case: "no" } },
    "tokenizer-json-invalid",
    /do_lower_case is "no", expected true or false/,
  ],
])("vocab.txt alone: %s is refused", async (_name, files, code, message) => {
  const loading = loadTokenizer(folderOf(files));
  await expect(loading).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});
