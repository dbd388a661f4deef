/** Measures longheads on the bundled model beyond its trained window, beside baselines of the same budget. */
import { type ContextPolicy, loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  meanOf,
  type Plot,
  type Reproduction,
  type ReproductionContext,
  type Sample,
} from "../../reproduce/index.ts";
import { fullAttention, sinksWindow } from "../policies/index.ts";
import { randomTokens } from "../policies/reproduction-random.ts";
import { measureLengths, percent } from "../policies/reproduction-recall.ts";
import { longHeads } from "./longheads.ts";

/** 384 attended tokens of each head, in chunks of 16; the model was trained on 1,024. */
const budget = { chunk: 16, length: 384 };
const where =
  "passkeys in held-out prose at three times the trained window (jeton-nano, 384 of 3,072 tokens a head)";

const compared = {
  unit: "% of questions",
  units: "questions",
  control: "as many random tokens in each layer",
  direction: "higher",
  effect: "difference",
} as const;

const claims = [
  {
    ...compared,
    id: "beats-full",
    text: `More found than with attention to all tokens: ${where}`,
    paper: {
      value: 94,
      unit: "points",
      compares: "effect",
      setting: "passkeys at 16K, Llama-2-7B (4K): about 0.94 and 0, read from a plot",
    },
    reproduced: 30,
    partly: 10,
    quick: { reproduced: 15, partly: 5 },
  },
  {
    ...compared,
    id: "beats-window",
    text: `More found than with sinks and a window of the same budget: ${where}`,
    paper: { words: "better than other methods with restricted attention" },
    reproduced: 30,
    partly: 10,
    quick: { reproduced: 15, partly: 5 },
  },
  {
    ...compared,
    id: "heads-choose",
    text: `More found where each head picks its own chunks than where the heads of a layer share theirs: ${where}`,
    paper: { words: "heads of one layer choose different chunks" },
    reproduced: 10,
    partly: 2,
    quick: { reproduced: 5, partly: 1 },
  },
] as const;

type Id = (typeof claims)[number]["id"];
type Context = ReproductionContext<Id>;

const policies: Readonly<Record<string, ContextPolicy>> = {
  longheads: longHeads(budget),
  "one choice for all heads": longHeads({ ...budget, perHead: false }),
  "sinks and window": sinksWindow({ sinks: 16, window: 368 }),
  "all tokens": fullAttention(),
  "random tokens": randomTokens({ init: 16, local: 112, k: 256 }),
};

export const reproduction: Reproduction = defineReproduction({
  system: "longheads",
  module: import.meta.url,
  claims,
  run: (context) => context.part(() => measure(context)),
});

async function measure(context: Context): Promise<Plot> {
  await using model = await loadModel(await context.model(), { format: "f32" });
  const { quick } = context;
  const judged = quick ? 1536 : 3072;
  const lengths = quick
    ? [{ tokens: judged, count: 5 }]
    : [900, 1536, judged].map((tokens) => ({ tokens, count: tokens === judged ? 80 : 24 }));
  const measured = { lengths, judged, margin: 120 };
  const {
    judged: found,
    byLength,
    plot,
  } = await measureLengths(context, model, policies, measured);
  const sample = (name: string): Sample => meanOf(percent(found.get(name)!));
  const pairs: readonly (readonly [Id, string])[] = [
    ["beats-full", "all tokens"],
    ["beats-window", "sinks and window"],
    ["heads-choose", "one choice for all heads"],
  ];
  for (const [id, baseline] of pairs) {
    context.report(id, {
      measured: sample("longheads"),
      baseline: sample(baseline),
      baselineName: baseline,
      control: sample("random tokens"),
      details: { tokens: judged, byLength },
    });
  }
  return plot;
}
