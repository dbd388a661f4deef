/** Folders that hold GPT-2's `vocab.json` and `merges.txt`, and no `tokenizer.json`. */
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

const letters = [..."Ġabcdehlnot<>s/m"];
const merges = ["a b", "Ġ a", "Ġa b", "h e", "l l", "he ll"];
const words = [...letters, ...merges.map((pair) => pair.replace(" ", ""))];
const end = "<|endoftext|>";
const robertaSpecials = ["<s>", "<pad>", "</s>", "<unk>"];

interface Files {
  readonly tokens?: readonly string[];
  readonly lines?: readonly string[] | null;
  readonly settings?: object;
  readonly map?: object;
  readonly added?: object;
  readonly model?: object;
}

function folderOf({ tokens = [...words, end], ...files }: Files): string {
  const { lines = ["#version: 0.2", ...merges] } = files;
  const folder = mkdtempSync(join(tmpdir(), "jeton-pairs-"));
  made.push(folder);
  const write = (name: string, value: object | undefined): void => {
    if (value) writeFileSync(join(folder, name), JSON.stringify(value));
  };
  write("vocab.json", Object.fromEntries(tokens.map((token, id) => [token, id])));
  if (lines) writeFileSync(join(folder, "merges.txt"), `${lines.join("\n")}\n`);
  write("tokenizer_config.json", files.settings);
  write("special_tokens_map.json", files.map);
  write("added_tokens.json", files.added);
  write("config.json", files.model);
  return folder;
}

const gpt2 = { tokenizer_class: "GPT2Tokenizer" };
const roberta: Files = {
  tokens: [...robertaSpecials, ...words, "<mask>"],
  settings: { tokenizer_class: "RobertaTokenizerFast" },
};
const n = words.length;
const token = (content: string, flags: object = {}): object => ({
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: true,
  ...flags,
});

// Ids of two texts, and of the special tokens, as AutoTokenizer of transformers 5.18.0 gives them.
test.each<readonly [string, Files, number[], number[], (number | undefined)[]]>([
  [
    "by its class",
    { settings: gpt2 },
    [21, 9, 0, 16, 3, 0, 11, 10, 12, 0, 16, 22, 11, 15, 1, 13, 12],
    [16, 21],
    [22, 22, undefined, 22],
  ],
  [
    "by its model, a space before the text",
    { settings: { add_prefix_space: true }, model: { model_type: "gpt_neo" } },
    [0, 21, 9, 0, 16, 3, 0, 11, 10, 12, 0, 16, 22, 0, 11, 15, 1, 13, 12],
    [0, 16, 0, 21],
    [22, 22, undefined, 22],
  ],
  [
    "a first token",
    { settings: { ...gpt2, add_bos_token: true } },
    [22, 21, 9, 0, 16, 3, 0, 11, 10, 12, 0, 16, 22, 11, 15, 1, 13, 12],
    [22, 16, 22, 21],
    [22, 22, undefined, 22],
  ],
  [
    "tokens of a map before those of the settings",
    { settings: { ...gpt2, pad_token: "<x>" }, map: { pad_token: token("<t>", { lstrip: true }) } },
    [21, 9, 0, 16, 3, 23, 0, 16, 22, 11, 15, 1, 13, 12],
    [16, 21],
    [22, 22, 23, 22],
  ],
  [
    "added tokens",
    { settings: gpt2, added: { "<t>": n + 1 } },
    [21, 9, 0, 16, 3, 0, 23, 0, 16, 22, 11, 15, 1, 13, 12],
    [16, 21],
    [22, 22, undefined, 22],
  ],
  [
    "a table of added tokens, which goes first",
    {
      settings: {
        ...gpt2,
        added_tokens_decoder: {
          [n]: token(end, { special: true }),
          [n + 1]: token("<t>", { special: false, rstrip: true }),
        },
      },
      map: { pad_token: "c" },
      added: { b: 3 },
    },
    [21, 9, 0, 16, 3, 0, 23, 16, 22, 11, 15, 1, 13, 12],
    [16, 21],
    [22, 22, undefined, 22],
  ],
  [
    "RoBERTa",
    roberta,
    [0, 25, 13, 4, 20, 7, 4, 15, 14, 16, 4, 20, 15, 9, 12, 8, 13, 14, 9, 14, 16, 26, 2],
    [0, 20, 2, 2, 25, 2],
    [0, 2, 1, 3],
  ],
  [
    "RoBERTa, a mask that takes the space before it",
    {
      tokens: roberta.tokens!,
      model: { model_type: "roberta" },
      map: { mask_token: token("<mask>", { lstrip: true }) },
    },
    [0, 25, 13, 4, 20, 7, 4, 15, 14, 16, 4, 20, 15, 9, 12, 8, 13, 14, 9, 14, 16, 26, 2],
    [0, 20, 2, 2, 25, 2],
    [0, 2, 1, 3],
  ],
])("vocab.json and merges.txt alone: %s", async (_name, files, text, pair, specials) => {
  const folder = folderOf(files);
  const check = async (path: string): Promise<void> => {
    const tokenizer = await loadTokenizer(path);
    expect([...tokenizer.encode(`hello abc <t> ab${end}<mask>`).ids]).toEqual(text);
    expect([...tokenizer.encode("ab", { pair: "hell" }).ids]).toEqual(pair);
    const { bosTokenId, eosTokenId, padTokenId, unkTokenId } = tokenizer;
    expect([bosTokenId, eosTokenId, padTokenId, unkTokenId]).toEqual(specials);
  };
  await check(folder);
  // The model's configuration is not copied, and named the class.
  if (files.model) return;
  const copy = mkdtempSync(join(tmpdir(), "jeton-pairs-"));
  made.push(copy);
  await copyTokenizer(folder, copy);
  await check(copy);
});

test.each<readonly [string, Files, string, RegExp]>([
  [
    "another class",
    { settings: { tokenizer_class: "Qwen2Tokenizer" } },
    "tokenizer-class-unsupported",
    /another way by Qwen2Tokenizer; expected tokenizer\.json/,
  ],
  [
    "another model",
    { model: { model_type: "clip" } },
    "tokenizer-class-unsupported",
    /the tokenizer of clip/,
  ],
  ["no class", { tokens: words }, "tokenizer-class-unsupported", /that no file names/],
  ["no merges", { lines: null }, "tokenizer-not-found", /merges\.txt.*the merges of vocab\.json/],
  [
    "a line that is no pair",
    { lines: ["a b", "ab c d"] },
    "tokenizer-json-invalid",
    /merges\.txt, line 2 is "ab c d", expected two tokens/,
  ],
  [
    "a switch that is none",
    { settings: { ...gpt2, add_prefix_space: 1 } },
    "tokenizer-json-invalid",
    /add_prefix_space is 1, expected true or false/,
  ],
  [
    "a vocabulary without its first token",
    { settings: { tokenizer_class: "RobertaTokenizer", cls_token: null } },
    "tokenizer-json-invalid",
    /cls_token/,
  ],
])("vocab.json and merges.txt alone: %s is refused", async (_name, files, code, message) => {
  const loading = loadTokenizer(folderOf(files));
  await expect(loading).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});
