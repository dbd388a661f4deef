import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type LoadedModel, loadModel, type WeightFormat } from "../../model/index.ts";
import { complete } from "../generate.ts";
import type { GenerateOptions } from "../types.ts";
import { drafterNames } from "./drafter-names.ts";
import { openDrafter } from "./open-drafter.ts";

const folder = fileURLToPath(new URL("../../../models/jeton-nano", import.meta.url));

const prompts = [
  "The emperor",
  "function add(a: number, b: number) {\n  return a + b;\n}\n\nfunction subtract(",
  "Once upon a time there was a king who had three sons, and the king said to his sons",
  "one two three one two three one two",
  "It was",
];

const samplings: Readonly<Record<string, GenerateOptions>> = {
  greedy: { greedy: true },
  seeded: { temperature: 0.8, topP: 1, topK: 0, seed: 11 },
  nucleus: { temperature: 1, topP: 0.9, topK: 0, seed: 12 },
};

/** Log-probabilities besides the ids: they show the last bit of a logit. */
async function textOf(
  model: LoadedModel,
  prompt: string,
  options: GenerateOptions,
): Promise<{ ids: readonly number[]; logProbabilities: readonly number[] }> {
  const { ids, tokens } = await complete(model, prompt, options);
  return { ids, logProbabilities: tokens.map((token) => token.logProbability) };
}

const all = ["none", ...drafterNames] as const;
const brief = ["none", "auto"] as const;

const formats: readonly WeightFormat[] = ["f32", "int8", "int8-channel", "int4"];

describe.each(formats)("%s: the same seed gives the same text", (format) => {
  test("with every drafter, alone and in company, in chunks of any size", async () => {
    const model = await loadModel(folder, { format, threads: 2, slots: 5, inline: true });
    for (const [kind, sampling] of Object.entries(samplings)) {
      const options = { ...sampling, maxTokens: 20, ignoreEos: true };
      const wanted = [];
      for (const prompt of prompts) wanted.push(await textOf(model, prompt, options));
      // Texts that are all alike would show nothing.
      expect(new Set(wanted.map(({ ids }) => String(ids))).size).toBe(prompts.length);
      for (const name of kind === "nucleus" ? brief : all) {
        const drafter = name === "none" ? undefined : await openDrafter(name, model);
        const asked = { ...options, ...(drafter && { drafter }) };
        for (const [index, prompt] of prompts.entries()) {
          const alone = await textOf(model, prompt, { ...asked, prefillChunk: 3 + index });
          expect([kind, name, "alone", alone]).toEqual([kind, name, "alone", wanted[index]]);
        }
        const company = await Promise.all(prompts.map((prompt) => textOf(model, prompt, asked)));
        expect([kind, name, "company", company]).toEqual([kind, name, "company", wanted]);
        await drafter?.close();
      }
    }
    await model.close();
  }, 600_000);
});
