/**
 * Compares jeton's tokenizers with the reference implementations, far beyond what the tests hold.
 *
 *     JETON_DATA=… node benchmarks/tokenizer/check.mjs [--strings 100000] [--vocabularies gpt2,t5]
 *       [--python python3] [--models a.model,b.model]
 *
 * - every published tokenizer.json against the native `tokenizers` library on random Unicode strings:
 *   ids, tokens, offsets, and the text decoded from them;
 * - the cl100k and o200k ranks against tiktoken and gpt-tokenizer on every text of the data folder;
 * - where `--python` names a Python that has the package `sentencepiece` (Debian's
 *   `python3-sentencepiece`, say), every SentencePiece model of the data folder, or `--models`, against
 *   it: ids and tokens of the same strings, the text decoded from them and from random ids.
 *
 * Characters that Unicode gained after version 16 are left out of the strings where the engine's
 * Unicode is newer than the native library's: there the two are bound to differ. Exits with 1 when
 * anything else does.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { importJeton } from "../import-jeton.mjs";

const require = createRequire(import.meta.url);
const data = process.env.JETON_DATA;
if (data === undefined) throw new Error("JETON_DATA must name the data folder");
const { values } = parseArgs({
  options: {
    strings: { type: "string", default: "100000" },
    vocabularies: { type: "string" },
    seed: { type: "string", default: "1" },
    python: { type: "string" },
    models: { type: "string" },
  },
});

const { loadTokenizer, createTokenizer } = await importJeton("tokenizer");

const readText = (path) => readFileSync(join(data, "text", path), "utf8");
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** Characters assigned in Unicode 17 and with properties that matter here. */
const newerRanges =
  "088f 0c5c 0cdc 1acf-1add 1ae0-1aeb 20c1 2b96 a7ce a7cf a7d2 a7d4 a7f1 fbc3-fbd2 fd90 " +
  "fd91 fdc8-fdce 10940-10959 10ec5-10ec7 10ed0-10ed8 10efa 10efb 11b60-11b67 11db0-11de9 " +
  "16ea0-16ed3 16ff2-16ff6 187f8-187ff 18d09-18d1e 18d80-18df2 1ccfa-1ccfc 1ceba-1cef0 " +
  "1e6c0-1e6ff 1f6d8 1f777-1f77a 1f8d0-1f8d8 1fa54-1fa57 1fa8a 1fa8e 1fac8 1facd 1faea " +
  "1faef 1fbfa 2b73a-2b73f 2cea2-2cead 323b0-33479 0295";
const newer = new RegExp(
  `[${newerRanges.replace(/[0-9a-f]+/g, "\\u{$&}").replaceAll(" ", "")}]`,
  "u",
);

function createStrings(seed) {
  let state = seed >>> 0;
  const draw = (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * bound);
  };
  const words = readText("pud/en.txt").split(/(?<= )/);
  const languages = readdirSync(join(data, "text/pud")).map((name) => readText(`pud/${name}`));
  const parts = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", "\0", "\u0085", "\u00a0", "\u3000"];
  parts.push("é", "e\u0301", "x\u0338\u0327\u035d", "a\u0315\u0300\u05ae", "ﬁ", "①", "²", "½", "Ⅷ");
  parts.push("👩\u200d👩\u200d👧", "🇩🇪", "✊🏽", "İ", "Σας", "ΑΣ", "ｶﾞ", "カ\u3099", "가", "각");
  parts.push("don't", "I'LL", "'s", "1234567", "٣٤", "aaaa", "--", "...", "«»", "_", "▁", "\ufeff");
  parts.push("<s>", "</s>", "[CLS]", "<|endoftext|>", "<|en|>", "<extra_id_0>", "<0x41>", "\ufffd");
  return () => {
    let text = "";
    for (let count = draw(10); count > 0; count--) {
      const kind = draw(12);
      if (kind < 3) {
        text += words[draw(words.length)];
      } else if (kind < 6) {
        text += parts[draw(parts.length)];
      } else if (kind < 8) {
        const language = languages[draw(languages.length)];
        const start = draw(language.length - 20);
        text += language.slice(start, start + draw(20));
      } else {
        // Mostly the basic plane, sometimes any.
        const codePoint = draw(kind < 10 ? 0x3100 : kind < 11 ? 0x10000 : 0x110000);
        const character = String.fromCodePoint(codePoint);
        if (!newer.test(character)) text += character;
      }
    }
    return text.toWellFormed();
  };
}

async function checkNative(name) {
  const native = require("tokenizers");
  const json = readFileSync(join(data, "tokenizers", name, "tokenizer.json"), "utf8");
  const reference = native.Tokenizer.fromString(json);
  const tokenizer = createTokenizer(JSON.parse(json));
  const next = createStrings(Number(values.seed));
  const count = Number(values.strings);
  let different = 0;
  for (let i = 0; i < count; i++) {
    const text = next();
    const expected = await reference.encode(text);
    const encoding = tokenizer.encode(text, { offsetUnit: "codepoint" });
    const ids = expected.getIds();
    const agrees =
      same([...encoding.ids], ids) &&
      same([...tokenizer.encodeIds(text)], ids) &&
      same(encoding.tokens, expected.getTokens()) &&
      same(encoding.offsets, expected.getOffsets()) &&
      tokenizer.decode(ids) === (await reference.decode(ids, true));
    if (!agrees && ++different <= 3) {
      console.log(`  ${name} differs on ${JSON.stringify(text)}`);
      console.log(`    native ${JSON.stringify(expected.getTokens())}`);
      console.log(`    jeton  ${JSON.stringify(encoding.tokens)}`);
    }
  }
  console.log(`${name.padEnd(20)} ${count} strings, ${different} different`);
  return different;
}

function listFiles(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? listFiles(path) : [path];
  });
}

async function checkRanks(name) {
  const tokenizer = await loadTokenizer(join(data, "tokenizers", `${name}.tiktoken`));
  const { get_encoding } = require("tiktoken");
  const reference = get_encoding(name);
  const other = await import(`gpt-tokenizer/encoding/${name}`);
  let characters = 0;
  let different = 0;
  for (const path of listFiles(join(data, "text"))) {
    const text = readFileSync(path, "utf8");
    const ids = Array.from(tokenizer.encodeIds(text, { allowedSpecial: "none" }));
    const expected = [Array.from(reference.encode(text, [], []))];
    // gpt-tokenizer drops a byte-order mark; tiktoken and jeton keep it.
    if (!text.includes("\ufeff"))
      expected.push(other.encode(text, { disallowedSpecial: new Set() }));
    characters += text.length;
    if (!expected.every((list) => same(ids, list))) {
      different++;
      console.log(`  ${name} differs on ${path}`);
    }
  }
  console.log(`${name.padEnd(20)} ${characters} characters of text, ${different} files different`);
  return different;
}

/** Answers a line of JSON with a line of JSON: ids, tokens and text of a text, or the text of ids. */
const pythonScript = `
import json, sys, sentencepiece
model = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
for line in sys.stdin:
    asked = json.loads(line)
    if isinstance(asked, str):
        ids = model.encode(asked, out_type=int)
        print(json.dumps([ids, model.encode(asked, out_type=str), model.decode(ids)]))
    else:
        print(json.dumps(model.decode(asked)))
`;

/**
 * Texts with unknown tokens are not decoded: jeton counts them as special and skips them, SentencePiece
 * writes " ⁇ ". Lists of random ids hold neither those nor tokens that leave no text by themselves:
 * control tokens between two bytes part a character only in SentencePiece, and the byte of a space that
 * comes first stays only there.
 */
async function checkModel(path) {
  const tokenizer = await loadTokenizer(path);
  const count = Number(values.strings);
  const next = createStrings(Number(values.seed));
  const texts = Array.from({ length: count }, next);
  const random = createStrings(Number(values.seed) + 1);
  const { unkTokenId, vocabSize } = tokenizer;
  const isPlain = (id) =>
    id !== unkTokenId && tokenizer.decode([id], { skipSpecialTokens: true }) !== "";
  const plain = Array.from({ length: vocabSize }, (_, id) => id).filter(isPlain);
  // Strings are the source of randomness here too: their characters choose the ids.
  const lists = Array.from({ length: count }, () =>
    Array.from(random(), (character) => plain[(character.codePointAt(0) * 40503) % plain.length]),
  );
  const input = [...texts, ...lists].map((asked) => `${JSON.stringify(asked)}\n`).join("");
  const answer = spawnSync(values.python, ["-c", pythonScript, path], {
    input,
    encoding: "utf8",
    maxBuffer: 2 ** 31 - 1,
  });
  if (answer.status !== 0) throw new Error(`${values.python}: ${answer.error ?? answer.stderr}`);
  const answers = answer.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  let different = 0;
  const report = (what, expected, got) => {
    if (++different > 3) return;
    console.log(`  ${basename(path)} differs on ${JSON.stringify(what)}`);
    console.log(`    native ${JSON.stringify(expected)}`);
    console.log(`    jeton  ${JSON.stringify(got)}`);
  };
  for (const [index, text] of texts.entries()) {
    const [ids, tokens, decoded] = answers[index];
    const options = { allowedSpecial: "none" };
    const encoding = tokenizer.encode(text, options);
    const agrees = same([...encoding.ids], ids) && same(encoding.tokens, tokens);
    if (!agrees) report(text, tokens, encoding.tokens);
    else if (!same([...tokenizer.encodeIds(text, options)], ids)) report(text, ids, "encodeIds");
    else if (!ids.includes(unkTokenId) && tokenizer.decode(ids) !== decoded)
      report(text, decoded, tokenizer.decode(ids));
  }
  for (const [index, ids] of lists.entries()) {
    const decoded = answers[count + index];
    if (tokenizer.decode(ids) !== decoded) report(ids, decoded, tokenizer.decode(ids));
  }
  console.log(`${basename(path).padEnd(30)} ${count} strings, ${different} different`);
  return different;
}

let different = 0;
const published = readdirSync(join(data, "tokenizers")).filter((name) =>
  existsSync(join(data, "tokenizers", name, "tokenizer.json")),
);
for (const name of values.vocabularies?.split(",").filter(Boolean) ?? published)
  different += await checkNative(name);
if (values.vocabularies === undefined) {
  for (const name of ["cl100k_base", "o200k_base"]) different += await checkRanks(name);
}
if (values.python !== undefined) {
  const folder = join(data, "tokenizers");
  const models = readdirSync(folder).filter((name) => name.endsWith(".model"));
  for (const path of values.models?.split(",") ?? models.map((name) => join(folder, name)))
    different += await checkModel(path);
}
process.exitCode = different === 0 ? 0 : 1;
