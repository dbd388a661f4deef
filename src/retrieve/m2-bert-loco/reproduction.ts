/**
 * What the M2-BERT paper claims, at the scale of encoders that train in minutes: how much truncation costs, what a long
 * context adds, and which loss bears small batches; on QMSum's meetings, beside BM25.
 */
import { readText } from "../../checkpoint/files/read-text.ts";
import { createRandom } from "../../core/index.ts";
import { truncateDocuments } from "../../evaluate/loco/loco.ts";
import { makeMeetingTask } from "../../evaluate/loco/meetings.ts";
import { createBm25Ranker } from "../../evaluate/ranking/rankers.ts";
import {
  averageSeeds,
  defineReproduction,
  meanOf,
  type Reproduction,
  type ReproductionContext,
  wholeValue,
} from "../../reproduce/index.ts";
import { askedFiles, learnedFiles, makeSegmentTask } from "./reproduction-task.ts";
import {
  type Arm,
  type Prepared,
  prepareTrainings,
  pretrain,
  type Sizes,
  scoreEncoder,
  scoresOf,
  trainArm,
} from "./reproduction-training.ts";

const common = { units: "queries", unit: "nDCG@10", direction: "higher" } as const;

const claims = [
  {
    ...common,
    id: "truncation-destroys",
    text: "nDCG@10 of BM25 over whole meetings of QMSum (135, asked by 481 reference summaries), less that over their first 128 words",
    paper: {
      value: 0.244,
      unit: "nDCG@10",
      compares: "effect",
      setting: "LoCoV1, M2-BERT with 32k tokens and with 128",
    },
    control: "whole meetings under the names of others",
    effect: "difference",
    reproduced: 0.4,
    partly: 0.1,
    quick: { reproduced: 0.4, partly: 0.1 },
  },
  {
    ...common,
    id: "long-context-helps",
    text: "nDCG@10 of a small Monarch Mixer over segments of meetings of about 500 tokens, less that of the same encoder trained and asked with their first 64 tokens (mean of all seeds)",
    paper: {
      value: 0.244,
      unit: "nDCG@10",
      compares: "effect",
      setting: "LoCoV1, 32k tokens and 128",
    },
    control: "the vectors of other segments",
    effect: "difference",
    reproduced: 0.05,
    partly: 0.01,
    quick: "full-only",
  },
  {
    ...common,
    id: "projection-loss-small-batches",
    text: "The same with the orthogonal projection loss in batches of two, less that with the softmax over the batch's two documents (as many documents in all, each at its best rate)",
    paper: {
      value: 0.243,
      unit: "nDCG@10",
      compares: "effect",
      setting: "LoCoV1 at 32k tokens, batch 1 and 2",
    },
    control: "the vectors of other segments",
    effect: "difference",
    reproduced: 0.05,
    partly: 0.01,
    quick: "full-only",
  },
  {
    ...common,
    id: "better-than-bm25",
    text: "nDCG@10 of that encoder, less that of BM25 on the same segments",
    paper: {
      value: 0.148,
      unit: "nDCG@10",
      compares: "effect",
      setting: "LoCoV1, 94.7 and 79.9; 91.1 by the paper's own table",
    },
    control: "the vectors of other segments",
    effect: "difference",
    reproduced: 0.05,
    partly: 0.005,
    quick: { reproduced: 0.05, partly: 0.005 },
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

const fullSizes: Sizes = {
  seeds: 3,
  hiddenSize: 64,
  layers: 2,
  vocabSize: 2000,
  masked: 128,
  long: 512,
  short: 64,
  words: 320,
  maskedSteps: 300,
  steps: 180,
  negatives: 4,
  rates: [2e-3, 5e-4],
  meetings: 41,
  documents: 250,
  queries: 150,
};

/** A quick run. */
export const quickSizes: Sizes = {
  ...fullSizes,
  seeds: 1,
  vocabSize: 1500,
  long: 256,
  words: 150,
  masked: 64,
  maskedSteps: 20,
  steps: 20,
  rates: [2e-3],
  meetings: 6,
  documents: 80,
  queries: 30,
};

const bm25 = createBm25Ranker("BM25");

export const reproduction: Reproduction = defineReproduction({
  system: "m2-bert-loco",
  module: import.meta.url,
  claims,
  async run(context) {
    const files = await Promise.all([...askedFiles, ...learnedFiles].map(context.data));
    const texts = await Promise.all(files.map(readText));
    const asked = texts.slice(0, askedFiles.length);
    await reportTruncation(context, texts);
    const sizes = context.quick ? quickSizes : fullSizes;
    const { words, documents, queries } = sizes;
    const task = makeSegmentTask(asked, { words, seed: context.seed, documents, queries });
    const learned = texts
      .slice(askedFiles.length)
      .map((text) => text.split("\n").slice(0, sizes.meetings).join("\n"));
    const prepared = await prepareTrainings(context, sizes, { learned, task });
    const lexical = await scoresOf(task, bm25);
    const measured = await measureArms(context, prepared);
    reportArms(context, prepared, { lexical, measured });
    return {
      title: "Segments of meetings asked by summaries",
      panels: [
        {
          title: "nDCG@10",
          kind: "bar",
          x: { title: "ranker", scale: "category" },
          y: { title: "nDCG@10" },
          series: [
            {
              name: "mean over queries",
              points: [
                { x: "BM25", y: mean(lexical) },
                ...[...measured].map(([name, { scores }]) => ({ x: name, y: mean(scores) })),
              ],
            },
          ],
        },
      ],
    };
  },
});

/** BM25 over whole meetings and over their beginnings. */
async function reportTruncation(context: Context, texts: readonly string[]): Promise<void> {
  const asked = askedFiles.length;
  const byLength: Record<string, Record<string, number>> = {};
  const samples: number[][] = [];
  let shifted: number[] = [];
  for (const queries of ["summaries", "questions"] as const) {
    const task = makeMeetingTask(texts, { asked, queries });
    const lengths = context.quick ? [128] : [128, 512, 2048, 4096, 8192];
    const figures: Record<string, number> = {};
    for (const words of [...lengths, Number.POSITIVE_INFINITY]) {
      context.progress(`BM25 over ${words} words`);
      const cut = Number.isFinite(words) ? truncateDocuments(task, words) : task;
      const scores = await scoresOf(cut, bm25);
      figures[Number.isFinite(words) ? String(words) : "all"] =
        Math.round(1000 * mean(scores)) / 1000;
      if (queries === "summaries") samples.push(scores);
    }
    if (queries === "summaries") shifted = await scoresOf(shiftDocuments(task, context.seed), bm25);
    byLength[queries] = figures;
  }
  const [first, whole] = [meanOf(samples[0]!), meanOf(samples.at(-1)!)];
  context.report("truncation-destroys", {
    measured: whole,
    baseline: first,
    baselineName: "the first 128 words",
    control: meanOf(shifted),
    details: { ndcgByWords: byLength },
  });
}

interface ArmScores {
  /** Of each query, the mean of all seeds. */
  readonly scores: readonly number[];
  readonly bySeed: readonly number[];
  readonly rates: readonly number[];
}

type ArmName = "long" | "short" | "softmax" | "shifted";

function armsOf({ sizes }: Prepared, quick: boolean): Readonly<Record<string, Arm>> {
  const { steps, negatives, long, short } = sizes;
  const projection = { kind: "orthogonal-projection", negatives } as const;
  const own = { objective: projection, batch: 2, steps };
  const arms = { long: { ...own, name: "long", length: long } };
  if (quick) return arms;
  return {
    ...arms,
    short: { ...own, name: "short", length: short },
    softmax: {
      name: "softmax",
      objective: { kind: "contrastive", negatives: 0 },
      length: long,
      batch: 2,
      // As many documents in all.
      steps: steps * (negatives + 1),
    },
  };
}

async function measureArms(
  context: Context,
  prepared: Prepared,
): Promise<ReadonlyMap<ArmName, ArmScores>> {
  const collected = new Map<ArmName, { scores: number[][]; rates: number[] }>();
  const keep = (name: ArmName, scores: number[], rate: number): void => {
    const known = collected.get(name) ?? { scores: [], rates: [] };
    known.scores.push(scores);
    known.rates.push(rate);
    collected.set(name, known);
  };
  for (let seed = 0; seed < prepared.sizes.seeds; seed++) {
    const initialWeights = await pretrain(context, prepared, seed);
    for (const [name, arm] of Object.entries(armsOf(prepared, context.quick))) {
      const { folder, rate } = await trainArm(context, prepared, { arm, seed, initialWeights });
      const shifted = name === "long" ? [shiftDocuments(prepared.task, context.seed)] : [];
      const tasks = [prepared.task, ...shifted];
      const [own, others] = await scoreEncoder(context, tasks, folder, arm.length);
      keep(name as ArmName, own!, rate);
      if (others !== undefined) keep("shifted", others, rate);
    }
  }
  return new Map(
    [...collected].map(([name, { scores, rates }]) => [
      name,
      {
        scores: averageSeeds(scores),
        bySeed: scores.map(mean),
        rates,
      },
    ]),
  );
}

/** The task with the texts of other documents under every id. */
function shiftDocuments(task: Prepared["task"], seed: number): Prepared["task"] {
  const texts = createRandom(seed, "shift").shuffle(task.documents.map(({ text }) => text));
  return { ...task, documents: task.documents.map(({ id }, at) => ({ id, text: texts[at]! })) };
}

function reportArms(
  context: Context,
  { sizes }: Prepared,
  found: { lexical: readonly number[]; measured: ReadonlyMap<ArmName, ArmScores> },
): void {
  const { measured, lexical } = found;
  const long = measured.get("long")!;
  const control = meanOf(measured.get("shifted")!.scores);
  const details = {
    sizes,
    bm25: mean(lexical),
    arms: Object.fromEntries(
      [...measured].map(([name, { bySeed, rates }]) => [name, { bySeed, rates }]),
    ),
  };
  const beside = (
    id: Parameters<Context["report"]>[0],
    scores: readonly number[] | undefined,
    baselineName: string,
  ): void => {
    // A quick run has neither of the arms.
    if (scores === undefined) return;
    context.report(id, {
      measured: meanOf(long.scores),
      baseline: meanOf(scores),
      ...{ baselineName, control, details },
    });
  };
  beside("long-context-helps", measured.get("short")?.scores, "the first 64 tokens");
  const softmax = measured.get("softmax")?.scores;
  beside("projection-loss-small-batches", softmax, "softmax over two documents");
  beside("better-than-bm25", lexical, "BM25");
}

const mean = (values: readonly number[]): number => wholeValue(meanOf(values));
