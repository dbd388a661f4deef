/**
 * Puts a trained compressor into `models/jeton-compressor` with its card, in half precision, and measures it:
 *
 *     JETON_DATA=path/to/data node --import tsx scripts/jeton-compressor/publish.ts OUT
 *
 * OUT is what `train.sh` made.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../../src/checkpoint/index.ts";
import {
  contextRows,
  openCompressor,
  readCompressor,
  scoreBehind,
  writeCompressor,
} from "../../src/context/index.ts";
import { heldOutPassages } from "../../src/context/policies/reproduction-prose.ts";
import { formatCount } from "../../src/core/index.ts";
import { locateData } from "../../src/data/index.ts";
import { loadModel } from "../../src/model/index.ts";

const [out] = process.argv.slice(2);
if (out === undefined) throw new Error("usage: publish.ts OUT");
const target = "models/jeton-compressor";
await mkdir(target, { recursive: true });
await using model = await loadModel("models/jeton-nano", { format: "f32", threads: 1 });
const trained = await readCompressor(join(out, "run/compressor.safetensors"), model.config);
const file = join(target, "compressor.safetensors");
await writeCompressor(file, trained, { dtype: "F16" });

const log = (await readFile(join(out, "run/log.jsonl"), "utf8"))
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as { loss: number; tokens: number; seconds: number });
const tail = log.slice(-Math.ceil(log.length / 20));
const loss = tail.reduce((sum, entry) => sum + entry.loss, 0) / tail.length;
const minutes = log.reduce((sum, { seconds }) => sum + seconds, 0) / 60;

/** Bits a token of held-out prose behind each way to read what comes before it. */
const before = 512;
const passages = await heldOutPassages({ data: locateData }, model, { before, count: 16 });
await using compressor = await openCompressor(model, file, { threads: 1 });
const sums = new Map<string, number>();
let scored = 0;
for (const [at, passage] of passages.entries()) {
  const note = async (name: string, read: Parameters<typeof scoreBehind>[1]): Promise<void> => {
    const scores = await scoreBehind(model, read, passage.predicted);
    const bits = scores.reduce((sum, value) => sum - value / Math.LN2, 0);
    sums.set(name, (sums.get(name) ?? 0) + bits);
  };
  scored += passage.predicted.length - 1;
  await note("nothing", {});
  const own = await compressor.compress(passage.before);
  const other = await compressor.compress(passages[(at + 1) % passages.length]!.before);
  for (const factor of trained.config.factors) {
    const name = `${before / factor} embeddings of ${before} tokens (factor ${factor})`;
    await note(name, contextRows(own, factor));
  }
  for (const factor of [2, 8]) {
    await note(`the same of another passage (factor ${factor})`, contextRows(other, factor));
  }
  await note(`the ${before} tokens themselves`, { ids: passage.before });
}

const { layers, window, factors } = trained.config;
const values = [...trained.parameters.values()].reduce((sum, { data }) => sum + data.length, 0);
await writeFileAtomically(
  join(target, "README.md"),
  `---
license: apache-2.0
language: en
---

# jeton-compressor

A compressor of ${formatCount(values)} parameters for [jeton-nano](../jeton-nano/README.md), trained with jeton (extensible
tokenization): the form of the model's first ${layers} layers, windows of ${window} tokens, factors ${factors.join(", ")}. The page
of \`jeton studio\` shows with it what a text read as few embeddings keeps. It is small: it keeps of a text its kind
and little of what it says.

It belongs to these weights of jeton-nano, model \`${trained.model.slice(0, 16)}…\`: it is refused for others
(\`compressor-model-differs\`). Should jeton-nano be trained anew, this is as well.

## Data

Only text whose licence allows giving the weights away, in the shares 2, 1, 1:

- Gibbon's *Decline and Fall of the Roman Empire*, public domain, without chapters IX, XXXI and LII;
- generated tasks whose answers stand a window or more before their questions (\`src/reproduce/data/recall-tasks.ts\`);
- passages of the same prose, three times each.

## Training

\`\`\`sh
JETON_DATA=path/to/data scripts/jeton-compressor/train.sh OUT
JETON_DATA=path/to/data node --import tsx scripts/jeton-compressor/publish.ts OUT
\`\`\`

${log.length} steps of 4 samples of 640 tokens, ${formatCount(log.at(-1)!.tokens)} predicted tokens in all, ${minutes.toFixed(0)} minutes on one core; loss
over the last steps ${loss.toFixed(3)} nats a token, of which the tasks and passages are the easy part. Stored as float16.

## Measured

jeton-nano's bits a token on ${scored} tokens of the held-out chapters, behind what it has read before them:

| read before | bits a token |
|---|---:|
${[...sums].map(([name, sum]) => `| ${name} | ${(sum / scored).toFixed(3)} |`).join("\n")}

What embeddings of another passage gain is no knowledge of the text. [The record](../../src/context/extensible-tokenization/README.md)
of this system, made with a compressor that was trained for a shorter time, reproduces none of the paper's claims.

## Use

\`\`\`sh
jeton context pack --compressor models/jeton-compressor/compressor.safetensors book.txt -o book.packed
jeton run --packed-context book.packed "The emperor"
\`\`\`
`,
);
for (const [name, sum] of sums) console.error(name, (sum / scored).toFixed(3));
