/** Scores of documents under BM25, term by term over their posting lists. */
import { type Analyzer, analyze } from "./analysis/analyzer.ts";
import { type Bm25Formula, saturationForm, weightOfTerm } from "./bm25-formula.ts";
import type { Postings } from "./postings.ts";
import { grow } from "./term-table.ts";

/** A term of a query with its number of occurrences there. */
export type QueryTerms = ReadonlyMap<string, number>;

/** The terms of a query, in the order of their first occurrence. */
export function countQueryTerms(analyzer: Analyzer, query: string): QueryTerms {
  const counts = new Map<string, number>();
  for (const { term } of analyze(analyzer, query)) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}

/** A query's term with the weight that the collection gives it, times its occurrences in the query. */
export interface WeightedTerm {
  readonly term: string;
  readonly weight: number;
}

/**
 * Weighs a query's terms.
 *
 * @param holding how many documents hold each term
 */
export function weighTerms(
  terms: QueryTerms,
  formula: Bm25Formula,
  documents: number,
  holding: (term: string) => number,
): WeightedTerm[] {
  const weighted: WeightedTerm[] = [];
  for (const [term, count] of terms) {
    const found = holding(term);
    if (found === 0) continue;
    const weight = count * weightOfTerm(formula.weight, documents, found);
    if (weight > 0) weighted.push({ term, weight });
  }
  return weighted;
}

/** Adds up scores; one for each set of postings, used for one query after the other. */
export class ScoreAccumulator {
  /** Score of each place; 0 where no term occurs. */
  #scores: Float64Array = new Float64Array(256);
  #touched: Uint32Array = new Uint32Array(256);
  #count = 0;
  /** 1 - b + b |d| / L of each place, for the last parameters. */
  #lengthFactors: Float64Array = new Float64Array(0);
  #factorsFor: { lengths: Uint32Array; meanLength: number; b: number } | undefined;

  /** Places with a score above 0, in no order. */
  get touched(): Uint32Array {
    return this.#touched.subarray(0, this.#count);
  }

  /** The score of a place. */
  score(place: number): number {
    return this.#scores[place] ?? 0;
  }

  /** Forgets the scores. */
  clear(): void {
    for (let i = 0; i < this.#count; i++) this.#scores[this.#touched[i]!] = 0;
    this.#count = 0;
  }

  /**
   * Adds the scores of all documents that hold a term.
   *
   * @param accepted 1 for each place that may be found; all without it
   */
  add(
    postings: Postings,
    terms: readonly WeightedTerm[],
    formula: Bm25Formula,
    meanLength: number,
    accepted?: Uint8Array,
  ): void {
    const { lengths } = postings;
    while (this.#scores.length < lengths.length) {
      this.#scores = grow(this.#scores);
      this.#touched = grow(this.#touched);
    }
    const factors = this.#factorsOf(lengths, meanLength, formula.b);
    const { constant, factor, shift, slope } = saturationForm(formula);
    const [scores, touched] = [this.#scores, this.#touched];
    let count = this.#count;
    for (const { term, weight } of terms) {
      const list = postings.find(term);
      if (list === undefined) continue;
      const { documents, frequencies } = list;
      const [base, scale] = [weight * constant, weight * factor];
      for (let i = 0; i < documents.length; i++) {
        const place = documents[i]!;
        if (accepted !== undefined && accepted[place] === 0) continue;
        const frequency = frequencies[i]!;
        const length = factors[place]!;
        const before = scores[place]!;
        if (before === 0) touched[count++] = place;
        // The quotient first: it is exactly 1 for every frequency where k1 is 0, and such documents tie.
        scores[place] =
          before + base + scale * ((frequency + shift * length) / (frequency + slope * length));
      }
    }
    this.#count = count;
  }

  #factorsOf(lengths: Uint32Array, meanLength: number, b: number): Float64Array {
    const known = this.#factorsFor;
    if (known?.lengths !== lengths || known.meanLength !== meanLength || known.b !== b) {
      this.#lengthFactors = Float64Array.from(
        lengths,
        (length) => 1 - b + (meanLength > 0 ? (b * length) / meanLength : 0),
      );
      this.#factorsFor = { lengths, meanLength, b };
    }
    return this.#lengthFactors;
  }
}
