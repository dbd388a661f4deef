/**
 * Puts trained hypernetworks into `models/jeton-hypernetwork` with their card, and measures them:
 *
 *     JETON_DATA=path/to/data node --import tsx scripts/jeton-hypernetwork/publish.ts OUT
 *
 * OUT is what `train.ts` made. Some minutes more, for the rows that are trained for comparison.
 */
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../../src/checkpoint/index.ts";
import { createRandom, formatCount } from "../../src/core/index.ts";
import { type Tokenizer, trainTokenizer } from "../../src/tokenizer/index.ts";
import {
  meanOfSubtokens,
  predictTables,
  readHypernetwork,
  readModelFiles,
  readTokenForms,
  type TransferMethod,
  withTables,
  zett,
} from "../../src/vocabulary/index.ts";
import { adaptAndMeasure, tuneRows } from "../../src/vocabulary/reproduction-measure.ts";
import { gibbonPieces, training } from "./texts.ts";

const [out] = process.argv.slice(2);
if (out === undefined) throw new Error("usage: publish.ts OUT");
const target = "models/jeton-hypernetwork";
await mkdir(target, { recursive: true });
for (const name of ["rows", "corrections"]) {
  await copyFile(join(out, `${name}.safetensors`), join(target, `${name}.safetensors`));
}
const rows = await readHypernetwork(join(target, "rows.safetensors"));
const corrections = await readHypernetwork(join(target, "corrections.safetensors"));
const model = await readModelFiles("models/jeton-nano");
const texts = await gibbonPieces(false);
const heldOut = createRandom(0, "held-out")
  .shuffle(await gibbonPieces(true))
  .slice(0, 60);

const { signal } = new AbortController();
const tuned = await tuneRows(model, {
  ...{ texts, ...training, seed: 1, signal },
  onStep: (step, loss) => {
    if (step % 50 === 0) console.error(`rows: step ${step}, loss ${loss.toFixed(3)}`);
  },
});

/** Bits a byte of the held-out texts under a tokenizer, with rows of a method from a model. */
async function measure(
  from: typeof model,
  tokenizer: Tokenizer,
  method?: TransferMethod,
): Promise<string> {
  const { config, parameters } = method
    ? withTables(from, await predictTables(from.source, readTokenForms(tokenizer), method))
    : { config: from.source.config, parameters: from.parameters };
  const [found] = await adaptAndMeasure(config, parameters, { tokenizer, heldOut });
  const bits = found!.reduce((sum, part) => sum + part.sum, 0);
  return (bits / found!.reduce((sum, part) => sum + part.weight, 0)).toFixed(3);
}

const specialTokens = ["<s>", "</s>"];
const kind = "byte-level-bpe";
const smaller = await trainTokenizer({ kind, vocabSize: 2000, texts, specialTokens });
const larger = await trainTokenizer({ kind, vocabSize: 8000, texts, specialTokens });
const unigram = await trainTokenizer({ kind: "unigram", vocabSize: 3000, texts });
const table: string[] = [];
for (const [name, { tokenizer }] of [
  ["byte-level BPE, 2,000 types", smaller],
  ["Unigram, 3,000 types", unigram],
  ["byte-level BPE, 8,000 types", larger],
] as const) {
  const found = [
    await measure(model, tokenizer, zett(rows)),
    await measure(model, tokenizer, zett(corrections)),
    await measure(model, tokenizer, meanOfSubtokens()),
    await measure(tuned, tokenizer, meanOfSubtokens()),
  ];
  table.push(`| ${[name, ...found].join(" | ")} |`);
  console.error(table.at(-1));
}
const own = await measure(model, model.source.vocabulary.tokenizer);

const { config } = rows;
const count = [...rows.parameters.values()].reduce((sum, { data }) => sum + data.length, 0);
await writeFileAtomically(
  join(target, "README.md"),
  `---
license: apache-2.0
language: en
---

# jeton-hypernetwork

Two hypernetworks of ${formatCount(count)} parameters each for [jeton-nano](../jeton-nano/README.md), trained with jeton (zero-shot
tokenizer transfer): from the model's tokens that spell a token of any tokenizer they predict its rows of the embedding and
of the head. \`rows.safetensors\` is of the published form and predicts whole rows; \`corrections.safetensors\` is ours and
adds to the mean of the spelling's rows. Width ${config.hidden}, ${config.layers} layers: smaller than the reproduction's (width 128), for the sake of
the package. The page of \`jeton studio\` shows with them what the model makes of a tokenizer that is learned from your text.

They belong to these weights of jeton-nano, model \`${rows.model!.slice(0, 16)}…\`: they are refused for others
(\`zett-hypernetwork-foreign\`). Should jeton-nano be trained anew, these are as well.

## Data

Gibbon's *Decline and Fall of the Roman Empire*, public domain, without chapters IX, XXXI and LII.

## Training

\`\`\`sh
JETON_DATA=path/to/data node --import tsx scripts/jeton-hypernetwork/train.ts OUT
JETON_DATA=path/to/data node --import tsx scripts/jeton-hypernetwork/publish.ts OUT
\`\`\`

${training.steps} steps of ${training.batch} texts, each with another sampled vocabulary of 1,024 types; \`rows\` learned the model's own rows
for ${training.steps / 2} steps before. Ten minutes each on one core, the paper's for days. Stored as float16.

## Measured

jeton-nano's bits a byte on ${heldOut.length} texts of the held-out chapters, without any training of the model, which needs ${own} with its
own tokens. The last column is the fair rival: means of rows that were trained on the same text for as many steps.

| unseen tokenizer | \`rows\` (published form) | \`corrections\` (ours) | means of sub-tokens | means of trained rows |
|---|---:|---:|---:|---:|
${table.join("\n")}

[The record](../../src/vocabulary/zett/README.md) of this system was made with larger ones, trained for longer: there the published
form loses to means of trained rows for three of four tokenizers.

## Use

\`\`\`sh
jeton transfer --method zett --hypernetwork models/jeton-hypernetwork/corrections.safetensors \\
  --tokenizer path/to/tokenizer -o moved
\`\`\`
`,
);
