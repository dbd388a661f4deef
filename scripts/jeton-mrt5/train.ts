/**
 * Trains `models/jeton-mrt5` in OUT: the small encoder-decoder with a delete gate of the page's demonstration.
 *
 *     JETON_DATA=path/to/data node --import tsx scripts/jeton-mrt5/train.ts OUT [--steps N]
 *
 * Fifteen minutes on one core; an interrupted run begins again. Its task is the paper's diagnostic one: the text without
 * its vowels, on pieces of Gibbon's history (public domain) and on random letters. OUT is `models/jeton-mrt5`.
 */
import { parseArgs } from "node:util";
import { createRandom, type Random } from "../../src/core/index.ts";
import { locateData } from "../../src/data/index.ts";
import {
  evaluatePairs,
  type PairTraining,
  smallConfigFile,
  trainPairs,
} from "../../src/model/mrt5/reproduction-training.ts";
import { type IdPair, isVowel, vowelRemoval } from "../../src/model/mrt5/tasks.ts";
import { readGibbon } from "../../src/reproduce/data/held-out-chapters.ts";
import { writeByteTokenizer } from "../../src/train/data/byte-tokenizer.ts";
import { exportModel } from "../../src/train/index.ts";

const seed = 1;
/** Bytes of a text at most; the page cuts longer ones. */
const longest = 48;
const size = {
  ...{ width: 64, heads: 4, feedForward: 128, encoderLayers: 2, decoderLayers: 2, layer: 1 },
  vocabSize: 384,
};

const { values, positionals } = parseArgs({
  options: { steps: { type: "string", default: "6000" } },
  allowPositionals: true,
});
const [out] = positionals;
const steps = Number(values.steps);
if (out === undefined || !(steps > 0)) throw new Error("usage: train.ts OUT [--steps N]");

/** Prose of printable ASCII. */
async function readProse(isHeldOut: boolean): Promise<string> {
  const chapters = await readGibbon(await locateData("text/gibbon"), isHeldOut);
  return chapters
    .flat()
    .join(" ")
    .replace(/[^ -~]/g, "");
}

/** A piece of prose and the same without vowels. */
function cutPiece(prose: string, random: Random): IdPair {
  const length = 4 + random.integer(longest - 3);
  const start = random.integer(prose.length - length);
  const source = Array.from(
    prose.slice(start, start + length),
    (letter) => letter.charCodeAt(0) + 3,
  );
  const end = 1;
  return { source: [...source, end], target: [...source.filter((id) => !isVowel(id)), end] };
}

const prose = await readProse(false);
const training: PairTraining = {
  ...{ name: "jeton-mrt5", way: "gate", size, seed, steps, batch: 16, learningRate: 2e-3 },
  // As many as there are vowels in English prose.
  ...{ target: 0.28, proportional: 0.02, scores: 0.5, delay: Math.ceil(steps / 5) },
  draw: (random) =>
    random.uniform() < 0.3
      ? vowelRemoval(6 + random.integer(longest - 5), random)
      : cutPiece(prose, random),
};
const started = performance.now();
const trained = await trainPairs(
  {
    signal: new AbortController().signal,
    progress: (text, step) => step !== undefined && step % 200 === 0 && console.log(step, text),
  },
  training,
);
const seconds = (performance.now() - started) / 1000;

const heldOut = await readProse(true);
const random = createRandom(seed, "held out");
const pairs = Array.from({ length: 300 }, () => cutPiece(heldOut, random));
const { right, kept, deleted } = await evaluatePairs(trained, "gate", pairs, training.target);
let vowels = 0;
let vowelsGone = 0;
let gone = 0;
for (const [at, { source }] of pairs.entries()) {
  for (const [place, id] of source.entries()) {
    const isGone = !kept[at]!.has(place);
    if (isVowel(id)) vowels++;
    if (isGone) gone++;
    if (isGone && isVowel(id)) vowelsGone++;
  }
}
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const mean = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0) / all.length;
const last = mean(trained.losses.slice(-100));
const result = `Of 300 pieces of held-out chapters it writes ${percent(mean(right))} right to the last byte (teacher forcing, hard deletion). It deletes ${percent(mean(deleted))} of the positions: ${percent(vowelsGone / vowels)} of the vowels, which are ${percent(vowelsGone / gone)} of what it deletes.`;
console.log(`${seconds.toFixed(0)} s, loss ${last.toFixed(4)}. ${result}`);

await writeByteTokenizer(out, "byt5");
const parameters = [...trained.parameters.values()].reduce((sum, { data }) => sum + data.length, 0);
await exportModel(out, {
  config: smallConfigFile(size),
  parameters: trained.parameters,
  tokenizer: out,
  card: `---
license: apache-2.0
language: en
---

# jeton-mrt5

An encoder-decoder over bytes (mrt5) of ${Math.round(parameters / 1000)}K parameters, trained with jeton: two layers that read, two
that write, and behind the first layer the gate that deletes bytes. It writes a text without its vowels, the diagnostic task
of the MrT5 paper, and nothing else; the page of \`jeton studio\` shows with it which bytes the gate deletes. It was never told
which bytes may go.

## Data

- data:text/gibbon, Gibbon's *Decline and Fall of the Roman Empire* (public domain text) without three chapters, printable
  ASCII: pieces of 4 to ${longest} bytes; and in three of ten texts random letters

## Training

\`\`\`sh
JETON_DATA=path/to/data node --import tsx scripts/jeton-mrt5/train.ts OUT
\`\`\`

- ${steps} steps of 16 texts, seed ${seed}; AdamW at a peak rate of ${training.learningRate}, cosine
- the gate's controller aims at ${percent(training.target)} deleted from step ${training.delay} on
- loss over the last steps: ${last.toFixed(4)} nats a byte

${result}

## Use

\`\`\`sh
jeton run --model jeton-mrt5 "The king of the Goths"
\`\`\`
`,
});
