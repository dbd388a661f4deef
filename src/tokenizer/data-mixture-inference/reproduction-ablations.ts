/** Data mixture inference without its parts, with noise, and without a category. */
import { createRandom } from "../../core/index.ts";
import {
  constantOf,
  meanOf,
  type ReproductionContext,
  type Sample,
  statisticOf,
  wholeValue,
} from "../../reproduce/index.ts";
import type { InferMixtureOptions, InferredMixture } from "./data-mixture-inference.ts";
import type { ReadMergeListOptions } from "./merge-list.ts";
import {
  attack,
  type Experiment,
  errorsOfNext,
  logSample,
  mean,
  meanLog,
  sampleNoise,
  sharesOf,
  squaredError,
} from "./reproduction-experiment.ts";

/** An experiment and what the method answered. */
export interface Attacked {
  readonly experiment: Experiment;
  readonly answer: InferredMixture;
  /** Mean squared error of the answer. */
  readonly error: number;
}

/** What each part of the method brings, and what a sample of noise is given. */
export async function ablate(
  context: ReproductionContext<"pair-slack" | "byte-shares" | "right-words" | "noise">,
  languages: readonly Attacked[],
): Promise<void> {
  const without: Record<"pair-slack" | "byte-shares" | "right-words", number[]> = {
    "pair-slack": [],
    "byte-shares": [],
    "right-words": [],
  };
  const noise: Record<"merge" | "pair", number[]> = { merge: [], pair: [] };
  const published: number[] = [];
  for (const [number, { experiment }] of languages.entries()) {
    context.progress("ablations", number, languages.length);
    const { truth, samples } = experiment;
    const errorOf = async (options: InferMixtureOptions, list?: ReadMergeListOptions) =>
      squaredError(
        sharesOf(await attack(context, experiment, { parts: 1, ...options }, list)),
        truth,
      );
    without["pair-slack"].push(await errorOf({ pairSlack: false }));
    without["byte-shares"].push(await errorOf({ byteShares: false }));
    without["right-words"].push(await errorOf({}, { steps: [] }));

    published.push(await errorOf({ slackPer: "pair" }));
    const stranger = { name: "noise", documents: sampleNoise(createRandom(context.seed, "noise")) };
    const more = { ...experiment, samples: [...samples, stranger] };
    for (const slackPer of ["merge", "pair"] as const) {
      const found = await attack(context, more, { parts: 1, slackPer });
      noise[slackPer].push(100 * found.shares.at(-1)!.share);
    }
  }
  const measured = logSample(languages.map(({ error }) => error));
  const control = logSample(
    errorsOfNext(
      languages.map(({ answer }) => sharesOf(answer)),
      languages.map(({ experiment: { truth } }) => truth),
    ),
  );
  const baselineNames = {
    "pair-slack": "slack of merges alone",
    "byte-shares": "shares of pairs",
    "right-words": "text not cut into words",
  };
  for (const id of ["pair-slack", "byte-shares", "right-words"] as const) {
    const baseline = logSample(without[id]);
    context.report(id, { measured, baseline, baselineName: baselineNames[id], control });
  }
  const categories = languages[0]!.experiment.samples.length + 1;
  context.report("noise", {
    measured: meanOf(noise.merge),
    baseline: meanOf(noise.pair),
    baselineName: "as published",
    control: constantOf(100 / categories, languages.length),
    details: {
      "error without noise": { here: wholeValue(measured), "as published": meanLog(published) },
    },
  });
}

/** How much worse the list is explained without a sample of its largest category. */
export async function omitLargest(
  context: ReproductionContext<"omitted-category">,
  languages: readonly Attacked[],
): Promise<void> {
  const unexplained: Record<"omitted" | "halved", number[]> = { omitted: [], halved: [] };
  const details: unknown[] = [];
  for (const [number, { experiment, answer }] of languages.entries()) {
    context.progress("omitted categories", number, languages.length);
    const { truth, samples } = experiment;
    const largest = truth.indexOf(Math.max(...truth));
    const fewer = { ...experiment, samples: samples.filter((_, i) => i !== largest) };
    const partial = await attack(context, fewer, { parts: 1 });
    const halves = samples.map(({ name, documents }) => ({
      name,
      documents: documents.filter((_, i) => i % 2 === 0),
    }));
    const halved = await attack(context, { ...experiment, samples: halves }, { parts: 1 });
    const countOf = ({ violatedMerges, missingMerges }: InferredMixture): number =>
      1 + violatedMerges + missingMerges.length;
    unexplained.omitted.push(Math.log(countOf(partial) / countOf(answer)));
    unexplained.halved.push(Math.log(countOf(halved) / countOf(answer)));
    details.push({
      omitted: samples[largest]!.name,
      share: truth[largest],
      slack: [answer.violation, partial.violation],
      violatedMerges: [answer.violatedMerges, partial.violatedMerges],
      missingMerges: [answer.missingMerges.length, partial.missingMerges.length],
    });
  }
  const multiples = (logs: readonly number[]): Sample =>
    statisticOf(logs, (some) => Math.exp(mean(some)));
  context.report("omitted-category", {
    measured: multiples(unexplained.omitted),
    control: multiples(unexplained.halved),
    details: { mixtures: details },
  });
}
