/**
 * 1. The files that belong to a tokenizer, for each format and both ways to name it.
 * 2. A copy loads as the original does.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { vocabularyFolder } from "../testing/fixtures.ts";
import { writeSentencePieceModel } from "../testing/sentencepiece-file.ts";
import { byteRanks, wordPieces } from "../testing/vocabulary-files.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import { copyTokenizer, findTokenizerFiles } from "./tokenizer-files.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-tokenizer-files-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const words = {
  model: { type: "WordLevel", vocab: { "[UNK]": 0, a: 1, b: 2 }, unk_token: "[UNK]" },
};

/** Each format: the file's name, its content, and the name that a copy needs. */
const formats: readonly (readonly [
  format: string,
  name: string,
  content: () => string | Uint8Array,
  copy: string,
])[] = [
  ["tokenizer.json", "tokenizer.json", () => JSON.stringify(words), "tokenizer.json"],
  ["JSON of another name", "german.json", () => JSON.stringify(words), "tokenizer.json"],
  ["SentencePiece", "tokenizer.model", wordPieces, "tokenizer.model"],
  ["SentencePiece as T5 names it", "spiece.model", wordPieces, "spiece.model"],
  ["SentencePiece of another name", "german-8k.model", wordPieces, "tokenizer.model"],
  ["SentencePiece without an extension", "german", wordPieces, "tokenizer.model"],
  ["tiktoken", "gpt2.tiktoken", byteRanks, "gpt2.tiktoken"],
  ["tiktoken without an extension", "gpt2", byteRanks, "gpt2.tiktoken"],
];

/** A SentencePiece model that has T5's end token. */
const endedPieces = (): Uint8Array =>
  writeSentencePieceModel({
    pieces: [
      { text: "<pad>", score: 0, type: 3 },
      { text: "</s>", score: 0, type: 3 },
      { text: "<unk>", score: 0, type: 2 },
      ...["\u2581a", "\u2581b"].map((text, at) => ({ text, score: -1 - at })),
    ],
    modelType: 1,
  });

/** GPT-2's files, with the tokens that RoBERTa's class needs as well. */
const pairs = {
  "vocab.json": Object.fromEntries(
    ["<s>", "<pad>", "</s>", "<unk>", "a", "b", "\u0120", "\u0120b", "<|endoftext|>"].map(
      (token, id) => [token, id],
    ),
  ),
  "merges.txt": "#version: 0.2\n\u0120 b\n",
};

describe("a copy of a tokenizer", () => {
  test.each(formats)("%s, named as a file", async (format, name, content, copy) => {
    const folder = join(root, `file ${format}`);
    mkdirSync(folder);
    writeFileSync(join(folder, name), content());
    writeFileSync(join(folder, "tokenizer_config.json"), '{"chat_template":"{{ messages }}"}');
    writeFileSync(join(folder, "notes.txt"), "not a part of the tokenizer");
    const target = join(root, `copy ${format}`);
    await copyTokenizer(join(folder, name), target);
    expect(readdirSync(target).sort()).toEqual([copy, "tokenizer_config.json"].sort());
    const original = await loadTokenizer(join(folder, name));
    const copied = await loadTokenizer(target);
    expect(copied.vocabSize).toBe(original.vocabSize);
    expect(copied.encodeIds("a b ab")).toEqual(original.encodeIds("a b ab"));
    expect(copied.settings.chatTemplates?.get("default")).toBe("{{ messages }}");
  });

  test.each(formats.filter(([, name, , copy]) => name === copy))(
    "%s, named as a folder",
    async (format, name, content) => {
      const folder = join(root, `folder ${format}`);
      mkdirSync(folder);
      writeFileSync(join(folder, name), content());
      writeFileSync(join(folder, "chat_template.jinja"), "{{ messages }}");
      const target = join(root, `copy of folder ${format}`);
      await copyTokenizer(folder, target);
      expect(readdirSync(target).sort()).toEqual([name, "chat_template.jinja"].sort());
      const copied = await loadTokenizer(target);
      expect(copied.encodeIds("a b")).toEqual((await loadTokenizer(folder)).encodeIds("a b"));
    },
  );

  test.each<[name: string, files: Record<string, unknown>, className: string]>([
    ["T5's model type", { "spiece.model": "pieces", "config.json": { model_type: "t5" } }, "T5"],
    [
      "T5's class, and settings without one",
      {
        "spiece.model": "pieces",
        "config.json": { tokenizer_class: "T5Tokenizer" },
        "tokenizer_config.json": { extra_ids: 3 },
      },
      "T5",
    ],
    ["RoBERTa's model type", { ...pairs, "config.json": { model_type: "roberta" } }, "Roberta"],
    ["no class but GPT-2's files", pairs, "GPT2"],
    ["no class but BERT's file", { "vocab.txt": "[UNK]\n[SEP]\n[CLS]\na\nb\n" }, "Bert"],
  ])("%s: the copy names the class, beside any model", async (name, files, className) => {
    const folder = join(root, `class ${name}`);
    mkdirSync(folder);
    for (const [file, value] of Object.entries(files)) {
      const content = value === "pieces" ? endedPieces() : value;
      const isText = typeof content === "string" || content instanceof Uint8Array;
      writeFileSync(join(folder, file), isText ? content : JSON.stringify(content));
    }
    const target = join(root, `copy of class ${name}`);
    await copyTokenizer(folder, target);
    writeFileSync(join(target, "config.json"), JSON.stringify({ model_type: "llama" }));
    const settings = JSON.parse(readFileSync(join(target, "tokenizer_config.json"), "utf8"));
    expect(settings).toEqual({
      ...(files["tokenizer_config.json"] as object | undefined),
      tokenizer_class: `${className}Tokenizer`,
    });
    const [original, copied] = [await loadTokenizer(folder), await loadTokenizer(target)];
    expect([...copied.encode("a b").ids]).toEqual([...original.encode("a b").ids]);
    expect(copied.vocabSize).toBe(original.vocabSize);
  });

  test("replaces an earlier copy, and never lands beside another vocabulary", async () => {
    const source = join(root, "gpt2.tiktoken");
    writeFileSync(source, byteRanks());
    const target = join(root, "occupied");
    await copyTokenizer(source, target);
    await copyTokenizer(source, target);
    // A folder's tokenizer.json goes before a rank file: the copy would not be what loads.
    writeFileSync(join(target, "tokenizer.json"), JSON.stringify(words));
    await expect(copyTokenizer(source, target)).rejects.toMatchObject({
      code: "tokenizer-target-occupied",
      details: { found: "tokenizer.json" },
    });
  });

  test("there is nothing to copy", async () => {
    const empty = join(root, "empty");
    mkdirSync(empty);
    for (const path of [empty, join(root, "absent")]) {
      await expect(copyTokenizer(path, join(root, "never"))).rejects.toMatchObject({
        code: "tokenizer-not-found",
      });
    }
    await expect(findTokenizerFiles(empty)).rejects.toMatchObject({ code: "tokenizer-not-found" });
  });
});

const published = vocabularyFolder();

describe.skipIf(published === undefined)("published vocabularies", () => {
  test.each(["cl100k_base.tiktoken", "mistral-v3.model", "bert-base-uncased"])(
    "%s",
    { timeout: 120_000 },
    async (name) => {
      const target = join(root, `copy of ${name}`);
      await copyTokenizer(join(published!, name), target);
      const original = await loadTokenizer(join(published!, name));
      const copied = await loadTokenizer(target);
      const text = "Tokenizers: 12,345 naïve tests.\n";
      expect(copied.encodeIds(text)).toEqual(original.encodeIds(text));
    },
  );
});
