/**
 * Puts a trained model into `models/` with its card:
 *
 *     node --import tsx scripts/jeton-nano/publish.ts models/NAME DATA REPORT RUN...
 *
 * DATA is what `prepare.ts` made, REPORT what `evaluate.ts` printed, RUN the folders of the stages in
 * their order; the model is that of the last one. With `--goes-on` in place of the first RUN the stages
 * went on from the model that stands there: `training.json` beside it remembers what came before.
 */
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { writeFileAtomically } from "../../src/checkpoint/index.ts";
import { calibrateFilterLayer, needlePrompts, saveFilterLayer } from "../../src/context/index.ts";
import { formatCount } from "../../src/core/index.ts";
import { loadModel } from "../../src/model/index.ts";
import { type LogEntry, renderLossCurve } from "../../src/train/index.ts";

interface Report {
  readonly heldOutBytes: number;
  readonly bitsPerByte: Readonly<Record<string, number>>;
  readonly questions: number;
  readonly recall: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

interface Stage {
  readonly entries: readonly LogEntry[];
  readonly settings: { readonly sequenceLength: number; readonly batch: number };
}

/** What the card tells of a training, and a later one adds to. */
interface Training {
  /** One line for each stage. */
  readonly stages: readonly string[];
  readonly tokens: number;
  readonly seconds: number;
  /** Files of the loss curves. */
  readonly curves: readonly string[];
}

const [out, data, reportFile, ...rest] = process.argv.slice(2);
const goesOn = rest[0] === "--goes-on";
const runs = goesOn ? rest.slice(1) : rest;
if (out === undefined || data === undefined || reportFile === undefined || runs.length === 0) {
  throw new Error("usage: publish.ts models/NAME DATA REPORT [--goes-on] RUN...");
}
const name = basename(out);
const readJson = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, "utf8"));
const report = (await readJson(reportFile)) as Report;
const { licences } = (await readJson(join(data, "sources.json"))) as {
  licences: Record<string, string>;
};
const stages = await Promise.all(runs.map(readStage));
const trainingFile = join(out, "training.json");
const before: Training = goesOn
  ? ((await readJson(trainingFile)) as Training)
  : { stages: [], tokens: 0, seconds: 0, curves: [] };
const curve = goesOn ? `loss-${before.stages.length + 1}.svg` : "loss.svg";
const training: Training = {
  stages: [
    ...before.stages,
    ...stages.map(
      ({ entries, settings }) =>
        `${entries.length} steps of ${settings.batch} sequences of ${settings.sequenceLength} tokens`,
    ),
  ],
  tokens: stages.reduce((sum, { entries }) => sum + entries.at(-1)!.tokens, before.tokens),
  seconds: stages.reduce(
    (sum, { entries }) => sum + entries.reduce((s, e) => s + e.seconds, 0),
    before.seconds,
  ),
  curves: [...before.curves, curve],
};
const model = join(runs.at(-1)!, "model");

await mkdir(out, { recursive: true });
for (const file of [
  "model.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
  "config.json",
]) {
  await copyFile(join(model, file), join(out, file));
}
const generation = (await readJson(join(model, "generation_config.json"))) as Record<
  string,
  unknown
>;
await writeFileAtomically(
  join(out, "generation_config.json"),
  `${JSON.stringify({ ...generation, do_sample: true, temperature: 0.7, top_p: 0.9 }, null, 2)}\n`,
);
await copyFile(join(data, "sources.json"), join(out, "sources.json"));
await writeFileAtomically(join(out, curve), renderLossCurve(joinStages(), name));
await writeFileAtomically(trainingFile, `${JSON.stringify(training, null, 2)}\n`);
await writeFileAtomically(join(out, "README.md"), await writeCard());
if (looksUp()) await calibrate();

/** The filter layer of gemfilter is a property of these weights. */
async function calibrate(): Promise<void> {
  await using loaded = await loadModel(out!);
  const tokens = Math.min(1024, loaded.contextLength);
  const prompts = needlePrompts(loaded.tokenizer, { tokens, count: 20 });
  const { layer } = await calibrateFilterLayer(loaded, prompts, { k: 96 });
  await saveFilterLayer(out!, layer);
}

async function readStage(run: string): Promise<Stage> {
  const log = await readFile(join(run, "log.jsonl"), "utf8");
  const entries = log
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as LogEntry);
  return { entries, settings: (await readJson(join(run, "run.json"))) as Stage["settings"] };
}

/** The stages as one curve. */
function joinStages(): LogEntry[] {
  let before = 0;
  return stages.flatMap(({ entries }) => {
    const moved = entries.map((entry) => ({ ...entry, step: entry.step + before }));
    before += entries.length;
    return moved;
  });
}

/** Whether the model looks things up, which its training meant it to. */
function looksUp(): boolean {
  return Math.max(...Object.values(report.recall["key-value"]!)) >= 0.5;
}

function recallNote(): string {
  return looksUp()
    ? "It looks up\nnames and numbers that stand in its context (below, by how they are told and asked for)."
    : "It does\n**not** look up names and numbers that stand in its context (below).";
}

async function writeCard(): Promise<string> {
  const config = (await readJson(join(model, "config.json"))) as Record<string, number>;
  const parameters = (await readFile(join(model, "model.safetensors"))).length / 2;
  const hours = training.seconds / 3600;
  const { bitsPerByte, recall, questions, heldOutBytes } = report;
  const distances = Object.keys(Object.values(recall)[0]!);
  const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
  const names: Record<string, string> = {
    model: name,
    gzip: "gzip -9",
    xz: "xz -9e",
    xzAfterTraining: "xz -9e that has seen the training prose first",
    ngramOfBytes: "order-5 n-gram of bytes (Kneser-Ney, same training prose, goes on learning)",
    ngramOfTokens:
      "order-5 n-gram of the same tokens (Kneser-Ney, same training prose, goes on learning)",
  };
  return `---
license: apache-2.0
language: en
---

# ${name}

A decoder-only language model of ${formatCount(parameters)} parameters (Llama family, ${config["num_hidden_layers"]} layers of width
${config["hidden_size"]}, ${config["vocab_size"]} tokens, context ${config["max_position_embeddings"]}), trained by jeton itself on two CPU cores in ${hours.toFixed(1)} hours.
It comes with the package so that everything works straight after the install. It writes English in the
manner of its prose and TypeScript that looks like TypeScript; it knows nothing of the world and is no
assistant. ${recallNote()}

## Data

Only text whose licence allows giving the weights away:

- public-domain prose: Gibbon's *Decline and Fall of the Roman Empire* without its notes and without
  chapters IX, XXXI and LII, which are held out; Shakespeare; Natsume's *Botchan*;
- TypeScript and documents of ${Object.keys(licences).length} packages under permissive licences ([list](sources.json)), and jeton's own
  sources;
- generated tasks that can only be solved by looking back: pairs to recall, passkeys, lists, copies, in wordings that are
  made anew for every document (\`src/reproduce/data/recall-tasks.ts\`), and classes that are shown by examples
  (\`src/reproduce/data/label-tasks.ts\`);
- the same prose and code with a gap, prefix, suffix and middle between the tokens of fill-in-the-middle prompts.

Made by \`scripts/jeton-nano/prepare.ts\`.

## Training

\`\`\`sh
JETON_DATA=path/to/data node --import tsx scripts/jeton-nano/prepare.ts OUT
scripts/jeton-nano/train.sh OUT
JETON_DATA=path/to/data node --import tsx scripts/jeton-nano/prepare.ts ON --composed
scripts/jeton-nano/continue.sh ON OUT
\`\`\`

${training.stages.map((line) => `- ${line}`).join("\n")}

${formatCount(training.tokens)} tokens in all, AdamW. The heads that find an earlier occurrence of the present token were
planted in the first weights (\`src/train/graph/induction-heads.ts\`): from ordinary first weights none had formed after
eight million tokens, and the same model recalled nothing.

${training.curves.map((file) => `![loss curve](${file})`).join("\n")}

## Measured

Bits per byte on ${heldOutBytes} bytes of held-out prose:

| | bits per byte |
|---|---:|
${Object.entries(bitsPerByte)
  .map(([key, value]) => `| ${names[key] ?? key} | ${value.toFixed(3)} |`)
  .join("\n")}

Questions about the context answered to the letter (greedy, ${questions} questions a cell, names and numbers
drawn anew, by the length of the whole prompt):

| | ${distances.join(" | ")} |
|---|${distances.map(() => "---:").join("|")}|
${Object.entries(recall)
  .map(
    ([kind, shares]) =>
      `| ${kind} | ${distances.map((distance) => percent(shares[distance]!)).join(" | ")} |`,
  )
  .join("\n")}

\`scripts/jeton-nano/evaluate.ts\` measures both anew.

## Licence

Apache-2.0.
`;
}
