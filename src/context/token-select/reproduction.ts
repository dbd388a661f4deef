/** Measures token-select on the bundled model beyond its trained window, beside baselines of the same budget. */
import { type ContextPolicy, type LoadedModel, loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  meanOf,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import { blockSelection, fullAttention, sinksWindow } from "../policies/index.ts";
import { randomTokens } from "../policies/reproduction-random.ts";
import {
  compared,
  comparePolicies,
  type PasskeyPrompt,
  passkeyPrompts,
} from "../policies/reproduction-recall.ts";
import { measureCache } from "./reproduction-cache.ts";
import { type AttentionMass, measureMass } from "./reproduction-mass.ts";
import { tokenSelect } from "./token-select.ts";

/** 384 attended tokens, of 1,024 trained ones. */
const budget = { init: 16, local: 112, k: 256 };
const where =
  "passkeys in held-out prose at three times the trained window (jeton-nano, 384 of 3,072 tokens)";

const claims = [
  {
    ...compared,
    id: "beats-window",
    text: `More found than with sinks and a window of the same budget: ${where}`,
    paper: {
      value: 33.01,
      unit: "points",
      compares: "effect",
      setting: "InfiniteBench, Qwen2-7B: 49.08 and 16.07",
    },
    reproduced: 30,
    partly: 10,
    quick: { reproduced: 15, partly: 5 },
  },
  {
    ...compared,
    id: "beats-blocks",
    text: `More found than with blocks of 16 of the same budget: ${where}`,
    paper: {
      value: 17.02,
      unit: "points",
      compares: "effect",
      setting: "InfiniteBench, Qwen2-7B: 49.08, InfLLM 32.06 with more tokens",
    },
    reproduced: 10,
    partly: 2,
    quick: "full-only",
  },
  {
    ...compared,
    id: "beats-full",
    text: `More found than with attention to all tokens: ${where}`,
    paper: {
      value: 25.69,
      unit: "points",
      compares: "effect",
      setting: "InfiniteBench, Llama-3-8B beyond its window: 43.90 and 18.21",
    },
    reproduced: 20,
    partly: 5,
    quick: { reproduced: 10, partly: 2 },
  },
  {
    ...compared,
    id: "soft-vote",
    text: `More found with the soft vote than with the plain sum of scores: ${where}`,
    paper: {
      value: 70,
      unit: "points",
      compares: "effect",
      setting: "R.KV, Qwen2-7B: 86.60 and 16.60",
    },
    reproduced: 10,
    partly: 2,
    quick: "full-only",
  },
  {
    ...compared,
    id: "cache-as-good",
    text: `With the selection cache at 0.9 no fewer found than without: ${where}`,
    paper: { value: -0.24, unit: "points", compares: "effect", setting: "R.KV: 86.60 and 86.84" },
    noWorse: true,
    reproduced: -2,
    partly: -5,
    quick: "full-only",
  },
  {
    ...compared,
    id: "keeps-mass",
    text: "More of full attention's mass on the chosen tokens than on blocks of 16 of the same budget: last token of questions within the trained window, means over heads and layers (jeton-nano, 96 of 900 tokens)",
    paper: { words: "single tokens capture more of the attention than blocks do" },
    unit: "% of the mass",
    reproduced: 2,
    partly: 0.5,
    quick: { reproduced: 1, partly: 0.2 },
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

const policies: Readonly<Record<string, ContextPolicy>> = {
  "token-select": tokenSelect(budget),
  "sinks and window": sinksWindow({ sinks: 16, window: 368 }),
  "blocks of 16": blockSelection({ init: 16, local: 112, block: 16, blocks: 16 }),
  "all tokens": fullAttention(),
  "sum of scores": tokenSelect({ ...budget, vote: "sum" }),
  "hard vote": tokenSelect({ ...budget, vote: "hard" }),
  "with the cache": tokenSelect({ ...budget, cache: 0.9 }),
  "random tokens": randomTokens(budget),
};

const lengths = { shorter: [900, 1536], judged: 3072, counts: [12, 24] } as const;

export const reproduction: Reproduction = defineReproduction({
  system: "token-select",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  run: (context) =>
    context.part(async () => {
      await reportMass(context);
      const beyondTheWindow = [
        ["beats-window", "token-select", "sinks and window"],
        ["beats-full", "token-select", "all tokens"],
      ] as const;
      if (context.quick) return comparePolicies(context, policies, lengths, beyondTheWindow);
      const detail = (model: LoadedModel, prompts: readonly PasskeyPrompt[]) =>
        describeCache(context, model, prompts.slice(0, 20));
      return comparePolicies(context, policies, { ...lengths, detail }, [
        ...beyondTheWindow,
        ["beats-blocks", "token-select", "blocks of 16"],
        ["soft-vote", "token-select", "sum of scores"],
        ["cache-as-good", "with the cache", "token-select"],
      ]);
    }),
});

/** How many choices of the run with the cache were taken from it. */
async function describeCache(
  context: Context,
  model: LoadedModel,
  prompts: readonly PasskeyPrompt[],
): Promise<Record<string, unknown>> {
  const used = await measureCache(context, model, policies["with the cache"]!, prompts);
  const sum = (key: "kept" | "choices"): number => used.reduce((a, own) => a + own[key], 0);
  const [kept, choices] = [sum("kept"), sum("choices")];
  return { cache: { kept, choices, share: Math.round((1000 * kept) / choices) / 10 } };
}

/** A tenth of the text, as little as methods keep of the paper's. */
const tenth = { init: 4, local: 28, k: 64, block: 16 };

async function reportMass(context: Context): Promise<void> {
  await using model = await loadModel(await context.model(), { format: "f32", threads: 1 });
  const asked = { tokens: 900, count: context.quick ? 3 : 40, margin: 60, purpose: "mass" };
  const prompts = await passkeyPrompts(context, model, asked);
  const found = await measureMass(context, model, prompts, tenth);
  const sample = (name: keyof AttentionMass) => meanOf(found.map((own) => 100 * own[name]));
  const mean = (name: keyof AttentionMass): number =>
    found.reduce((sum, own) => sum + own[name], 0) / found.length;
  context.report("keeps-mass", {
    measured: sample("tokens"),
    baseline: sample("blocks"),
    baselineName: "blocks of 16",
    control: sample("random"),
    details: { onFirstAndLatest: mean("always") },
  });
}
