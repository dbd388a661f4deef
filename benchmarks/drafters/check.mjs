/**
 * Whether drafts change anything: greedy texts of every drafter beside plain decoding, in full.
 *
 *     node benchmarks/drafters/check.mjs [--prompts 200] [--tokens 48] [--format f32] [--model M]
 *       [--drafters ...] [--kinds ...] [--batch-invariant]
 *
 * A text that differs counts as wrong unless the two best logits of plain decoding lie less than 1e-3
 * apart where it first does. Exits with 1 if one is wrong.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { complete, openDrafter } from "../../dist/generate/index.js";
import { decodingTasks } from "../../dist/generate/measure/reproduction-tasks.js";
import { loadModel } from "../../dist/model/index.js";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const { values } = parseArgs({
  options: {
    prompts: { type: "string", default: "200" },
    tokens: { type: "string", default: "48" },
    format: { type: "string", default: "f32" },
    model: { type: "string", default: join(root, "models/jeton-nano") },
    drafters: {
      type: "string",
      default: "prompt-lookup,token-recycling,lookahead,aded,dyspec,draft-model",
    },
    kinds: { type: "string", default: "prose,code,recall,answer" },
    "batch-invariant": { type: "boolean", default: false },
  },
});
const model = await loadModel(values.model, {
  format: values.format,
  slots: 2,
  batchInvariant: values["batch-invariant"],
});
const options = {
  temperature: 0,
  maxTokens: Number(values.tokens),
  ignoreEos: true,
};
const draftModel = join(root, "models/jeton-nano-draft");
let wrong = 0;
const drafters = [];
for (const name of values.drafters.split(",")) {
  drafters.push({ name, drafter: await openDrafter(name, model, { draftModel }) });
}
for (const kind of values.kinds.split(",")) {
  const counts = new Map(drafters.map(({ name }) => [name, { equal: 0, close: 0, wrong: 0 }]));
  for (const { prompt } of await decodingTasks({ kind, count: Number(values.prompts), seed: 7 })) {
    const plain = await complete(model, prompt, { ...options, topLogProbabilities: 2 });
    for (const { name, drafter } of drafters) {
      const { ids } = await complete(model, prompt, { ...options, drafter });
      const count = counts.get(name);
      const at = ids.findIndex((id, index) => id !== plain.ids[index]);
      if (at < 0 && ids.length === plain.ids.length) {
        count.equal++;
        continue;
      }
      const [first, second] = plain.tokens[at]?.topLogProbabilities ?? [];
      const gap = first && second ? first.logProbability - second.logProbability : Infinity;
      if (gap < 1e-3) count.close++;
      else count.wrong++;
      console.error(`${kind}, ${name}: differs at token ${at}, gap of the best two ${gap}`);
    }
  }
  for (const [name, count] of counts) {
    wrong += count.wrong;
    console.log(
      `${kind.padEnd(7)} ${name.padEnd(16)} ${count.equal} identical, ${count.close} after a tie, ${count.wrong} wrong`,
    );
  }
}
for (const { drafter } of drafters) await drafter.close();
await model.close();
process.exitCode = wrong > 0 ? 1 : 0;
