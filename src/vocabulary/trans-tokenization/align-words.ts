/**
 * Word alignment by expectation maximization: IBM Model 1 with a fixed probability of no
 * counterpart, which is what fast_align does without its preference for the diagonal.
 */
import { PairTable } from "../../tokenizer/models/pair-table.ts";
import type { WordCorpus } from "./word-units.ts";

/** Options of `alignWords`. */
export interface AlignWordsOptions {
  /** Rounds of expectation and maximization. Default 7. */
  iterations?: number;
  /** Probability that a target word has no counterpart. Default 0.08. */
  nullProbability?: number;
}

/** A pair of words, with how often they are expected to be each other's translation. */
export interface WordLink {
  /** Numbers of the words in their corpora. */
  readonly source: number;
  readonly target: number;
  readonly count: number;
}

/** Result of `alignWords`. */
export interface WordAlignment {
  /** Every pair of words that shares a sentence, without those of the null word. */
  readonly links: readonly WordLink[];
  /** Expected number of target words without a counterpart, by their number. */
  readonly nullCounts: Float64Array;
  /** Log-likelihood of the target sentences before each round. */
  readonly logLikelihoods: readonly number[];
}

/**
 * Aligns the words of sentence pairs: for each target word, which source words it comes from.
 *
 * With sentences e (source) and f (target): P(a_j = null) = p0 and P(a_j = i) = (1 - p0) / n, and the
 * posterior of a link is proportional to P(a_j = i) · t(f_j | e_i). The sums of posteriors c(e, f)
 * give t(f | e) = c(e, f) / Σ_f' c(e, f').
 */
export function alignWords(
  source: WordCorpus,
  target: WordCorpus,
  options: AlignWordsOptions = {},
): WordAlignment {
  const { iterations = 7, nullProbability = 0.08 } = options;
  const table = new LinkTable();
  // Links of each sentence: for each target word that of the null word, then those of all source words.
  const places = source.sentences.map((from, sentence) => {
    const to = target.sentences[sentence]!;
    if (from.length === 0) return new Int32Array(0);
    const list = new Int32Array(to.length * (from.length + 1));
    let at = 0;
    for (const f of to) {
      list[at++] = table.place(0, f);
      for (const e of from) list[at++] = table.place(e + 1, f);
    }
    return list;
  });

  let counts = new Float64Array(table.size);
  const probabilities = new Float64Array(table.size).fill(1 / Math.max(1, target.words.length));
  const logLikelihoods: number[] = [];
  for (let round = 0; round < iterations; round++) {
    counts = new Float64Array(table.size);
    let logLikelihood = 0;
    for (const [sentence, list] of places.entries()) {
      const width = source.sentences[sentence]!.length + 1;
      const share = (1 - nullProbability) / (width - 1);
      for (let at = 0; at < list.length; at += width) {
        let total = nullProbability * probabilities[list[at]!]!;
        for (let i = at + 1; i < at + width; i++) total += share * probabilities[list[i]!]!;
        logLikelihood += Math.log(total);
        counts[list[at]!]! += (nullProbability * probabilities[list[at]!]!) / total;
        for (let i = at + 1; i < at + width; i++) {
          counts[list[i]!]! += (share * probabilities[list[i]!]!) / total;
        }
      }
    }
    logLikelihoods.push(logLikelihood);
    const totals = new Float64Array(source.words.length + 1);
    for (let place = 0; place < table.size; place++)
      totals[table.sources[place]!]! += counts[place]!;
    for (let place = 0; place < table.size; place++) {
      const total = totals[table.sources[place]!]!;
      // The null word has no counts where its probability is zero.
      probabilities[place] = total === 0 ? 0 : counts[place]! / total;
    }
  }

  const links: WordLink[] = [];
  const nullCounts = new Float64Array(target.words.length);
  for (let place = 0; place < table.size; place++) {
    const e = table.sources[place]!;
    if (e === 0) nullCounts[table.targets[place]!] = counts[place]!;
    else links.push({ source: e - 1, target: table.targets[place]!, count: counts[place]! });
  }
  return { links, nullCounts, logLikelihoods };
}

/**
 * Aligns in both directions and keeps what both agree on: the count of a pair is the geometric mean
 * of the two, so that it is small where either direction gives a small count.
 */
export function alignBothWays(
  source: WordCorpus,
  target: WordCorpus,
  options: AlignWordsOptions = {},
): WordLink[] {
  const forward = alignWords(source, target, options).links;
  const width = target.words.length;
  const backward = new Map<number, number>();
  for (const link of alignWords(target, source, options).links) {
    // Here the roles are exchanged. What rounds to nothing need not be kept.
    if (link.count > 1e-3) backward.set(link.target * width + link.source, link.count);
  }
  return forward.flatMap((link) => {
    const count = backward.get(link.source * width + link.target);
    return count === undefined ? [] : [{ ...link, count: Math.sqrt(link.count * count) }];
  });
}

/** Pairs of words, numbered as they come; source 0 is the null word. */
class LinkTable {
  readonly sources: number[] = [];
  readonly targets: number[] = [];
  readonly #places: PairTable = new PairTable(1 << 16);

  get size(): number {
    return this.sources.length;
  }

  /** The place of a pair, new where it was not known. */
  place(source: number, target: number): number {
    const known = this.#places.get(source, target);
    if (known >= 0) return known;
    this.#places.set(source, target, this.size);
    this.targets.push(target);
    return this.sources.push(source) - 1;
  }
}
