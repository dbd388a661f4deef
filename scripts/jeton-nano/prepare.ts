/**
 * Makes the corpora of `models/jeton-nano` and its tokenizer:
 *
 *     JETON_DATA=path/to/data node --import tsx scripts/jeton-nano/prepare.ts OUT [--composed]
 *
 * OUT then holds `prose.jsonl`, `code.jsonl`, `tasks-N.jsonl` (N characters), `pairs.jsonl`,
 * `repeats.jsonl`, `labels.jsonl`, `gaps.jsonl`, `held-out.jsonl`, `tokenizer/` and `sources.json`. Only
 * text whose licence allows giving weights away goes in: public-domain prose, TypeScript and documents of packages under the
 * licences named below, this project's own sources, and generated tasks: in the few wordings of which the
 * bundled model's are made, or with `--composed` in ones that are made anew for every document.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../../src/checkpoint/index.ts";
import { createRandom, type Random } from "../../src/core/index.ts";
import { locateData } from "../../src/data/index.ts";
import { gibbonParagraphs, isHeldOutChapter } from "../../src/reproduce/data/held-out-chapters.ts";
import { makeLabelTask } from "../../src/reproduce/data/label-tasks.ts";
import { makeRecallTask, recallTaskKinds } from "../../src/reproduce/data/recall-tasks.ts";
import { saveTokenizer, trainTokenizer } from "../../src/tokenizer/index.ts";
import { fillTokens } from "./fill-tokens.ts";
import { taskMaterial } from "./task-material.ts";

const seed = 1;
const freeLicences = /^\(?(MIT|MIT OR Apache-2.0|Apache-2.0|ISC|BSD-3-Clause|MIT OR CC0-1.0)\)?$/;
/** Packages that carry their TypeScript sources. */
const codePackages = ["zod", "openai", "vega-lite", "@huggingface/hub", "@huggingface/jinja"];
/** Most bytes of code that one package gives, so that none sets the tone. */
const packageShare = 900_000;
const taskLengths = [500, 1200, 2600];

const [out] = process.argv.slice(2);
if (out === undefined) throw new Error("usage: prepare.ts OUT [--composed]");
const wordings = process.argv.includes("--composed") ? "composed" : "fixed";
/** Bytes of each kind of task: wordings that are made anew are not to be met twice. */
const taskBytes = wordings === "composed" ? 20_000_000 : 5_000_000;

const prose: string[] = [];
const heldOut: string[] = [];
const gibbon = await locateData("text/gibbon");
for (const name of (await readdir(gibbon)).sort()) {
  const paragraphs = gibbonParagraphs(await readFile(join(gibbon, name), "utf8"));
  (isHeldOutChapter(name) ? heldOut : prose).push(...cutDocuments(paragraphs, name));
}
prose.push(
  ...cutDocuments(
    cleanBotchan(await readFile(await locateData("text/botchan.txt"), "utf8")),
    "botchan",
  ),
);
prose.push(
  ...cutDocuments(
    (await readFile(await locateData("text/tinyshakespeare.txt"), "utf8")).split("\n\n"),
    "shakespeare",
  ),
);

const licences: Record<string, string> = {};
const code: string[] = [];
for (const name of codePackages) {
  const documents = await readPackage(name, /(?<!\.d)\.ts$/, /test|bench|locales|node_modules/);
  code.push(...takeBytes(createRandom(seed, "code", name).shuffle(documents), packageShare));
}
code.push(...(await readTree("src", /\.ts$/, /testing|\.test\.|unicode|scripts\.ts/)));
const readmes: string[] = [];
for (const name of await packageNames())
  readmes.push(...(await readPackage(name, /\.md$/, /CHANGELOG|LICENSE|NOTICE|node_modules/i)));
code.push(...takeBytes(createRandom(seed, "documents").shuffle(readmes), 1_500_000));

const { words, filler } = taskMaterial(prose);

for (const [name, documents] of Object.entries({ prose, code, "held-out": heldOut })) {
  await write(name, documents);
}
await write("repeats", makeRepeats());
const tasks = taskLengths.map((length) => makeTasks(length));
for (const [index, length] of taskLengths.entries()) await write(`tasks-${length}`, tasks[index]!);
await write("pairs", makePairs());
await write("labels", makeLabels());
await write("gaps", makeGaps());

const trained = await trainTokenizer({
  kind: "byte-level-bpe",
  vocabSize: 4096,
  texts: [...prose, ...code, ...tasks[0]!.slice(0, 500)],
  specialTokens: ["<s>", "</s>", "<|user|>", "<|assistant|>"],
  bosToken: "<s>",
  eosToken: "</s>",
  pattern: "cl100k",
});
await saveTokenizer(join(out, "tokenizer"), trained);
await writeFileAtomically(join(out, "sources.json"), `${JSON.stringify({ licences }, null, 2)}\n`);

async function write(name: string, documents: readonly string[]): Promise<void> {
  const lines = documents.map((text) => JSON.stringify(text)).join("\n");
  await writeFileAtomically(join(out!, `${name}.jsonl`), `${lines}\n`);
  const bytes = documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  console.error(`${name}: ${documents.length} documents, ${bytes} bytes`);
}

function cleanBotchan(text: string): string[] {
  const from = text.indexOf("*** START");
  const to = text.indexOf("*** END");
  return text
    .slice(text.indexOf("\n", from), to < 0 ? undefined : to)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/gutenberg|Proofreading/i.test(line));
}

/** Documents of 600 to 6,000 characters, so that many of them begin and end within a sequence. */
function cutDocuments(paragraphs: readonly string[], key: string): string[] {
  const random = createRandom(seed, "cut", key);
  const documents: string[] = [];
  let held: string[] = [];
  let size = 0;
  let wanted = 600 + random.integer(5400);
  for (const paragraph of paragraphs) {
    held.push(paragraph);
    size += paragraph.length;
    if (size < wanted) continue;
    documents.push(held.join("\n\n"));
    held = [];
    size = 0;
    wanted = 600 + random.integer(5400);
  }
  if (held.length > 0) documents.push(held.join("\n\n"));
  return documents;
}

async function packageNames(): Promise<string[]> {
  const lock = JSON.parse(await readFile("package-lock.json", "utf8")) as { packages: object };
  return Object.keys(lock.packages)
    .filter((path) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path))
    .map((path) => path.slice("node_modules/".length))
    .sort();
}

async function readPackage(name: string, wanted: RegExp, unwanted: RegExp): Promise<string[]> {
  const folder = join("node_modules", name);
  const description = await readFile(join(folder, "package.json"), "utf8").catch(() => undefined);
  if (description === undefined) return [];
  const { license, version } = JSON.parse(description) as { license?: string; version: string };
  if (license === undefined || !freeLicences.test(license)) return [];
  const documents = await readTree(folder, wanted, unwanted);
  if (documents.length > 0) licences[`${name} ${version}`] = license;
  return documents;
}

async function readTree(folder: string, wanted: RegExp, unwanted: RegExp): Promise<string[]> {
  const documents: string[] = [];
  for (const entry of (await readdir(folder, { recursive: true })).sort()) {
    if (!wanted.test(entry) || unwanted.test(entry)) continue;
    const text = await readFile(join(folder, entry), "utf8").catch(() => "");
    const isPlain = text.length > 300 && text.length < 60_000 && !/[^\n]{400}/.test(text);
    if (isPlain) documents.push(text.replaceAll("\r\n", "\n"));
  }
  return documents;
}

function takeBytes(documents: readonly string[], limit: number): string[] {
  let size = 0;
  return documents.filter((text) => {
    size += text.length;
    return size <= limit;
  });
}

/**
 * Passages over and over. Nearly every token can be told from what stood before it, which teaches
 * looking back far sooner than questions do, where few can.
 */
function makeRepeats(): string[] {
  return makeDocuments(["repeats"], (random) => {
    const separator = [" ", "\n", ", ", ". "][random.integer(4)]!;
    const isProse = random.uniform() < 0.25;
    const from = random.integer(filler.length);
    const passage = isProse
      ? filler[from]!
      : Array.from(
          { length: 6 + random.integer(30) },
          () => words[random.integer(words.length)]!,
        ).join(" ");
    const wanted = 400 + random.integer(600);
    let text = passage;
    while (text.length < wanted) text += separator + passage;
    return text;
  });
}

/** Pairs of all lengths up to 1,800 characters, nearly all of which are asked for: the last practice. */
function makePairs(): string[] {
  return makeDocuments(["pairs"], (random) => {
    const length = 200 + random.integer(1600);
    const kind = "key-value";
    return makeRecallTask(random, { kind, words, filler, length, questions: 60, wordings }).text;
  });
}

/**
 * Questions, and answers, are what a document teaches; the rest of it is drawn at random. Pairs take the
 * most practice, as they are asked for in words other than they were told in.
 */
function makeTasks(length: number): string[] {
  const isLong = length > 600;
  const kinds = isLong ? [0, 0, 0, 0, 1, 2, 3] : [0, 0, 0, 1, 2, 3];
  return makeDocuments(["tasks", length], (random) => {
    const kind = recallTaskKinds[kinds[random.integer(kinds.length)]!]!;
    return makeRecallTask(random, {
      kind,
      words,
      filler,
      length: Math.round(length * (0.3 + 0.7 * random.uniform())),
      questions: 4 + random.integer(isLong ? 60 : 20),
      wordings,
    }).text;
  });
}

/** Examples with labels, and inputs that ask for theirs: what a prompt with demonstrations looks like. */
function makeLabels(): string[] {
  const lines = code
    .flatMap((text) => text.split("\n"))
    .map((line) => line.trim())
    .filter((line) => line.length > 15 && line.length < 70);
  const short = filler.filter((sentence) => sentence.length < 90);
  return makeDocuments(["labels"], (random) => {
    const length = 300 + random.integer(1800);
    const questions = 4 + random.integer(12);
    return makeLabelTask(random, { words, kinds: [short, lines], length, questions }).text;
  });
}

/**
 * Documents with their middle moved to the end, in the form of Qwen2.5-Coder's prompts: prefix, suffix, middle.
 * Half of the cuts are at line ends, as editors ask; the others anywhere, also within a word.
 */
function makeGaps(): string[] {
  const source = [...code, ...code, ...prose];
  const [beforePrefix, beforeSuffix, beforeMiddle] = fillTokens;
  return makeDocuments(["gaps"], (random) => {
    const whole = source[random.integer(source.length)]!;
    const length = 300 + random.integer(1500);
    const from = random.integer(Math.max(1, whole.length - length));
    const text = whole.slice(from, from + length);
    const atLine = random.uniform() < 0.5;
    const cut = (least: number, most: number): number => {
      const at = least + random.integer(Math.max(1, most - least));
      const line = text.indexOf("\n", at);
      return atLine && line >= 0 && line < most ? line + 1 : at;
    };
    const begin = cut(20, Math.floor(text.length * 0.8));
    const end = cut(begin + 1, Math.min(text.length, begin + 400));
    if (end <= begin) return undefined;
    const [prefix, middle, suffix] = [
      text.slice(0, begin),
      text.slice(begin, end),
      text.slice(end),
    ];
    return beforePrefix + prefix + beforeSuffix + suffix + beforeMiddle + middle;
  });
}

/**
 * Documents with a stream of random numbers each, until they are `taskBytes` long together.
 *
 * @param make a document; undefined leaves one out
 */
function makeDocuments(
  key: readonly (string | number)[],
  make: (random: Random) => string | undefined,
): string[] {
  const documents: string[] = [];
  for (let index = 0, size = 0; size < taskBytes; index++) {
    const text = make(createRandom(seed, ...key, index));
    if (text === undefined) continue;
    documents.push(text);
    size += text.length;
  }
  return documents;
}
