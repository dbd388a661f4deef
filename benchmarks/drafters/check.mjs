/**
 * Whether anything but the request changes a text: every drafter, alone and in the company of four other
 * requests, greedy and with a seed, in each format, several runs each, beside the text of no drafter.
 *
 *     node benchmarks/drafters/check.mjs [--prompts 100] [--tokens 48] [--runs 3] [--formats f32,int8,...]
 *       [--model nano|135m|FOLDER] [--drafters none,...,auto] [--kinds prose,...] [--inexact]
 *       [--samplings greedy,seeded,nucleus] [--record FILE] [--cells N] [--part 1/4]
 *
 * Prompts come in equal numbers from each kind. Each run has its own size of prefill chunks. With `--record`,
 * each combination of format, sampling and drafter that is done becomes a line of JSON in a file, and those
 * that stand there already are left out; `--cells` ends after so many. `--part 1/4` takes every fourth
 * prompt from the first on. Exits with 1 if a text differs.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { complete, openDrafter } from "../../dist/generate/index.js";
import { decodingTasks } from "../../dist/generate/measure/reproduction-tasks.js";
import { loadModel } from "../../dist/model/index.js";
import { makeNanoIn135m } from "../nano-in-135m.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const { values } = parseArgs({
  options: {
    prompts: { type: "string", default: "100" },
    tokens: { type: "string", default: "48" },
    runs: { type: "string", default: "3" },
    formats: { type: "string", default: "f32,int8,int8-channel,int4" },
    model: { type: "string", default: "nano" },
    drafters: {
      type: "string",
      default: "none,prompt-lookup,token-recycling,lookahead,aded,dyspec,draft-model,auto",
    },
    kinds: { type: "string", default: "prose,code,recall,answer" },
    inexact: { type: "boolean", default: false },
    samplings: { type: "string", default: "greedy,seeded,nucleus" },
    record: { type: "string" },
    cells: { type: "string", default: "Infinity" },
    part: { type: "string", default: "1/1" },
  },
});
const list = (text) => text.split(",").filter(Boolean);
const kinds = list(values.kinds);
const folders = { nano: join(root, "models/jeton-nano") };
const folder =
  values.model === "135m" ? makeNanoIn135m({}).folder : (folders[values.model] ?? values.model);
const draftModel = join(root, "models/jeton-nano-draft");
const allSamplings = {
  greedy: { temperature: 0 },
  seeded: { temperature: 0.8, topP: 1, topK: 0, seed: 11 },
  nucleus: { temperature: 0.9, topP: 0.9, topK: 0, seed: 12 },
};
const samplings = list(values.samplings).map((kind) => [kind, allSamplings[kind]]);
const chunks = [undefined, 7, 33];
const companySize = 5;

const [part, parts] = values.part.split("/").map(Number);
const all = [];
for (const kind of kinds) {
  const count = Math.ceil(Number(values.prompts) / kinds.length);
  for (const { prompt } of await decodingTasks({ kind, count, seed: 7 })) all.push(prompt);
}
const prompts = all.filter((_, index) => index % parts === part - 1);

/** Groups of prompts that run beside each other, of mixed kinds. */
function groupsOf(size) {
  const groups = Math.ceil(prompts.length / size);
  return Array.from({ length: groups }, (_, group) =>
    prompts.map((_, index) => index).filter((index) => index % groups === group),
  );
}

/** Names of the combinations that were done before. */
const done = new Set();
if (values.record !== undefined && existsSync(values.record)) {
  for (const line of readFileSync(values.record, "utf8").split("\n").filter(Boolean)) {
    const cell = JSON.parse(line);
    done.add(`${cell.part} ${cell.format} ${cell.sampling} ${cell.drafter}`);
  }
}

/** Compares the texts of one drafter with those of none; counts the texts that differ. */
async function checkDrafter(model, drafter, { options, wanted, label }) {
  const counts = { alone: 0, company: 0 };
  for (let run = 0; run < Number(values.runs); run++) {
    const asked = {
      ...options,
      ...(drafter && { drafter }),
      ...(chunks[run % 3] && { prefillChunk: chunks[run % 3] }),
    };
    const check = (index, { ids }, place) => {
      const at = ids.findIndex((id, position) => id !== wanted[index][position]);
      if (at < 0 && ids.length === wanted[index].length) return;
      counts[place]++;
      console.error(`${label} ${place}: prompt ${index} differs at token ${at}`);
    };
    for (const [index, prompt] of prompts.entries()) {
      check(index, await complete(model, prompt, asked), "alone");
    }
    for (const group of groupsOf(companySize)) {
      const results = await Promise.all(
        group.map((index) => complete(model, prompts[index], asked)),
      );
      for (const [place, index] of group.entries()) check(index, results[place], "company");
    }
  }
  return counts;
}

let wrong = 0;
let left = Number(values.cells);
for (const format of list(values.formats)) {
  const open = samplings.flatMap(([sampling]) =>
    list(values.drafters)
      .filter((drafter) => !done.has(`${values.part} ${format} ${sampling} ${drafter}`))
      .map((drafter) => ({ sampling, drafter })),
  );
  if (open.length === 0 || left <= 0) continue;
  const model = await loadModel(folder, { format, slots: companySize, exact: !values.inexact });
  for (const [kind, sampling] of samplings) {
    const drafters = open.filter((cell) => cell.sampling === kind).map((cell) => cell.drafter);
    if (drafters.length === 0 || left <= 0) continue;
    const options = { ...sampling, maxTokens: Number(values.tokens), ignoreEos: true };
    const wanted = [];
    for (const prompt of prompts) wanted.push((await complete(model, prompt, options)).ids);
    for (const name of drafters) {
      if (left-- <= 0) break;
      const drafter = name === "none" ? undefined : await openDrafter(name, model, { draftModel });
      const label = `${format} ${kind} ${name}`;
      const { alone, company } = await checkDrafter(model, drafter, { options, wanted, label });
      await drafter?.close();
      wrong += alone + company;
      const texts = prompts.length * Number(values.runs);
      console.log(
        `${format.padEnd(13)}${kind.padEnd(8)} ${name.padEnd(16)} of ${texts} texts differ: ${alone} alone, ${company} in company`,
      );
      if (values.record === undefined) continue;
      const cell = {
        part: values.part,
        format,
        sampling: kind,
        drafter: name,
        texts,
        alone,
        company,
      };
      appendFileSync(values.record, `${JSON.stringify(cell)}\n`);
    }
  }
  await model.close();
}
process.exitCode = wrong > 0 ? 1 : 0;
