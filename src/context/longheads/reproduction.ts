/** Measures longheads on the bundled model beyond its trained window, beside baselines of the same budget. */
import type { ContextPolicy } from "../../model/index.ts";
import { defineReproduction, type Reproduction } from "../../reproduce/index.ts";
import { fullAttention, sinksWindow } from "../policies/index.ts";
import { randomTokens } from "../policies/reproduction-random.ts";
import { compared, comparePolicies } from "../policies/reproduction-recall.ts";
import { longHeads } from "./longheads.ts";

/** 384 attended tokens of each head, in chunks of 16; the model was trained on 1,024. */
const budget = { chunk: 16, length: 384 };
const where =
  "passkeys in held-out prose at three times the trained window (jeton-nano, 384 of 3,072 tokens a head)";

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
  run: (context) =>
    context.part(() => {
      const lengths = { shorter: [900, 1536], judged: 3072, counts: [24, 80] } as const;
      return comparePolicies(context, policies, lengths, [
        ["beats-full", "longheads", "all tokens"],
        ["beats-window", "longheads", "sinks and window"],
        ["heads-choose", "longheads", "one choice for all heads"],
      ]);
    }),
});
