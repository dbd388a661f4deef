/**
 * Small tokenizer files of every family, and the shared data folder, for tests.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { byteToCharacter } from "../decoders/byte-alphabet.ts";

/** The folder of published vocabularies, or undefined (with a printed reason) when it is not set. */
export function vocabularyFolder(): string | undefined {
  const data = process.env["JETON_DATA"];
  if (data === undefined || !existsSync(join(data, "tokenizers"))) {
    process.stderr.write("skipped: JETON_DATA does not name the data folder\n");
    return undefined;
  }
  return join(data, "tokenizers");
}

/** Names of the published vocabularies that have vectors. */
export function vocabularyNames(folder: string): string[] {
  return readdirSync(folder).filter((name) => existsSync(join(folder, name, "vectors.jsonl")));
}

/** Lines of a file of JSON objects. */
export function readJsonLines<Line>(path: string): Line[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Line);
}

export type TokenizerFile = Record<string, unknown> & { model: Record<string, unknown> };

const special = (id: number, content: string): Record<string, unknown> => ({
  id,
  content,
  special: true,
  lstrip: false,
  rstrip: false,
  single_word: false,
  normalized: false,
});

/** Byte-level BPE with a few merges. */
export function byteLevelFile(): TokenizerFile {
  const merges: [string, string][] = [
    ["h", "e"],
    ["l", "l"],
    ["he", "ll"],
    ["hell", "o"],
    ["Ġ", "w"],
    ["Ġw", "o"],
    ["a", "a"],
    ["aa", "aa"],
    ["Ã", "©"],
  ];
  const tokens = [...byteToCharacter, ...merges.map(([left, right]) => left + right)];
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [special(tokens.length, "<|end|>")],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true },
    post_processor: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false },
    decoder: { type: "ByteLevel" },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map((pair) => pair.join(" ")),
    },
  };
}

/** BPE with byte fallback in the manner of Llama 2. */
export function byteFallbackFile(): TokenizerFile {
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const merges: [string, string][] = [
    ["▁", "t"],
    ["h", "e"],
    ["▁t", "he"],
    ["▁", "▁"],
    ["▁▁", "▁▁"],
  ];
  const letters = new Set("▁thecatsonm.");
  const results = merges.map(([left, right]) => left + right);
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...letters, ...results];
  const template = (pieces: unknown[]): Record<string, unknown> => ({
    type: "TemplateProcessing",
    single: pieces,
    pair: [...pieces, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
  });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: template([
      { SpecialToken: { id: "<s>", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
    ]),
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** WordPiece in the manner of BERT. */
export function wordPieceFile(): TokenizerFile {
  const tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s", "un", "##aff", "##able"];
  tokens.push("a", "##b", "!", "中");
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: tokens.slice(0, 4).map((token, id) => special(id, token)),
    normalizer: { type: "BertNormalizer", lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: { type: "BertProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 20,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  };
}

/** Unigram in the manner of T5, without a character map. */
export function unigramFile(): TokenizerFile {
  const vocab: [string, number][] = [
    ["<pad>", 0],
    ["</s>", 0],
    ["<unk>", 0],
    ["▁", -2],
    ["▁the", -3],
    ["▁cat", -5],
    ["s", -3.5],
    ["c", -6],
    ["a", -4],
    ["t", -4.5],
    ["at", -5.5],
    ["▁sat", -7],
  ];
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [special(0, "<pad>"), special(1, "</s>"), special(2, "<unk>")],
    normalizer: null,
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
    post_processor: null,
    decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
    model: { type: "Unigram", unk_id: 2, vocab },
  };
}

/** Every family by name. */
export const tokenizerFiles: Readonly<Record<string, () => TokenizerFile>> = {
  "byte-level BPE": byteLevelFile,
  "byte-fallback BPE": byteFallbackFile,
  WordPiece: wordPieceFile,
  Unigram: unigramFile,
};
