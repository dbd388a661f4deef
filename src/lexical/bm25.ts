/** An index in memory that ranks texts by BM25. */
import { JetonError } from "../core/index.ts";
import { checkOptionNames } from "../core/option-rules.ts";
import { type Analyzer, type AnalyzerOptions, createAnalyzer } from "./analysis/analyzer.ts";
import { type Bm25Formula, type Bm25FormulaOptions, resolveBm25Formula } from "./bm25-formula.ts";
import { countQueryTerms, ScoreAccumulator, weighTerms } from "./bm25-scoring.ts";
import { PostingsBuilder } from "./postings.ts";
import { compareUtf8, TopSelector } from "./ranking.ts";

/** Options of `createBm25Index`. */
export interface Bm25Options extends Bm25FormulaOptions {
  /** How text becomes terms: an analyzer or its options. Default letters and digits in lower case. */
  analyzer?: Analyzer | AnalyzerOptions;
  /**
   * The order of equal scores: `"id"` (default), descending by their UTF-8 bytes as trec_eval ranks, or
   * `"position"`, in the order of adding.
   */
  ties?: "id" | "position";
}

/** A document found. */
export interface Bm25Hit {
  readonly id: string;
  /** Above 0. */
  readonly score: number;
}

/** Options of a search. */
export interface Bm25SearchOptions {
  /** How many documents at most. Default 10. */
  k?: number;
  /** Which documents may be found, by id. Default all. The statistics stay those of all documents. */
  accept?: (id: string) => boolean;
}

/** Ranks texts by BM25. */
export interface Bm25Index {
  /** Number of documents. */
  readonly size: number;
  readonly formula: Bm25Formula;
  /**
   * Adds a document.
   *
   * @throws JetonError `bm25-document-repeated` for an id that is there already, `bm25-option-invalid` for what is no text
   */
  add(id: string, text: string): void;
  /**
   * The documents with the highest scores. A query's term counts as often as it stands there; documents
   * without any of its terms are not found.
   *
   * @throws JetonError `bm25-option-invalid` for a `k` that is no whole number from 1, an unknown option, or no text
   */
  search(query: string, options?: Bm25SearchOptions): Bm25Hit[];
}

/**
 * Makes an empty index.
 *
 * @throws JetonError `bm25-option-invalid`, `analyzer-option-invalid`
 *
 * @example
 * const index = createBm25Index({ variant: "lucene" });
 * index.add("a", "the cat sat on the mat");
 * index.add("b", "a dog barked");
 * index.search("cat"); // [{ id: "a", score: 0.31… }]
 */
export function createBm25Index(options: Bm25Options = {}): Bm25Index {
  checkOptionNames(options, ["variant", "k1", "b", "delta", "analyzer", "ties"], {
    what: "BM25",
    invalidCode: "bm25-option-invalid",
  });
  const { analyzer: given = {}, ties = "id", ...formulaOptions } = options;
  if (typeof given !== "object" || given === null) {
    throw invalid("analyzer", given, "an analyzer or its options");
  }
  if (ties !== "id" && ties !== "position") {
    throw invalid("ties", ties, '"id" or "position"');
  }
  const analyzer = "termsOf" in given ? given : createAnalyzer(given);
  const formula = resolveBm25Formula(formulaOptions);
  const builder = new PostingsBuilder(analyzer);
  const scores = new ScoreAccumulator();
  const ids: string[] = [];
  const known = new Set<string>();
  let totalLength = 0;
  let counted = 0;
  const isBefore = (a: number, b: number): boolean =>
    ties === "id" ? compareUtf8(ids[a]!, ids[b]!) > 0 : a < b;
  return {
    formula,
    get size() {
      return ids.length;
    },
    add(id, text) {
      if (typeof id !== "string") throw invalid("id", id, "a text");
      if (typeof text !== "string") throw invalid("text", text, "a text");
      if (known.has(id)) {
        throw new JetonError(`document ${JSON.stringify(id)} is in the index already`, {
          code: "bm25-document-repeated",
          details: { found: id, expected: "an id that is not there yet" },
        });
      }
      known.add(id);
      ids.push(id);
      builder.add(text);
    },
    search(query, options = {}) {
      if (typeof query !== "string") throw invalid("query", query, "a text");
      checkOptionNames(options, ["k", "accept"], {
        what: "a search",
        invalidCode: "bm25-option-invalid",
      });
      const { k = 10, accept } = options;
      if (!(Number.isInteger(k) && k > 0)) throw invalid("k", k, "a whole number from 1");
      const postings = builder.build();
      for (; counted < ids.length; counted++) totalLength += postings.lengths[counted]!;
      const terms = weighTerms(
        countQueryTerms(analyzer, query),
        formula,
        ids.length,
        (term) => postings.find(term)?.documents.length ?? 0,
      );
      scores.add(postings, terms, formula, totalLength / ids.length);
      const best = new TopSelector(k, isBefore);
      for (const place of scores.touched) {
        const score = scores.score(place);
        if (score < best.threshold) continue;
        if (accept === undefined || accept(ids[place]!)) best.offer(place, score);
      }
      scores.clear();
      return best.ranked().map(({ place, score }) => ({ id: ids[place]!, score }));
    },
  };
}

function invalid(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`BM25 option ${option}: ${String(found)}; expected ${expected}`, {
    code: "bm25-option-invalid",
    details: { option, found, expected },
  });
}
