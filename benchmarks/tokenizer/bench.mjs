/**
 * Encoding and decoding beside the tokenizers of the JavaScript world: tiktoken (WebAssembly),
 * tokenizers (native), gpt-tokenizer and @huggingface/tokenizers, on one thread.
 *
 *     npm run bench -- tokenizer [--vocabularies gpt2,cl100k] [--texts english,code] [--size 128000]
 *                                [--runs 5] [--json]
 *     npm run bench -- tokenizer --training     # see training.mjs
 *
 * Texts: English prose, code (jeton's own sources), Korean, Hindi, and the same sentences in 14
 * languages mixed. Each is encoded line by line and as one document, cold (a fresh tokenizer that
 * has seen only other text) and warm (the text has been encoded before), and decoded. Where a
 * library has a call for several texts at once, lines go through it. All sides must give the same
 * ids; a row whose peer differs says so. JETON_DATA must name the data folder.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { importJeton } from "../import-jeton.mjs";
import { describeMachine, makeRow } from "../report.mjs";
import { measureTraining } from "./training.mjs";

export const description =
  "encode, decode and train beside tiktoken, tokenizers, gpt-tokenizer and @huggingface/tokenizers";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const require = createRequire(import.meta.url);

function readTexts(data, size) {
  const read = (path) => readFileSync(join(data, "text", path), "utf8");
  const pud = readdirSync(join(data, "text/pud")).map((name) => read(`pud/${name}`).split("\n"));
  const mixed = pud[0].flatMap((_, i) => pud.map((lines) => lines[i] ?? ""));
  const gibbon = readdirSync(join(data, "text/gibbon")).map((name) => read(`gibbon/${name}`));
  const sources = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
  const cut = (text) => {
    const lines = [];
    let bytes = 0;
    for (const line of text.split("\n")) {
      if (bytes >= size) break;
      if (line.trim() === "") continue;
      lines.push(line);
      bytes += Buffer.byteLength(line) + 1;
    }
    return { lines, document: lines.join("\n"), bytes };
  };
  return {
    english: cut(gibbon.join("\n")),
    code: cut(sources.map((path) => readFileSync(path, "utf8")).join("\n")),
    korean: cut(read("pud/ko.txt")),
    hindi: cut(read("pud/hi.txt")),
    mixed: cut(mixed.join("\n")),
  };
}

/**
 * A side of the comparison: `create` makes a fresh tokenizer with
 * `encodeAll(texts) → ids of each` and `decodeAll(ids) → texts`, both possibly asynchronous.
 */
async function listSides(vocabulary, data) {
  const jeton = await importJeton("tokenizer");
  const folder = join(data, "tokenizers");
  const ranks = { cl100k: "cl100k_base", o200k: "o200k_base" }[vocabulary];
  const tiktokenName = { gpt2: "gpt2", cl100k: "cl100k_base", o200k: "o200k_base" }[vocabulary];
  const textDecoder = new TextDecoder();
  const bare = { addSpecialTokens: false, applyLimits: false };

  let json;
  if (ranks === undefined) {
    json = JSON.parse(readFileSync(join(folder, vocabulary, "tokenizer.json"), "utf8"));
    // Limits are part of T5's file; a speed test is about whole texts.
    json.truncation = null;
    json.padding = null;
  }
  const sides = [
    {
      name: "jeton",
      create: async () => {
        const tokenizer = ranks
          ? await jeton.loadTokenizer(join(folder, `${ranks}.tiktoken`))
          : jeton.createTokenizer(json);
        return {
          encodeAll: (texts) => texts.map((text) => tokenizer.encodeIds(text, bare)),
          decodeAll: (ids) =>
            ids.map((list) => tokenizer.decode(list, { skipSpecialTokens: false })),
        };
      },
    },
  ];
  if (tiktokenName !== undefined) {
    const { get_encoding } = require("tiktoken");
    sides.push({
      name: "tiktoken",
      create: async () => {
        const encoding = get_encoding(tiktokenName);
        return {
          encodeAll: (texts) => texts.map((text) => encoding.encode(text)),
          decodeAll: (ids) => ids.map((list) => textDecoder.decode(encoding.decode(list))),
          free: () => encoding.free(),
        };
      },
    });
    const module = await import(
      `gpt-tokenizer/encoding/${tiktokenName === "gpt2" ? "r50k_base" : tiktokenName}`
    );
    sides.push({
      name: "gpt-tokenizer",
      create: async () => {
        module.clearMergeCache();
        return {
          encodeAll: (texts) => texts.map((text) => module.encode(text)),
          decodeAll: (ids) => ids.map((list) => module.decode(list)),
        };
      },
    });
  }
  if (json !== undefined) {
    process.env.TOKENIZERS_PARALLELISM = "false";
    const native = require("tokenizers");
    const text = JSON.stringify(json);
    sides.push({
      name: "tokenizers (native)",
      create: async () => {
        const tokenizer = native.Tokenizer.fromString(text);
        return {
          encodeAll: async (texts) => {
            const options = { addSpecialTokens: false };
            if (texts.length === 1)
              return [(await tokenizer.encode(texts[0], null, options)).getIds()];
            return (await tokenizer.encodeBatch(texts, options)).map((one) => one.getIds());
          },
          decodeAll: async (ids) =>
            ids.length === 1
              ? [await tokenizer.decode(ids[0], false)]
              : tokenizer.decodeBatch(ids, false),
          prepareIds: (ids) => ids.map((list) => Array.from(list)),
        };
      },
    });
    const { Tokenizer } = await import("@huggingface/tokenizers");
    sides.push({
      name: "@huggingface/tokenizers",
      create: async () => {
        const tokenizer = new Tokenizer(structuredClone(json), {});
        const options = { add_special_tokens: false };
        return {
          encodeAll: (texts) => texts.map((one) => tokenizer.encode(one, options).ids),
          decodeAll: (ids) =>
            ids.map((list) => tokenizer.decode(list, { skip_special_tokens: false })),
          prepareIds: (ids) => ids.map((list) => Array.from(list)),
        };
      },
    });
  }
  return sides;
}

/** Warm encoding and decoding repeat for at least so many milliseconds. */
const leastTime = 40;

const sameIds = (a, b) => a.length === b.length && a.every((id, i) => id === b[i]);

/** Runs all sides on one text, interleaved; calls `add` with the rates of each in MB/s. */
async function measure({ sides, texts, bytes, runs, warmUp, add }) {
  const rates = new Map(
    sides.map((side) => [side.name, { cold: [], warm: [], decode: [], same: true }]),
  );
  let reference;
  for (let run = 0; run < runs; run++) {
    // Every other run goes backwards, so that no side always follows the same one.
    for (const side of run % 2 === 0 ? sides : [...sides].reverse()) {
      const rate = rates.get(side.name);
      const instance = await side.create();
      await instance.encodeAll(warmUp);
      const time = async (action, atLeast) => {
        let passes = 0;
        let spent = 0;
        let result;
        const start = performance.now();
        do {
          result = await action();
          passes++;
          spent = performance.now() - start;
        } while (spent < atLeast);
        return { result, rate: (bytes * passes) / 1000 / spent };
      };
      const cold = await time(() => instance.encodeAll(texts), 0);
      const warm = await time(() => instance.encodeAll(texts), leastTime);
      if (side.name === "jeton") reference ??= cold.result;
      if (reference !== undefined && run > 0) {
        rate.same &&= cold.result.every((ids, i) => sameIds(Array.from(ids), reference[i]));
      }
      const ids = reference ?? cold.result;
      const prepared = instance.prepareIds?.(ids) ?? ids;
      await instance.decodeAll(prepared);
      const decoded = await time(() => instance.decodeAll(prepared), leastTime);
      rate.cold.push(cold.rate);
      rate.warm.push(warm.rate);
      rate.decode.push(decoded.rate);
      instance.free?.();
    }
  }
  const own = rates.get("jeton");
  for (const side of sides.slice(1)) add(side.name, own, rates.get(side.name));
}

/** Measures; returns the rows, and prints them as they come unless `json` asks for silence. */
export async function run({ json = false, args = [] } = {}) {
  const { values } = parseArgs({
    args,
    options: {
      vocabularies: { type: "string", default: "gpt2,cl100k,o200k,llama-2,bert-base-uncased,t5" },
      texts: { type: "string", default: "english,code,korean,hindi,mixed" },
      size: { type: "string", default: "128000" },
      runs: { type: "string", default: "5" },
      training: { type: "boolean", default: false },
      kinds: { type: "string", default: "byte-level-bpe,byte-fallback-bpe,wordpiece" },
    },
  });
  const data = process.env.JETON_DATA;
  if (data === undefined) throw new Error("JETON_DATA must name the data folder");
  if (values.training) {
    const isDefault = !args.some((argument) => argument.startsWith("--texts"));
    const rows = await measureTraining({
      jeton: await importJeton("tokenizer"),
      data,
      kinds: values.kinds.split(","),
      texts: isDefault ? ["gibbon", "pud"] : values.texts.split(","),
      runs: Number(values.runs),
    });
    if (!json) for (const row of rows) printRow(row);
    return rows;
  }
  const all = readTexts(data, Number(values.size));
  const runs = Number(values.runs);
  const warmUp = all.english.lines.slice(-20);
  const rows = [];
  if (!json) console.log(describeMachine());
  for (const vocabulary of values.vocabularies.split(",")) {
    const sides = await listSides(vocabulary, data);
    for (const name of values.texts.split(",")) {
      const { lines, document, bytes } = all[name];
      for (const [shape, texts] of [
        ["lines", lines],
        ["document", [document]],
      ]) {
        const add = (peerName, own, peer) => {
          for (const what of ["cold", "warm", "decode"]) {
            const label = what === "decode" ? "decode" : `encode ${what}`;
            const row = makeRow({
              name: `${vocabulary} ${name} ${shape} ${label}`,
              ours: own[what],
              peer: peer[what],
              peerName,
              unit: "MB/s",
            });
            if (!peer.same) row.note = "the peer's ids differ";
            rows.push(row);
            if (!json) printRow(row);
          }
        };
        await measure({ sides, texts, bytes, runs, warmUp, add });
      }
    }
  }
  if (!json) {
    const slower = rows.filter((row) => row.ratio < 1);
    console.log(`${rows.length} rows, jeton slower on ${slower.length}`);
    for (const row of slower) printRow(row);
    console.log(describeMachine());
  }
  return rows;
}

function printRow(row) {
  const numbers = [row.ours, row.peer, row.ratio].map((value) => value.toFixed(1).padStart(7));
  const note = row.note === undefined ? "" : `  (${row.note})`;
  console.log(
    `${row.name.padEnd(44)} ${numbers[0]} ${numbers[1]} ${row.unit}  x${numbers[2]}  ${row.peerName}${note}`,
  );
}
