/**
 * Whether anything but the request changes a text: every drafter, alone and in the company of four other
 * requests, greedy and with a seed, in each format, several runs each, beside the text of no drafter.
 *
 *     node benchmarks/drafters/check.mjs [--prompts 100] [--tokens 48] [--runs 3] [--formats f32,int8,...]
 *       [--model nano|135m|FOLDER] [--drafters none,...,auto] [--kinds prose,...] [--inexact]
 *
 * Prompts come in equal numbers from each kind. Each run has its own size of prefill chunks. Exits with 1 if a
 * text differs.
 */
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
  },
});
const list = (text) => text.split(",").filter(Boolean);
const kinds = list(values.kinds);
const folders = { nano: join(root, "models/jeton-nano") };
const folder =
  values.model === "135m" ? makeNanoIn135m({}).folder : (folders[values.model] ?? values.model);
const draftModel = join(root, "models/jeton-nano-draft");
const samplings = {
  greedy: { temperature: 0 },
  seeded: { temperature: 0.8, topP: 1, topK: 0, seed: 11 },
  nucleus: { temperature: 0.9, topP: 0.9, topK: 0, seed: 12 },
};
const chunks = [undefined, 7, 33];
const companySize = 5;

const prompts = [];
for (const kind of kinds) {
  const count = Math.ceil(Number(values.prompts) / kinds.length);
  for (const { prompt } of await decodingTasks({ kind, count, seed: 7 })) prompts.push(prompt);
}

/** Groups of prompts that run beside each other, of mixed kinds. */
function groupsOf(size) {
  const groups = Math.ceil(prompts.length / size);
  return Array.from({ length: groups }, (_, group) =>
    prompts.map((_, index) => index).filter((index) => index % groups === group),
  );
}

let wrong = 0;
for (const format of list(values.formats)) {
  const model = await loadModel(folder, { format, slots: companySize, exact: !values.inexact });
  const drafters = new Map();
  for (const name of list(values.drafters)) {
    drafters.set(
      name,
      name === "none" ? undefined : await openDrafter(name, model, { draftModel }),
    );
  }
  for (const [kind, sampling] of Object.entries(samplings)) {
    const options = { ...sampling, maxTokens: Number(values.tokens), ignoreEos: true };
    const wanted = [];
    for (const prompt of prompts) wanted.push((await complete(model, prompt, options)).ids);
    for (const [name, drafter] of drafters) {
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
          console.error(
            `${format} ${kind} ${name} ${place}: prompt ${index} differs at token ${at}`,
          );
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
      wrong += counts.alone + counts.company;
      const texts = prompts.length * Number(values.runs);
      console.log(
        `${format.padEnd(13)}${kind.padEnd(8)} ${name.padEnd(16)} of ${texts} texts differ: ${counts.alone} alone, ${counts.company} in company`,
      );
    }
  }
  for (const drafter of drafters.values()) await drafter?.close();
  await model.close();
}
process.exitCode = wrong > 0 ? 1 : 0;
