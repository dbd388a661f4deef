/**
 * Data mixture inference (Hayase et al., 2024): from the ordered merges of a byte-pair tokenizer and a
 * sample of each candidate category, the proportions in which the categories were mixed in the
 * tokenizer's training data.
 *
 * Training always merges the pair that is commonest at that moment. Under the true mixture every
 * recorded merge was therefore at least as frequent as every other pair, at every step: linear
 * inequalities in the proportions. The numbered comments follow the paper's steps.
 */
import { JetonError } from "../../core/error.ts";
import { encodeUtf8 } from "../decoders/byte-alphabet.ts";
import { type PairHistory, PairNumbers, recordPairCounts } from "./count-pairs.ts";
import { loadSolver } from "./linear-program.ts";
import type { MergeList } from "./merge-list.ts";
import {
  type MixtureRound,
  type MixtureSolution,
  type SlackWeight,
  solveMixture,
} from "./mixture-program.ts";

/** A candidate category with a sample of its text. */
export interface MixtureCategory {
  readonly name: string;
  /** The sample. Any size works; a megabyte settles a share to about a thousandth. */
  readonly texts: Iterable<string> | AsyncIterable<string>;
}

/** Options of `inferMixture`. */
export interface InferMixtureOptions {
  /**
   * Parts into which each sample is cut to estimate the uncertainty: the inference is repeated
   * without each part in turn (jackknife). 0 or 1: no estimate. Default 4.
   */
  parts?: number;
  /**
   * Bytes that the tokenizer was trained on, where that is known and no more than a few times the
   * samples: its training text is then a sample as well, and the standard errors are widened by what
   * that adds. Default: so many that it does not matter.
   */
  trainingBytes?: number;
  /** False: give shares of pairs, not of bytes. An ablation. Default true. */
  byteShares?: boolean;
  /** False: no slack for competing pairs. An ablation. Default true. */
  pairSlack?: boolean;
  /**
   * What the sum of slacks is weighed against. `"merge"` (default): occurrences of merged pairs, so that
   * a category in which no merge occurs gets no share. `"pair"`: all pairs, as in the paper.
   */
  slackPer?: SlackWeight;
  /**
   * Most merges before which constraints are asked for, at least 1. Of longer lists the first half of them
   * are the first merges, the others are spread evenly over the rest. Default 3,000.
   */
  constrainedMerges?: number;
  /** How many of the worst violations to report. Default 10. */
  violations?: number;
  onProgress?: (progress: MixtureProgress) => void;
  signal?: AbortSignal;
}

export interface MixtureProgress {
  readonly phase: "counting" | "solving";
  /** Categories counted, or programs solved. */
  readonly done: number;
  readonly total: number;
  /** Where the program being solved stands. */
  readonly round?: MixtureRound;
}

/** The share of one category. */
export interface CategoryShare {
  readonly name: string;
  /** Share of the training data, in bytes. */
  readonly share: number;
  /**
   * Standard error that comes from the finite samples, by the jackknife; undefined without parts. It
   * knows nothing of samples that are unlike the training data, or of categories that are missing.
   */
  readonly standardError: number | undefined;
  /** Bytes of the sample. */
  readonly sampleBytes: number;
}

/** A merge that came earlier or later than its count in the mixture allows. */
export interface MergeViolation {
  /** Position in the list, from 0. */
  readonly merge: number;
  readonly left: string;
  readonly right: string;
  /** By how much it falls short, in pairs per million. */
  readonly slack: number;
}

/** A pair that is more frequent in the samples than it can have been in training. */
export interface PairViolation {
  readonly left: string;
  readonly right: string;
  readonly slack: number;
}

/** Result of `inferMixture`: shares of the categories, and how well they explain the merges. */
export interface InferredMixture {
  /** In the order in which the categories were given. */
  readonly shares: readonly CategoryShare[];
  /** Merges that the answer rests on. */
  readonly merges: number;
  /** Sum of all slacks, in pairs per million: 0 when the samples explain the list exactly. */
  readonly violation: number;
  /** Merges that needed slack. */
  readonly violatedMerges: number;
  readonly worstMerges: readonly MergeViolation[];
  readonly worstPairs: readonly PairViolation[];
  /** Merges that occur in no sample: many of them mean that a category is missing. */
  readonly missingMerges: readonly { readonly merge: number; readonly token: string }[];
  /** Entries of the list that no training can have made, e.g. added by hand. */
  readonly droppedEntries: number;
  /** Constraints that the last program held, and rounds that it took. */
  readonly constraints: number;
  readonly rounds: number;
}

/**
 * Infers the proportions. Needs the package `highs`.
 *
 * @throws JetonError `mixture-category` for no category, two of one name, or a sample without a pair;
 *   `option-invalid`, `mixture-no-merge`, `mixture-solver-missing`, `mixture-not-solved`, `aborted`.
 *
 * @example
 * const list = await loadMergeList("tokenizer.json", { maxMerges: 3000 });
 * const { shares } = await inferMixture(list, [{ name: "prose", texts }, { name: "code", texts: files }]);
 */
export async function inferMixture(
  list: MergeList,
  categories: readonly MixtureCategory[],
  options: InferMixtureOptions = {},
): Promise<InferredMixture> {
  const parts = Math.max(1, options.parts ?? 4);
  const { constrainedMerges = 3000 } = options;
  checkCategories(categories);
  if (!(Number.isSafeInteger(constrainedMerges) && constrainedMerges >= 1)) {
    throw new JetonError(
      `constrainedMerges is ${constrainedMerges}, expected a whole number of at least 1`,
      {
        code: "option-invalid",
        details: { option: "constrainedMerges", found: constrainedMerges },
      },
    );
  }
  const solver = await loadSolver();

  // 1. Pair counts of each category, part by part.
  const numbers = new PairNumbers();
  const counted = await countSamples(list, categories, numbers, { ...options, parts });
  const merges = Int32Array.from(list.products, (_, step) =>
    numbers.of(list.pairs[step * 2]!, list.pairs[step * 2 + 1]!),
  );

  // 2. and 3. The linear program, with constraints generated as they are violated.
  const programs = parts > 1 ? parts + 1 : 1;
  const solveWithout = (part: number, start?: MixtureSolution): MixtureSolution => {
    const done = part + 1;
    return solveMixture(
      solver,
      counted.map(({ histories }) => ({ histories: histories.filter((_, i) => i !== part) })),
      merges,
      {
        pairSlack: options.pairSlack ?? true,
        slackPer: options.slackPer ?? "merge",
        constrainedMerges,
        signal: options.signal,
        onRound: (round) =>
          options.onProgress?.({ phase: "solving", done, total: programs, round }),
        ...(start !== undefined && { start: start.constraints }),
      },
    );
  };
  // 4. From shares of pairs to shares of bytes.
  const byteShares = options.byteShares !== false;
  const toBytes = (solution: MixtureSolution, without: number): number[] =>
    sharesOfBytes(solution, counted, { without, byteShares });
  const whole = solveWithout(-1);
  const shares = toBytes(whole, -1);
  const replicates: number[][] = [];
  for (let part = 0; part < parts && parts > 1; part++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    replicates.push(toBytes(solveWithout(part, whole), part));
  }
  const sampleBytes = counted.map(({ bytes }) => bytes.reduce((sum, size) => sum + size, 0));
  const widening = widenBy(shares, sampleBytes, options.trainingBytes);
  return {
    shares: categories.map(({ name }, category) => ({
      name,
      share: shares[category]!,
      standardError: jackknife(
        replicates.map((replicate) => replicate[category]!),
        widening,
      ),
      sampleBytes: sampleBytes[category]!,
    })),
    ...describeSolution(whole, list, { merges, numbers, violations: options.violations ?? 10 }),
  };
}

function checkCategories(categories: readonly MixtureCategory[]): void {
  const names = new Set(categories.map((category) => category.name));
  if (categories.length === 0) throw categoryError("there is no category", "at least one");
  if (names.size < categories.length)
    throw categoryError("two categories share a name", "different names");
}

/** The sample of a category, counted part by part. */
interface CountedSample {
  readonly histories: readonly PairHistory[];
  /** UTF-8 bytes of each part. */
  readonly bytes: readonly number[];
}

async function countSamples(
  list: MergeList,
  categories: readonly MixtureCategory[],
  numbers: PairNumbers,
  options: Pick<InferMixtureOptions, "onProgress" | "signal"> & { readonly parts: number },
): Promise<CountedSample[]> {
  const counted: CountedSample[] = [];
  for (const [done, category] of categories.entries()) {
    options.onProgress?.({ phase: "counting", done, total: categories.length });
    throwIfAborted(options.signal);
    const samples = cutSample(await collect(category.texts), options.parts);
    const histories = samples.map((texts) => {
      const collector = list.createCounter();
      for (const text of texts) collector.add(text);
      return recordPairCounts(list, collector, numbers);
    });
    if (histories.every((history) => history.total === 0)) {
      throw categoryError(`the sample of ${category.name} has no pair of symbols`, "text");
    }
    const bytes = samples.map((texts) => texts.reduce((sum, text) => sum + utf8Size(text), 0));
    counted.push({ histories, bytes });
  }
  return counted;
}

/** Shares of bytes, by the bytes per pair of each category's sample. */
function sharesOfBytes(
  solution: MixtureSolution,
  counted: readonly CountedSample[],
  options: { readonly without: number; readonly byteShares: boolean },
): number[] {
  const raw = counted.map(({ histories, bytes }, category) => {
    let sampleBytes = 0;
    let samplePairs = 0;
    for (const [part, history] of histories.entries()) {
      if (part === options.without) continue;
      sampleBytes += bytes[part]!;
      samplePairs += history.total;
    }
    const perPair = !options.byteShares || samplePairs === 0 ? 1 : sampleBytes / samplePairs;
    return solution.shares[category]! * perPair;
  });
  const sum = raw.reduce((total, share) => total + share, 0);
  return raw.map((share) => share / sum);
}

/** What the program says beside the shares: merges and pairs that the samples do not explain. */
function describeSolution(
  solution: MixtureSolution,
  list: MergeList,
  options: {
    readonly merges: Int32Array;
    readonly numbers: PairNumbers;
    readonly violations: number;
  },
): Omit<InferredMixture, "shares"> {
  const { merges, numbers, violations } = options;
  const symbolsOf = (pair: number): { left: string; right: string } => {
    const [left, right] = numbers.symbols(pair);
    return { left: list.symbols[left]!, right: list.symbols[right]! };
  };
  const violated = [...solution.mergeSlack.entries()].filter(([, slack]) => slack > noticeable);
  return {
    merges: merges.length,
    violation: solution.objective,
    violatedMerges: violated.length,
    worstMerges: violated
      .sort((a, b) => b[1] - a[1])
      .slice(0, violations)
      .map(([merge, slack]) => ({ merge, ...symbolsOf(merges[merge]!), slack })),
    worstPairs: [...solution.pairSlack]
      .filter(([, slack]) => slack > noticeable)
      .sort((a, b) => b[1] - a[1])
      .slice(0, violations)
      .map(([pair, slack]) => ({ ...symbolsOf(pair), slack })),
    missingMerges: solution.missing.map((merge) => ({
      merge,
      token: list.symbols[list.products[merge]!]!,
    })),
    droppedEntries: list.dropped.length,
    constraints: solution.constraints.length,
    rounds: solution.rounds,
  };
}

/** Slack below this, in pairs per million, is the solver's tolerance. */
const noticeable = 1e-3;

async function collect(texts: Iterable<string> | AsyncIterable<string>): Promise<string[]> {
  const collected: string[] = [];
  for await (const text of texts) {
    if (typeof text !== "string") throw categoryError(`a text is a ${typeof text}`, "strings");
    collected.push(text);
  }
  return collected;
}

/** Cuts a sample into contiguous parts of about equal length; long texts are cut at line ends. */
export function cutSample(texts: readonly string[], parts: number): string[][] {
  const total = texts.reduce((sum, text) => sum + text.length, 0);
  const cut: string[][] = Array.from({ length: parts }, () => []);
  let position = 0;
  for (let text of texts) {
    while (text !== "") {
      const part = Math.min(parts - 1, Math.floor((position / Math.max(1, total)) * parts));
      const budget = Math.ceil((total * (part + 1)) / parts) - position;
      let end = text.length;
      if (part < parts - 1 && end > budget) {
        const line = text.indexOf("\n", budget);
        // Better one part a little too long than a word cut in two.
        end = line < 0 ? text.length : line + 1;
      }
      cut[part]!.push(text.slice(0, end));
      position += end;
      text = text.slice(end);
    }
  }
  return cut;
}

function utf8Size(text: string): number {
  return encodeUtf8(text).length;
}

/**
 * Standard error of an estimate from its values without each part in turn, times `widening`;
 * undefined without values.
 */
function jackknife(replicates: readonly number[], widening: number): number | undefined {
  const count = replicates.length;
  if (count < 2) return undefined;
  const mean = replicates.reduce((sum, value) => sum + value, 0) / count;
  const squares = replicates.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return widening * Math.sqrt(((count - 1) / count) * squares);
}

/**
 * What the noise of the training text adds to the noise of the samples. A count in `n` bytes has a
 * variance proportional to `n`: that of the mixture's frequency is the sum of share² / bytes over the
 * samples, and of share / bytes over the training text.
 */
function widenBy(
  shares: readonly number[],
  sampleBytes: readonly number[],
  trainingBytes: number | undefined,
): number {
  if (trainingBytes === undefined) return 1;
  const ofSamples = shares.reduce((sum, share, i) => sum + share ** 2 / sampleBytes[i]!, 0);
  return Math.sqrt(1 + 1 / trainingBytes / ofSamples);
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new JetonError("the inference was stopped", { code: "aborted", cause: signal.reason });
  }
}

function categoryError(found: string, expected: string): JetonError {
  return new JetonError(`${found}, expected ${expected}`, {
    code: "mixture-category",
    details: { found, expected },
  });
}
