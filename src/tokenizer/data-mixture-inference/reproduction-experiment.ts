/** Tokenizers of known mixtures, the attack on them, and the summary of its errors. */

import type { Random } from "../../core/index.ts";
import { meanOf, type ReproductionContext, type Sample } from "../../reproduce/index.ts";
import { encodeUtf8 } from "../decoders/byte-alphabet.ts";
import type { Tokenizer } from "../tokenizer-interface.ts";
import { trainTokenizer } from "../training/train-tokenizer.ts";
import {
  type InferMixtureOptions,
  type InferredMixture,
  inferMixture,
} from "./data-mixture-inference.ts";
import { type ReadMergeListOptions, readMergeList } from "./merge-list.ts";
import type { Corpus } from "./reproduction-corpora.ts";

/** A tokenizer of known mixture, and samples to attack it with. */
export interface Experiment {
  readonly truth: readonly number[];
  readonly trainingBytes: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly tokenizer: Tokenizer;
  readonly samples: readonly Corpus[];
}

/** Trains a tokenizer on a random mixture of halves of the corpora; the other halves attack it. */
export async function sampleExperiment(
  random: Random,
  corpora: readonly Corpus[],
  merges: number,
  options: { readonly shuffled?: boolean } = {},
): Promise<Experiment> {
  const halves = corpora.map(({ documents }) => {
    const order = options.shuffled === false ? [...documents] : random.shuffle([...documents]);
    const middle = order.length >> 1;
    return { training: order.slice(0, middle), attack: order.slice(middle) };
  });
  const wanted = sampleShares(random, corpora.length);
  const available = halves.map(({ training }) => bytesOf(training));
  // The truth is a property of the training text, but its merges are a sample too: more text, less noise.
  const total = Math.min(...wanted.map((share, i) => available[i]! / share));
  const texts: string[] = [];
  const sizes = halves.map(({ training }, i) => {
    let size = 0;
    for (const document of training) {
      if (size >= wanted[i]! * total) break;
      texts.push(document);
      size += bytesOf([document]);
    }
    return size;
  });
  const sum = sizes.reduce((all, size) => all + size, 0);
  const trained = await trainTokenizer({
    kind: "byte-level-bpe",
    vocabSize: 257 + merges,
    texts,
  });
  return {
    truth: sizes.map((size) => size / sum),
    trainingBytes: sum,
    json: trained.json,
    tokenizer: trained.tokenizer,
    samples: corpora.map(({ name }, i) => ({ name, documents: halves[i]!.attack })),
  };
}

/** A point drawn uniformly from the simplex, as the paper draws it. */
export function sampleShares(random: Random, count: number): number[] {
  const cuts = new Set<number>();
  while (cuts.size < count - 1) cuts.add(1 + random.integer(9999));
  const edges = [0, ...[...cuts].sort((a, b) => a - b), 10_000];
  return edges.slice(1).map((edge, i) => (edge - edges[i]!) / 10_000);
}

/** Lines of letters that say nothing. */
export function sampleNoise(random: Random): string[] {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const word = (): string =>
    Array.from({ length: 6 }, () => letters[random.integer(letters.length)]).join("");
  return Array.from({ length: 4000 }, () => `${Array.from({ length: 12 }, word).join(" ")}\n`);
}

export function attack(
  context: Pick<ReproductionContext<string>, "signal">,
  { json, samples }: Experiment,
  options: InferMixtureOptions,
  list?: ReadMergeListOptions,
): Promise<InferredMixture> {
  return inferMixture(
    readMergeList(json, list),
    samples.map(({ name, documents }) => ({ name, texts: documents })),
    { signal: context.signal, ...options },
  );
}

export function sharesOf(answer: InferredMixture): number[] {
  return answer.shares.map(({ share }) => share);
}

export function uniform(truth: readonly number[]): number {
  return squaredError(
    truth.map(() => 1 / truth.length),
    truth,
  );
}

export function squaredError(shares: readonly number[], truth: readonly number[]): number {
  return mean(shares.map((share, i) => (share - truth[i]!) ** 2));
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean of log10, as the paper averages over mixtures. */
export function meanLog(errors: readonly number[]): number {
  return mean(errors.map(Math.log10));
}

/** Mean of log10 over mixtures that can be drawn anew, as the paper averages. */
export function logSample(errors: readonly number[]): Sample {
  return meanOf(errors.map(Math.log10));
}

/** Errors of answers beside the truth of the next mixture: the control. */
export function errorsOfNext(
  answers: readonly (readonly number[])[],
  truths: readonly (readonly number[])[],
): number[] {
  return answers.map((answer, i) => squaredError(answer, truths[(i + 1) % truths.length]!));
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + encodeUtf8(text).length, 0);
}
