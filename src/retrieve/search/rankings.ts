/** Scores of records by text, dense and sparse vectors, over all segments. */
import {
  type Analyzer,
  type Bm25Formula,
  countQueryTerms,
  type QueryTerms,
  ScoreAccumulator,
  type WeightedTerm,
  weighTerms,
} from "../../lexical/index.ts";
import type { SegmentData } from "../segment/segment-data.ts";
import type { LiveSegment } from "../store/index-state.ts";
import { dotAt } from "../tokens/products.ts";
import type { SparseVector } from "../types.ts";
import type { SearchedSegment } from "./query-run.ts";

/** A record's score. */
export interface Score {
  /** Number of the segment. */
  readonly segment: number;
  readonly place: number;
  readonly score: number;
}

const accumulators: WeakMap<SegmentData, ScoreAccumulator> = new WeakMap();

interface LexicalSettings {
  readonly segments: readonly LiveSegment[];
  readonly analyzer: Analyzer;
}

/** What a set of records knows of a text's terms; a filter does not change that, deletions do. */
export interface LexicalStatistics {
  readonly documents: number;
  /** Terms of all documents. */
  readonly length: number;
  /** Every term of the query in the order of its first occurrence: how often there, and how many documents hold it. */
  readonly terms: readonly {
    readonly term: string;
    readonly count: number;
    readonly holding: number;
  }[];
}

/** Counts the records that hold a query's terms. */
export function countTerms(
  { segments, analyzer }: LexicalSettings,
  text: string,
): LexicalStatistics {
  let [documents, length] = [0, 0];
  for (const { live, liveTerms } of segments) {
    documents += live;
    length += liveTerms;
  }
  const holding = (term: string): number =>
    segments.reduce((sum, { segment, deleted, live }) => {
      const list = segment.postings.find(term)?.documents;
      if (list === undefined) return sum;
      if (live === segment.count) return sum + list.length;
      return sum + list.reduce((count, place) => count + (deleted[place] === 0 ? 1 : 0), 0);
    }, 0);
  const terms = [...countQueryTerms(analyzer, text)].map(([term, count]) => ({
    term,
    count,
    holding: holding(term),
  }));
  return { documents, length, terms };
}

/** A query's terms, weighed by all records of a collection. */
export interface WeighedQuery {
  /** Every term, in the order of their first occurrence. */
  readonly counts: QueryTerms;
  /** Those that some record holds. */
  readonly terms: readonly WeightedTerm[];
  /** Mean number of terms of a record. */
  readonly meanLength: number;
}

/** Weighs a query's terms by what the parts of a collection counted. */
export function weighQuery(
  formula: Bm25Formula,
  parts: readonly LexicalStatistics[],
): WeighedQuery {
  let [documents, length] = [0, 0];
  const holding = new Map<string, number>();
  for (const part of parts) {
    documents += part.documents;
    length += part.length;
    for (const { term, holding: found } of part.terms) {
      holding.set(term, (holding.get(term) ?? 0) + found);
    }
  }
  const counts = new Map((parts[0]?.terms ?? []).map(({ term, count }) => [term, count]));
  const terms = weighTerms(counts, formula, documents, (term) => holding.get(term) ?? 0);
  return { counts, terms, meanLength: documents === 0 ? 0 : length / documents };
}

/** BM25 of every record that holds one of the query's terms. */
export function rankLexical(
  formula: Bm25Formula,
  segments: readonly SearchedSegment[],
  { terms, meanLength }: WeighedQuery,
): Score[] {
  const scores: Score[] = [];
  for (const [number, { live, accepted }] of segments.entries()) {
    const { segment } = live;
    const accumulator = accumulators.get(segment) ?? new ScoreAccumulator();
    accumulators.set(segment, accumulator);
    accumulator.add(segment.postings, terms, formula, meanLength, accepted);
    for (const place of accumulator.touched) {
      scores.push({ segment: number, place, score: accumulator.score(place) });
    }
    accumulator.clear();
  }
  return scores;
}

/** Cosine of every record that has a dense vector. */
export function rankDense(segments: readonly SearchedSegment[], vector: Float32Array): Score[] {
  const scores: Score[] = [];
  for (const [number, { live, accepted }] of segments.entries()) {
    const { dense } = live.segment;
    if (dense === undefined) continue;
    const { dim, places, vectors } = dense;
    for (const [row, place] of places.entries()) {
      if (accepted !== undefined && accepted[place] === 0) continue;
      scores.push({ segment: number, place, score: dotAt(vector, 0, vectors, row * dim, dim) });
    }
  }
  return scores;
}

/** Product of the sparse vectors of every record that shares a term with the query. */
export function rankSparse(segments: readonly SearchedSegment[], query: SparseVector): Score[] {
  const order = [...query.ids.keys()].sort((a, b) => query.ids[a]! - query.ids[b]!);
  const scores: Score[] = [];
  for (const [number, { live, accepted }] of segments.entries()) {
    const { sparse } = live.segment;
    if (sparse === undefined) continue;
    const sums = new Map<number, number>();
    for (const at of order) {
      const term = findTerm(sparse.terms, query.ids[at]!);
      if (term < 0) continue;
      for (let entry = sparse.offsets[term]!; entry < sparse.offsets[term + 1]!; entry++) {
        const place = sparse.places[entry]!;
        if (accepted !== undefined && accepted[place] === 0) continue;
        const part = query.weights[at]! * sparse.weights[entry]!;
        sums.set(place, (sums.get(place) ?? 0) + part);
      }
    }
    for (const [place, score] of sums) scores.push({ segment: number, place, score });
  }
  return scores;
}

function findTerm(terms: Uint32Array, id: number): number {
  let [low, high] = [0, terms.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (terms[middle] === id) return middle;
    if (terms[middle]! < id) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
