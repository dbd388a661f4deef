/** Drafters on sparse decoders: drafted text is the text of autoregressive decoding, in every format. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LoadedModel, loadModel, type WeightFormat } from "../../model/index.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { complete } from "../generate.ts";
import type { GenerateOptions } from "../types.ts";
import { drafterNames } from "./drafter-names.ts";
import { openDrafter } from "./open-drafter.ts";

const tokenizer = join(bundledModel, "tokenizer.json");
/** Separate experts, experts beside a shared one in every second layer, stacked ones, MXFP4 with sinks. */
const families = ["mixtral", "qwen2-moe", "granitemoe", "gpt-oss-mxfp4"] as const;
const subjects: readonly [(typeof families)[number], WeightFormat][] = [
  ["mixtral", "f32"],
  ["mixtral", "int8-channel"],
  ["qwen2-moe", "int8"],
  ["granitemoe", "int4"],
  ["gpt-oss-mxfp4", "f32"],
  ["gpt-oss-mxfp4", "int8"],
];

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jeton-sparse-drafts-"));
  const small = { vocabulary: 4099, tokenizer };
  for (const [index, family] of families.entries()) {
    createRandomCheckpoint(join(folder, family), { family, seed: 20 + index, layers: 2, ...small });
  }
  const draft = { family: "llama", seed: 9, layers: 1, ...small };
  createRandomCheckpoint(join(folder, "draft"), draft);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const prompts = ["one two three one two three one two", "The emperor"];
const samplings: readonly GenerateOptions[] = [
  { greedy: true },
  { temperature: 0.4, topK: 3, topP: 1, seed: 11 },
];

interface DraftedText {
  readonly ids: readonly number[];
  readonly logProbabilities: readonly number[];
  /** Draft tokens. */
  readonly accepted: number;
}

async function textOf(
  model: LoadedModel,
  prompt: string,
  options: GenerateOptions,
): Promise<DraftedText> {
  const { ids, tokens, drafting } = await complete(model, prompt, options);
  const logProbabilities = tokens.map(({ logProbability }) => logProbability);
  return { ids, logProbabilities, accepted: drafting?.accepted ?? 0 };
}

test.each(subjects)(
  "%s in %s: every drafter gives the text that none gives, bit for bit",
  async (family, format) => {
    const options = { format, threads: 1, inline: true, slots: 3, onWarning() {} } as const;
    await using model = await loadModel(join(folder, family), options);
    await using draftModel = await loadModel(join(folder, "draft"), { ...options, format: "f32" });
    const useful = new Set<string>();
    for (const sampling of samplings) {
      const asked = { ...sampling, maxTokens: 20, ignoreEos: true };
      const wanted = await Promise.all(prompts.map((prompt) => textOf(model, prompt, asked)));
      expect(wanted[0]!.ids).not.toEqual(wanted[1]!.ids);
      for (const name of drafterNames) {
        const drafter = await openDrafter(name, model, { draftModel });
        // The second time the drafter knows the texts.
        for (const company of [false, true]) {
          const run = (prompt: string): Promise<DraftedText> =>
            textOf(model, prompt, { ...asked, drafter });
          const found = company ? await Promise.all(prompts.map(run)) : [];
          if (!company) for (const prompt of prompts) found.push(await run(prompt));
          for (const [at, { accepted, ...text }] of found.entries()) {
            expect([name, company, text]).toMatchObject([name, company, { ids: wanted[at]!.ids }]);
            expect(text.logProbabilities).toEqual(wanted[at]!.logProbabilities);
            if (accepted > 0) useful.add(name);
          }
        }
        await drafter.close();
      }
    }
    // Drafts that are never accepted would show nothing.
    expect(useful.size).toBeGreaterThan(3);
  },
);
