/**
 * Measures `models/jeton-nano` as its card shows it: bits per byte of held-out text beside gzip, xz and
 * n-gram models of order 5, and how often it recalls what stands earlier in its context, by distance.
 *
 *     node --import tsx scripts/jeton-nano/evaluate.ts MODEL DATA [--questions 40]
 *
 * DATA is the folder that `prepare.ts` filled. Prints one JSON document.
 */
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createRandom } from "../../src/core/index.ts";
import { score } from "../../src/generate/index.ts";
import { loadModel } from "../../src/model/index.ts";
import {
  makeRecallTask,
  type RecallTaskOptions,
  recallTaskKinds,
} from "../../src/reproduce/data/recall-tasks.ts";
import { createNgramModel } from "../../src/testing/ngram-model.ts";
import { taskMaterial } from "./task-material.ts";

const [modelFolder, data] = process.argv.slice(2);
if (modelFolder === undefined || data === undefined)
  throw new Error("usage: evaluate.ts MODEL DATA");
const at = process.argv.indexOf("--questions");
const questions = at < 0 ? 40 : Number(process.argv[at + 1]);

const readLines = async (name: string): Promise<string[]> =>
  (await readFile(join(data, `${name}.jsonl`), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as string);
const heldOut = await readLines("held-out");
const prose = await readLines("prose");

await using model = await loadModel(modelFolder, { format: "f32" });
const bytes = heldOut.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
let bits = 0;
for (const text of heldOut) {
  // A document is scored in pieces that fit the context, each with the half before it as its past.
  for (const { prefix, piece } of cutPieces(text)) {
    const { logProbability } = await score(model, piece, { prefix });
    bits -= logProbability / Math.LN2;
  }
}
const training = Buffer.from(prose.join("\n"));
const test = Buffer.from(heldOut.join("\n"));
const tokenize = (text: string): number[] => [
  ...model.tokenizer.encodeIds(text, { addSpecialTokens: false }),
];

const recall: Record<string, Record<string, number>> = {};
const { words, filler } = taskMaterial(prose);
for (const kind of recallTaskKinds) await measureDistances(kind, { kind });
// Whoever has learned phrases fails here; who looks up does not.
const others = { composed: "composed anew", unseen: "kept from all training" } as const;
for (const wordings of ["composed", "unseen"] as const) {
  const name = `key-value, in wordings ${others[wordings]}`;
  await measureDistances(name, { kind: "key-value", wordings });
}

const report = {
  heldOutBytes: bytes,
  bitsPerByte: {
    model: bits / bytes,
    gzip: (8 * gzipSync(test, { level: 9 }).length) / test.length,
    xz:
      (8 *
        spawnSync("xz", ["-9e", "--stdout"], { input: test, maxBuffer: 1 << 28 }).stdout.length) /
      test.length,
    xzAfterTraining: xzAfter(training, test),
    ngramOfBytes: ngramBits(training, test, 256) / test.length,
    ngramOfTokens:
      ngramBits(prose.flatMap(tokenize), heldOut.flatMap(tokenize), model.tokenizer.vocabSize) /
      bytes,
  },
  questions,
  recall,
};
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);

/** Bits of the test under an n-gram model of order 5 that goes on learning, as a compressor does. */
function ngramBits(training: ArrayLike<number>, test: ArrayLike<number>, symbols: number): number {
  const ngram = createNgramModel({ order: 5, symbols });
  for (let at = 0; at < training.length; at++) ngram.learn(training[at]!);
  let bits = 0;
  for (let at = 0; at < test.length; at++) {
    bits -= Math.log2(ngram.probability(test[at]!));
    ngram.learn(test[at]!);
  }
  return bits;
}

/** What xz needs for the test when it has seen the training text first. */
function xzAfter(first: Buffer, second: Buffer): number {
  const size = (input: Buffer): number =>
    spawnSync("xz", ["-9e", "--stdout"], { input, maxBuffer: 1 << 28 }).stdout.length;
  return (8 * (size(Buffer.concat([first, second])) - size(first))) / second.length;
}

function* cutPieces(text: string): Generator<{ prefix: string; piece: string }> {
  const size = 1200;
  let from = 0;
  let before = 0;
  while (from < text.length) {
    // Pieces end before a space, where tokens end as well.
    let to = from + size >= text.length ? text.length : text.lastIndexOf(" ", from + size);
    if (to <= from) to = Math.min(text.length, from + size);
    yield { prefix: text.slice(before, from), piece: text.slice(from, to) };
    before = from;
    from = to;
  }
}

type Asked = Pick<RecallTaskOptions, "kind" | "wordings">;

async function measureDistances(name: string, asked: Asked): Promise<void> {
  recall[name] = {};
  for (const tokens of [128, 256, 512, 900]) {
    recall[name][`within ${tokens} tokens`] = await measureRecall(name, asked, tokens);
  }
}

/** Share of questions answered to the letter, with documents of about this many tokens. */
async function measureRecall(name: string, asked: Asked, tokens: number): Promise<number> {
  let right = 0;
  for (let index = 0; index < questions; index++) {
    // Other streams than those of the training data.
    const random = createRandom(20261123, "recall", name, tokens, index);
    let length = tokens * 3;
    let prompt = "";
    let answer = "";
    // Tokens a character differ by the words drawn: shorter until it fits.
    for (; ; length = Math.floor(length * 0.9)) {
      const task = makeRecallTask(random.fork("task"), {
        ...asked,
        words,
        filler,
        length,
        questions: 1,
      });
      ({ prompt, answer } = task.questions[0]!);
      const size = tokenize(prompt + answer).length;
      if (size <= Math.min(tokens, 1000) || length < 50) break;
    }
    if (await isAnswered(prompt, answer)) right++;
  }
  return right / questions;
}

/**
 * Whether greedy decoding gives the answer to the letter: it does when every token of it is the most
 * probable one after those before it, which one forward tells.
 */
async function isAnswered(prompt: string, answer: string): Promise<boolean> {
  const ids = [...model.tokenizer.encodeIds(prompt + answer)];
  const asked = model.tokenizer.encodeIds(prompt).length;
  const sequence = await model.openSequence();
  try {
    const { topIds } = await sequence.step({ ids: ids.slice(0, -1), results: "all", topK: 1 });
    return ids.slice(asked).every((id, index) => topIds[asked - 1 + index] === id);
  } finally {
    await sequence.release();
  }
}
