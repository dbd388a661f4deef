/**
 * Training of tokenizers beside the native trainer: the same files, the same normalizer and
 * pre-tokenizer, the trainer's own settings (30,000 tokens, no least frequency), in turns.
 *
 *     npm run bench -- tokenizer --training [--kinds byte-level-bpe,byte-fallback-bpe,wordpiece]
 *                                [--texts gibbon,pud] [--runs 5]
 *
 * Both kinds of BPE must give the same merges in the same order. WordPiece may differ in ties: the
 * native trainer numbers its alphabet in the order of a hash table, another one in every run, and
 * pairs of equal frequency are merged in the order of these numbers. Unigram has its own settings
 * (8,000 tokens) and other pieces by nature: the libraries start from different substrings.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeRow } from "../report.mjs";

const require = createRequire(import.meta.url);

/** What the native trainer wants when nothing else is said. */
const sizes = {
  "byte-level-bpe": 30000,
  "byte-fallback-bpe": 30000,
  wordpiece: 30000,
  unigram: 8000,
};

const bpe = {
  type: "BPE",
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
  vocab: {},
  merges: [],
};
/** Untrained models, as the native library reads them. */
const models = {
  "byte-level-bpe": bpe,
  "byte-fallback-bpe": bpe,
  wordpiece: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: {},
  },
  unigram: { type: "Unigram", unk_id: null, vocab: [] },
};

/** Tokens of ours that the native trainer does not count: bytes that never occur, special ones. */
function countExtra(kind, files) {
  if (kind === "wordpiece") return 1;
  if (kind !== "byte-level-bpe") return 257;
  const seen = new Set();
  for (const file of files) for (const byte of readFileSync(file)) seen.add(byte);
  return 256 - seen.size;
}

const mergesOf = ({ merges }) => merges.map((merge) => [merge].flat().join(" "));
const tokensOf = ({ vocab }) =>
  Array.isArray(vocab) ? vocab.map(([token]) => token) : Object.keys(vocab);

/** What differs between two trained models, in words. */
function compare(kind, ours, theirs) {
  if (kind.endsWith("bpe")) {
    const [a, b] = [mergesOf(ours), mergesOf(theirs)];
    const first = a.findIndex((merge, index) => merge !== b[index]);
    if (a.length === b.length && first < 0) return `the same ${a.length} merges`;
    return `merges differ from number ${first < 0 ? Math.min(a.length, b.length) : first} on`;
  }
  const known = new Set(tokensOf(ours));
  const tokens = tokensOf(theirs);
  return `${tokens.filter((token) => known.has(token)).length} of ${tokens.length} tokens are the same`;
}

/**
 * @param {object} options
 * @param {typeof import("../../dist/tokenizer/index.js")} options.jeton
 * @param {string} options.data the data folder
 * @param {string[]} options.kinds
 * @param {string[]} options.texts folders below text/
 * @param {number} options.runs
 * @returns {Promise<import("../report.mjs").Row[]>} seconds
 */
export async function measureTraining({ jeton, data, kinds, texts, runs }) {
  const { Tokenizer } = require("tokenizers");
  const files = texts.flatMap((folder) =>
    readdirSync(join(data, "text", folder))
      .sort()
      .map((name) => join(data, "text", folder, name)),
  );
  const scratch = mkdtempSync(join(tmpdir(), "jeton-training-"));
  const rows = [];
  try {
    for (const kind of kinds) {
      const vocabSize = sizes[kind] + countExtra(kind, files);
      const unknown = { wordpiece: ["[UNK]"], "byte-level-bpe": [] }[kind] ?? ["<unk>"];
      const ours = [];
      const peer = [];
      let note = "";
      for (let run = 0; run < runs; run++) {
        const began = performance.now();
        // The native trainer reads lines; so does this, and reading belongs to the time of both.
        const lines = files.flatMap((file) => readFileSync(file, "utf8").split(/(?<=\n)/));
        const trained = await jeton.trainTokenizer({
          kind,
          texts: lines,
          vocabSize,
          minFrequency: 0,
          specialTokens: unknown,
          maxAlphabet: 1_000_000,
        });
        ours.push((performance.now() - began) / 1000);
        const { normalizer, pre_tokenizer } = trained.json;
        const native = Tokenizer.fromString(
          JSON.stringify({
            version: "1.0",
            truncation: null,
            padding: null,
            added_tokens: [],
            normalizer,
            pre_tokenizer,
            post_processor: null,
            decoder: null,
            model: models[kind],
          }),
        );
        const start = performance.now();
        native.train(files);
        peer.push((performance.now() - start) / 1000);
        const path = join(scratch, "native.json");
        native.save(path);
        note = compare(kind, trained.json.model, JSON.parse(readFileSync(path, "utf8")).model);
      }
      const row = makeRow({
        name: `train ${kind} on ${texts.join(" + ")}`,
        ours,
        peer,
        peerName: "tokenizers (native, all cores)",
        unit: "s",
        lowerIsBetter: true,
      });
      rows.push({ ...row, note });
      console.error(`${row.name}: ${note}`);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return rows;
}
