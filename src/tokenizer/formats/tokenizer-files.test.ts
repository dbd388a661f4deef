/**
 * 1. The files that belong to a tokenizer, for each format and both ways to name it.
 * 2. A copy loads as the original does.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { vocabularyFolder } from "../testing/fixtures.ts";
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
