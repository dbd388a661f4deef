/**
 * Measures dynamic tokenization: how much shorter sequences get and what reading them costs a frozen
 * model, and how well an index finds the next token in a vocabulary of a million.
 */
import { loadModel } from "../../model/index.ts";
import { defineReproduction, halfOf, type Plot, type Reproduction } from "../../reproduce/index.ts";
import { type IndexUse, indexPanel, measureIndex } from "./reproduction-index.ts";
import { measureLengths } from "./reproduction-lengths.ts";
import { measureReading } from "./reproduction-reading.ts";

const left = { reproduced: 90, partly: 60 };
const reading = {
  units: "paragraphs",
  unit: "%",
  direction: "higher",
  control: "rows of other tokens, drawn at random",
} as const;

const claims = [
  {
    id: "shorter-sequences",
    text: "Tokens saved when merging up to whole words, mean over 11 languages of Parallel UD with the multilingual tokenizer o200k, batches of 32 (merging alone: no model reads them; `reduction-within-loss` has the loss as well)",
    paper: {
      value: 20,
      unit: "%",
      compares: "measured",
      setting: "more than, on average over 14 languages of XNLI, XLM-R, at less than 2 % loss",
    },
    units: "languages",
    control: "a single merge a batch",
    unit: "%",
    direction: "higher",
    effect: "value",
    noEffect: 0,
    reproduced: 20,
    partly: 10,
    quick: { reproduced: 15, partly: 5 },
  },
  {
    id: "worse-served-more",
    text: "Tokens saved with 100 merges, GPT-2's tokenizer, batches of 32: Korean against English",
    paper: { words: "the more a tokenizer cuts a language apart, the more there is to gain" },
    units: "sentences",
    control: "English sentences with the words of each shuffled",
    unit: "%",
    direction: "higher",
    effect: "difference",
    reproduced: 10,
    partly: 2,
    quick: { reproduced: 5, partly: 1 },
  },
  {
    id: "calibrated-budget",
    text: "A budget of merges found on other text for 40 % of the possible reduction: distance of what it reaches from 40 % (German, in which there is enough to merge)",
    paper: { words: "budgets are found on one part of the data and used on the other" },
    units: "batches of 32 sentences",
    control: "the budget of English, found in the same way",
    unit: "points",
    direction: "lower",
    effect: "value",
    noEffect: 40,
    reproduced: 5,
    partly: 10,
    quick: { reproduced: 10, partly: 15 },
  },
  {
    id: "reduction-within-loss",
    text: "Most tokens of prompts saved at less than 2 % more bits on their continuations (jeton-nano, paragraphs of three held-out chapters of Gibbon merged as one batch, five budgets; rows predicted by a hypernetwork of the published form that was trained on merged batches)",
    paper: {
      value: 20,
      unit: "%",
      compares: "measured",
      setting: "more than, at less than 2 % loss; encoders; 17 % for decoders",
    },
    ...reading,
    effect: "value",
    noEffect: 0,
    reproduced: 20,
    partly: 10,
    quick: { reproduced: 15, partly: 5 },
  },
  {
    id: "reading-merged-prompts",
    text: "Share of what a prompt is worth that is left at 40 % of the possible reduction: bits that the prompt saves on its continuation, merged against not merged; rows and texts as before",
    paper: { words: "almost unchanged up to 40 % (Mistral-7B with a hypernetwork)" },
    ...reading,
    effect: "value",
    noEffect: 0,
    ...left,
    quick: halfOf(left, 0),
  },
  {
    id: "ours-reading",
    text: "Ours: the same with a hypernetwork that corrects means of sub-tokens, as long trained",
    paper: { words: "not in the paper" },
    ...reading,
    effect: "value",
    noEffect: 0,
    ...left,
    quick: halfOf(left, 0),
  },
  {
    id: "reading-with-means",
    text: "The same with rows that are means of sub-tokens, the paper's baseline",
    paper: { words: "the hypernetwork's baseline" },
    ...reading,
    effect: "value",
    noEffect: 0,
    ...left,
    quick: halfOf(left, 0),
  },
  {
    id: "rows-matter",
    text: "The same after prompts merged up to whole words: predicted rows (published form) against means of sub-tokens",
    paper: { words: "predicted rows are what makes merging possible" },
    ...reading,
    effect: "difference",
    reproduced: 5,
    partly: 1,
    quick: { reproduced: 2, partly: 0.5 },
  },
  {
    id: "ours-rows-matter",
    text: "Ours: corrected means against means, after prompts merged up to whole words",
    paper: { words: "not in the paper" },
    ...reading,
    effect: "difference",
    reproduced: 5,
    partly: 1,
    quick: { reproduced: 2, partly: 0.5 },
  },
  {
    id: "index-recall",
    text: "Among queries whose best token is new: the best of all tokens is among the 20 that the index gives when it looks into 2 % of its groups, besides the longest 2 % of the rows (queries: hidden states of jeton-nano after held-out text in longest tokens; vocabulary: the model's own grown by byte-pair encoding over the data folder's texts, up to a million; rows predicted by the published form)",
    paper: { words: "generation through an approximate index is possible; no recall is reported" },
    units: "queries",
    control: "the answers to the next query",
    unit: "%",
    direction: "higher",
    effect: "value",
    noEffect: 0,
    reproduced: 90,
    partly: 70,
    quick: "full-only",
  },
  {
    id: "index-speed",
    text: "Time of a search of all rows beside that of the index at that setting, one thread; all rows by whichever is faster, a loop like the index's or the engine's product",
    paper: { words: "fast generation with a vocabulary of a million; no such ratio is reported" },
    units: "queries",
    control: "a loop over all rows",
    unit: "ms",
    direction: "lower",
    effect: "ratio",
    reproduced: 5,
    partly: 2,
    quick: "full-only",
    speed: true,
  },
] as const;

export const reproduction: Reproduction = defineReproduction({
  system: "dynamic-tokenization",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  async run(context): Promise<Plot> {
    const curves = await measureLengths(context);
    let uses: readonly IndexUse[] = [];
    await context.part(async () => {
      await using model = await loadModel(await context.model(), { format: "f32" });
      const hypernetwork = await measureReading(context, model);
      if (!context.quick) uses = await measureIndex(context, model, hypernetwork);
    });
    return {
      title: "Sequences under dynamic tokenization",
      panels: [
        {
          title: "tokens of a sentence, GPT-2's tokenizer, batches of 32",
          kind: "line",
          x: { title: "merges", scale: "category" },
          y: { title: "tokens", zero: true },
          series: [...curves].map(([name, points]) => ({ name, points })),
        },
        ...(uses.length === 0 ? [] : [indexPanel(uses)]),
      ],
    };
  },
});
