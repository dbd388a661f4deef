/**
 * Measures what XTR claims of its training and of its scores from retrieved tokens, on encoders of two layers that
 * learn from titles, abstracts and training claims of SciFact: trained by XTR's score and by ColBERT's, from the same weights, on the same
 * batches.
 */
import {
  averageSeeds,
  defineReproduction,
  meanOf,
  type Plot,
  type Reproduction,
  type ReproductionContext,
  type Sample,
  wholeValue,
} from "../../reproduce/index.ts";
import {
  fewCandidates,
  measureBm25,
  measureQuestions,
  moreCandidates,
  type QuestionMeasures,
} from "./reproduction-measures.ts";
import { readCorpus, type Scale, type Scoring, trainAndEmbed } from "./reproduction-training.ts";

const common = { units: "questions", unit: "nDCG@10", effect: "difference" } as const;
const setting = "200 of SciFact's test questions over 500 abstracts, mean of three seeds";
const nextQuestion = "the ranking of the next question";

const claims = [
  {
    ...common,
    id: "retrieves-relevant-tokens",
    text: `Share of the ${fewCandidates} tokens retrieved by a query's token that belong to a relevant abstract, XTR's training against ColBERT's: ${setting}`,
    paper: { words: "tokens of the right document are retrieved more often; a figure, no number" },
    unit: "%",
    direction: "higher",
    control: "the abstracts of the next question taken for relevant",
    reproduced: 0.5,
    partly: 0.1,
    quick: { reproduced: 0.25, partly: 0.05 },
  },
  {
    ...common,
    id: "fewer-copies",
    text: `Share of the ${fewCandidates} retrieved tokens that are the query's token itself, XTR's training against ColBERT's: ${setting}`,
    paper: {
      value: 8,
      unit: "%",
      setting:
        "one example: 8 % of XTR's top 100 tokens equal the query's token, 100 % of ColBERT's",
    },
    unit: "%",
    direction: "lower",
    control: "the encoder before training",
    reproduced: 5,
    partly: 1,
    quick: { reproduced: 2, partly: 0.5 },
  },
  {
    ...common,
    id: "scores-from-retrieved-tokens",
    text: `nDCG@10 from ${fewCandidates} retrieved tokens with imputed scores, XTR's training against ColBERT's: ${setting}`,
    paper: {
      value: 0.097,
      unit: "MRR@10",
      setting: "MS MARCO: 37.4 against 27.7 with the same scores",
    },
    direction: "higher",
    control: nextQuestion,
    reproduced: 0.02,
    partly: 0.005,
    quick: { reproduced: 0.01, partly: 0.002 },
  },
  {
    ...common,
    id: "loses-less-than-colbert",
    text: `nDCG@10 lost by scoring from ${fewCandidates} retrieved tokens instead of all, XTR's training against ColBERT's: ${setting}`,
    paper: { words: "what makes imputed scores usable is the training" },
    direction: "lower",
    control: "missing scores of 0",
    reproduced: 0.02,
    partly: 0.005,
    quick: { reproduced: 0.01, partly: 0.002 },
  },
  {
    ...common,
    id: "imputed-beats-zero",
    text: `XTR's training: nDCG@10 from ${fewCandidates} retrieved tokens, missing scores taken for the last retrieved one, against taken for 0: ${setting}`,
    paper: { words: "imputing the last score is better than 0 (ablation)" },
    direction: "higher",
    control: "missing scores taken for the highest retrieved one",
    reproduced: 0.02,
    partly: 0.005,
    quick: { reproduced: 0.01, partly: 0.002 },
  },
  {
    ...common,
    id: "exact-is-no-worse",
    text: `nDCG@10 by all tokens (MaxSim), XTR's training no worse than ColBERT's by more than 0.02: ${setting}`,
    paper: { words: "MS MARCO: 45.0 against 45.6; BEIR: 49.1 against 46.8" },
    direction: "higher",
    control: nextQuestion,
    noWorse: true,
    reproduced: -0.02,
    partly: -0.04,
    quick: { reproduced: -0.05, partly: -0.1 },
  },
  {
    ...common,
    id: "beyond-bm25",
    text: `nDCG@10 of XTR's training with imputed scores against BM25 (stemmed, without stop words): ${setting}`,
    paper: {
      value: 0.051,
      unit: "nDCG@10",
      compares: "effect",
      setting: "BEIR, a T5 of 12 layers trained on MS MARCO: 49.1 against 44.0",
    },
    direction: "higher",
    control: nextQuestion,
    reproduced: 0.02,
    partly: 0.005,
    quick: "full-only",
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

const full: Scale = {
  seeds: 3,
  steps: 150,
  batch: 24,
  candidates: 64,
  documents: 500,
  queries: 200,
};
/** A quick run. */
export const quickScale: Scale = {
  seeds: 1,
  steps: 15,
  batch: 12,
  candidates: 32,
  documents: 90,
  queries: 24,
};

export const reproduction: Reproduction = defineReproduction({
  system: "xtr",
  module: import.meta.url,
  models: ["jeton-embed"],
  claims,
  async run(context): Promise<Plot> {
    const scale = context.quick ? quickScale : full;
    const corpus = await readCorpus(context, scale);
    const measure = (scoring: Scoring, seed: number): Promise<QuestionMeasures> =>
      context.remember(`questions-${scoring}-${seed}`, { scale }, async () => {
        const embedded = await trainAndEmbed(context, corpus, scale, { scoring, seed });
        context.progress(`asking ${scoring}, seed ${seed}`);
        return measureQuestions(corpus, embedded);
      });
    const seeds = Array.from({ length: scale.seeds }, (_, i) => context.seed + i);
    const measured: Measured = {
      xtr: await measureSeeds(seeds, (seed) => measure("xtr", seed)),
      colbert: await measureSeeds(seeds, (seed) => measure("max-sim", seed)),
      untrained: [await measure("none", context.seed)],
    };
    reportTraining(context, measured);
    reportScores(context, measured, measureBm25(corpus));
    return plotSeeds(measured);
  },
});

/** One entry for each seed. */
interface Measured {
  readonly xtr: readonly QuestionMeasures[];
  readonly colbert: readonly QuestionMeasures[];
  readonly untrained: readonly QuestionMeasures[];
}

async function measureSeeds(
  seeds: readonly number[],
  measure: (seed: number) => Promise<QuestionMeasures>,
): Promise<QuestionMeasures[]> {
  const found: QuestionMeasures[] = [];
  for (const seed of seeds) found.push(await measure(seed));
  return found;
}

/** Mean over seeds, question by question. */
function overSeeds(
  seeds: readonly QuestionMeasures[],
  measure: (measures: QuestionMeasures, question: number) => number,
): number[] {
  const bySeed = seeds.map((measures) =>
    measures.exact.map((_, question) => measure(measures, question)),
  );
  return averageSeeds(bySeed);
}

function sampleOf(seeds: readonly QuestionMeasures[], name: keyof QuestionMeasures): Sample {
  return meanOf(overSeeds(seeds, (measures, question) => measures[name][question]!));
}

/** The value of each seed, for the record. */
function bySeed(seeds: readonly QuestionMeasures[], name: keyof QuestionMeasures): number[] {
  return seeds.map((measures) => wholeValue(meanOf(measures[name])));
}

function reportTraining(context: Context, { xtr, colbert, untrained }: Measured): void {
  const details = (name: keyof QuestionMeasures) => ({
    xtrBySeed: bySeed(xtr, name),
    colbertBySeed: bySeed(colbert, name),
    untrained: bySeed(untrained, name)[0],
  });
  const baselineName = "ColBERT's training";
  context.report("retrieves-relevant-tokens", {
    measured: sampleOf(xtr, "gold"),
    baseline: sampleOf(colbert, "gold"),
    baselineName,
    control: sampleOf(xtr, "goldOfNext"),
    details: details("gold"),
  });
  context.report("fewer-copies", {
    measured: sampleOf(xtr, "copies"),
    baseline: sampleOf(colbert, "copies"),
    baselineName,
    control: sampleOf(untrained, "copies"),
    details: details("copies"),
  });
  context.report("scores-from-retrieved-tokens", {
    measured: sampleOf(xtr, "imputed"),
    baseline: sampleOf(colbert, "imputed"),
    baselineName,
    control: sampleOf(xtr, "imputedForNext"),
    details: details("imputed"),
  });
  const loss = (seeds: readonly QuestionMeasures[], name: "imputed" | "zero"): Sample =>
    meanOf(overSeeds(seeds, (one, question) => one.exact[question]! - one[name][question]!));
  context.report("loses-less-than-colbert", {
    measured: loss(xtr, "imputed"),
    baseline: loss(colbert, "imputed"),
    baselineName,
    control: loss(xtr, "zero"),
  });
}

function reportScores(
  context: Context,
  { xtr, colbert }: Measured,
  bm25: { readonly own: readonly number[]; readonly next: readonly number[] },
): void {
  context.report("imputed-beats-zero", {
    measured: sampleOf(xtr, "imputed"),
    baseline: sampleOf(xtr, "zero"),
    baselineName: "missing scores of 0",
    control: sampleOf(xtr, "first"),
    details: { ofMoreCandidates: bySeed(xtr, "imputedOfMore") },
  });
  context.report("exact-is-no-worse", {
    measured: sampleOf(xtr, "exact"),
    baseline: sampleOf(colbert, "exact"),
    baselineName: "ColBERT's training",
    control: sampleOf(xtr, "exactForNext"),
    details: { xtrBySeed: bySeed(xtr, "exact"), colbertBySeed: bySeed(colbert, "exact") },
  });
  context.report("beyond-bm25", {
    measured: sampleOf(xtr, "imputed"),
    baseline: meanOf(bm25.own),
    baselineName: "BM25",
    control: meanOf(bm25.next),
    details: { exactBySeed: bySeed(xtr, "exact") },
  });
}

function plotSeeds({ xtr, colbert, untrained }: Measured): Plot {
  const ways = {
    "missing 0": "zero",
    [`k' = ${fewCandidates}`]: "imputed",
    [`k' = ${moreCandidates}`]: "imputedOfMore",
    "all tokens": "exact",
  } as const;
  const shares = { relevant: "gold", copies: "copies" } as const;
  const trainings = { XTR: xtr, ColBERT: colbert, untrained };
  const seriesOf = (names: Readonly<Record<string, keyof QuestionMeasures>>) =>
    Object.entries(trainings).map(([name, seeds]) => ({
      name,
      points: Object.entries(names).map(([x, measure]) => ({
        x,
        y: wholeValue(sampleOf(seeds, measure)),
      })),
    }));
  return {
    title: "XTR: what is retrieved, and what it is worth",
    panels: [
      {
        title: "nDCG@10 by what is scored",
        kind: "line",
        x: { title: "", scale: "category" },
        y: { title: "nDCG@10" },
        series: seriesOf(ways),
      },
      {
        title: `The ${fewCandidates} tokens that a query's token retrieves`,
        kind: "line",
        x: { title: "", scale: "category" },
        y: { title: "%", zero: true },
        series: seriesOf(shares),
      },
    ],
  };
}
