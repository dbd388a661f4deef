/** What reading merged prompts costs a frozen model: bits of their continuations. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import { gibbonParagraphs, heldOutChapters } from "../../reproduce/data/held-out-chapters.ts";
import {
  type ReproductionContext,
  ratioOfSums,
  type Sample,
  wholeValue,
} from "../../reproduce/index.ts";
import type { Hypernetwork } from "../hypernetwork.ts";
import { type ContinuationQuestion, type DynamicModel, openDynamicModel } from "./dynamic-model.ts";
import { mergeBatch, mergesForReduction } from "./merge-batch.ts";
import { hypernetworkOf } from "./reproduction-hypernetwork.ts";
import { share, words } from "./reproduction-lengths.ts";

type Context = ReproductionContext<
  | "reduction-within-loss"
  | "reading-merged-prompts"
  | "ours-reading"
  | "reading-with-means"
  | "rows-matter"
  | "ours-rows-matter"
>;

/** Bits of each continuation. */
type Bits = readonly number[];

/** Reductions at which prompts are read, in percent of what merging up to whole words gives. */
const reductions = [20, share, 60, 80, 100] as const;
/** Loss that counts as none, in percent of the bits after prompts that are not merged. */
const tolerated = 2;

/** A model's bits after prompts merged to each of `reductions`. */
type Read = ReadonlyMap<number, Bits>;

/** Prompts merged by one budget. */
interface MergedPrompts {
  readonly merges: number;
  /** Tokens of each prompt. */
  readonly lengths: readonly number[];
}

/** What was read: with rows of four kinds, and without merging. */
interface Readings {
  readonly prompts: ReadonlyMap<number, MergedPrompts>;
  /** Tokens of each prompt that is not merged. */
  readonly base: readonly number[];
  readonly plain: Bits;
  /** What the continuations cost without any prompt. */
  readonly nothing: Bits;
  readonly by: Readonly<Record<"published" | "ours" | "means" | "random", Read>>;
}

/** What reading merged prompts costs, with rows of four kinds. Gives the published form's hypernetwork. */
export async function measureReading(context: Context, model: LoadedModel): Promise<Hypernetwork> {
  const questions = await readQuestions(context);
  const network = await hypernetworkOf(context, "rows");
  const corrections = await hypernetworkOf(context, "corrections");
  await using means = await openDynamicModel(model);
  await using published = await openDynamicModel(model, { hypernetwork: network });
  await using ours = await openDynamicModel(model, { hypernetwork: corrections });
  await using random = await openForeign(context, model, means);
  const prompts = mergePrompts(means, questions);
  const readWith = async (dynamic: DynamicModel): Promise<Read> => {
    const read = new Map<number, Bits>();
    for (const [reduction, { merges }] of prompts) {
      read.set(reduction, await bitsOf(context, dynamic, questions, merges));
    }
    return read;
  };
  const bare = questions.map(({ continuation }) => ({ prompt: "", continuation }));
  reportReading(context, {
    prompts,
    base: mergePrompt(means, questions, 0).lengths,
    plain: await bitsOf(context, means, questions, 0),
    nothing: await bitsOf(context, means, bare, 0),
    by: {
      published: await readWith(published),
      ours: await readWith(ours),
      means: await readWith(means),
      random: await readWith(random),
    },
  });
  return network;
}

function reportReading({ report }: Context, readings: Readings): void {
  const { published, ours, means, random } = readings.by;
  report("reduction-within-loss", {
    measured: savedBy(readings, published),
    control: savedBy(readings, random),
    details: describeReading(readings),
  });
  const control = leftOf(readings, random, share);
  for (const [id, read] of [
    ["reading-merged-prompts", published],
    ["ours-reading", ours],
    ["reading-with-means", means],
  ] as const) {
    report(id, { measured: leftOf(readings, read, share), control });
  }
  for (const [id, read] of [
    ["rows-matter", published],
    ["ours-rows-matter", ours],
  ] as const) {
    report(id, {
      measured: leftOf(readings, read, 100),
      baseline: leftOf(readings, means, 100),
      baselineName: "means of sub-tokens",
      control: leftOf(readings, random, 100),
    });
  }
}

/** Share of what the prompts are worth that is left, over paragraphs. */
function leftOf({ plain, nothing }: Readings, read: Read, reduction: number): Sample {
  return ratioOfSums(
    read.get(reduction)!.map((value, at) => ({
      sum: 100 * (nothing[at]! - value),
      weight: nothing[at]! - plain[at]!,
    })),
  );
}

/** The most tokens saved at a loss that counts as none, in percent; 0 where no reduction has so little. */
function savedBy({ prompts, base, plain }: Readings, read: Read): Sample {
  return {
    count: plain.length,
    over(places) {
      const sumOf = (values: readonly number[]): number =>
        places.reduce((sum, place) => sum + values[place]!, 0);
      const limit = (1 + tolerated / 100) * sumOf(plain);
      const saved = [...prompts].map(([reduction, { lengths }]) =>
        sumOf(read.get(reduction)!) < limit ? 100 - (100 * sumOf(lengths)) / sumOf(base) : 0,
      );
      return Math.max(0, ...saved);
    },
  };
}

/** Numbers behind the claims: tokens, what is left by rows and reduction, and the loss. */
function describeReading(readings: Readings): Record<string, unknown> {
  const { prompts, base, plain, nothing, by } = readings;
  const total = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0);
  const byReduction = (compute: (reduction: number) => number): Record<string, number> =>
    Object.fromEntries([...prompts.keys()].map((at) => [`${at} %`, compute(at)]));
  const byRows = (compute: (read: Read) => unknown): Record<string, unknown> =>
    Object.fromEntries(Object.entries(by).map(([name, read]) => [name, compute(read)]));
  return {
    tokens: { "0 %": total(base), ...byReduction((at) => total(prompts.get(at)!.lengths)) },
    merges: byReduction((at) => prompts.get(at)!.merges),
    bits: { "no prompt": total(nothing), "not merged": total(plain) },
    saved: byRows((read) => wholeValue(savedBy(readings, read))),
    left: byRows((read) => byReduction((at) => wholeValue(leftOf(readings, read, at)))),
    lossPercent: byRows((read) =>
      byReduction((at) => 100 * (total(read.get(at)!) / total(plain) - 1)),
    ),
  };
}

/** Paragraphs of the held-out chapters, without notes, cut into prompt and continuation. */
async function readQuestions({ data, quick }: Context): Promise<ContinuationQuestion[]> {
  const gibbon = await data("text/gibbon");
  const questions: ContinuationQuestion[] = [];
  for (const chapter of heldOutChapters) {
    const text = await readFile(join(gibbon, `${chapter}.txt`), "utf8");
    const own = gibbonParagraphs(text).filter((paragraph) => paragraph.length > 500);
    for (const paragraph of own.slice(0, quick ? 4 : 40)) {
      const cut = paragraph.indexOf(" ", 300);
      const end = paragraph.indexOf(" ", cut + 120);
      questions.push({
        prompt: paragraph.slice(0, cut),
        continuation: paragraph.slice(cut, end === -1 ? undefined : end),
      });
    }
  }
  return questions;
}

/** The prompts, merged as one batch to each of `reductions`. */
function mergePrompts(
  dynamic: DynamicModel,
  questions: readonly ContinuationQuestion[],
): Map<number, MergedPrompts> {
  const tokens = questions.map(({ prompt }) => dynamic.tokenize(prompt));
  const all = mergeBatch(tokens, { boundary: words });
  return new Map(
    reductions.map((reduction) => [
      reduction,
      mergePrompt(dynamic, questions, mergesForReduction(all, reduction)),
    ]),
  );
}

function mergePrompt(
  dynamic: DynamicModel,
  questions: readonly ContinuationQuestion[],
  merges: number,
): MergedPrompts {
  const tokens = questions.map(({ prompt }) => dynamic.tokenize(prompt));
  const { sequences } = mergeBatch(tokens, { merges, boundary: words });
  return { merges, lengths: sequences.map((sequence) => sequence.length) };
}

async function bitsOf(
  context: Context,
  dynamic: DynamicModel,
  questions: readonly ContinuationQuestion[],
  merges: number,
): Promise<Bits> {
  context.signal.throwIfAborted();
  context.progress(`reading prompts with ${merges} merges`);
  const { logProbabilities } = await dynamic.score(questions, { merges, boundary: words });
  return logProbabilities.map((value) => -value / Math.LN2);
}

/** The control: merged tokens have the rows of other tokens. */
function openForeign(
  { seed }: Context,
  model: LoadedModel,
  { source }: DynamicModel,
): Promise<DynamicModel> {
  const { vocabulary, tables, config } = source;
  const rowOf = (id: number): Float32Array =>
    tables.embedding.subarray(id * config.hiddenSize, (id + 1) * config.hiddenSize);
  return openDynamicModel(model, {
    predict: async (forms) =>
      forms.map((form) =>
        rowOf(
          vocabulary.ids.get(form) ?? createRandom(seed, "foreign", form).integer(config.vocabSize),
        ),
      ),
  });
}
