/** A query answered over all segments of an index at one moment. */
import { JetonError } from "../../core/index.ts";
import { type Analyzer, type Bm25Formula, compareUtf8, TopSelector } from "../../lexical/index.ts";
import { compileFilter } from "../filter.ts";
import { checkFusion, fuseRankings, type RankedRecord, type RankingName } from "../fusion.ts";
import { normalizeRows, type VectorSizes } from "../records.ts";
import type { LiveSegment } from "../store/index-state.ts";
import { searchTokens, type TokenCandidate, type TokenPart } from "../tokens/token-search.ts";
import type { Hit, HitParts, SearchQuery } from "../types.ts";
import { explainLexical, explainTokens } from "./explain.ts";
import {
  rankDense,
  rankLexical,
  rankSparse,
  type Score,
  type WeighedQuery,
  weighQuery,
} from "./rankings.ts";

/** What a search needs of an index. */
export interface SearchedIndex {
  readonly segments: readonly LiveSegment[];
  readonly analyzer: Analyzer;
  readonly formula: Bm25Formula;
  readonly sizes: Readonly<VectorSizes>;
}

/** A segment with the records that a query may find. */
export interface SearchedSegment {
  readonly live: LiveSegment;
  /** 1 for each record that may be found; undefined for all. */
  readonly accepted: Uint8Array | undefined;
}

interface Ranking {
  readonly scores: readonly Score[];
  readonly candidates?: ReadonlyMap<string, TokenCandidate>;
}

/**
 * Answers a query.
 *
 * @throws JetonError `search-query-invalid`, `filter-invalid`, `fusion-invalid`
 */
export function searchSegments(index: SearchedIndex, query: SearchQuery): Hit[] {
  const { k = 10, fusion = {} } = query;
  checkQuery(query, index.sizes);
  checkFusion(fusion);
  const segments = acceptRecords(index.segments, query);
  const isSingle = countRankings(query) === 1;
  const depth = isSingle ? k : (fusion.depth ?? Math.max(100, 10 * k));
  const weighed = query.text === undefined ? undefined : weighQuery(index, query.text);
  const rankings = rankAll(index.formula, segments, query, weighed);
  const best = new Map<RankingName, RankedRecord[]>();
  const places = new Map<string, Score>();
  for (const [name, { scores }] of rankings) {
    const top = selectTop(segments, scores, depth);
    for (const { id, score } of top) places.set(id, score);
    best.set(
      name,
      top.map(({ id, score }) => ({ id, score: score.score })),
    );
  }
  const [only] = best.values();
  const fused = isSingle ? only! : fuseRankings(best, fusion);
  const partsOf = new Map<string, Record<string, number>>();
  for (const [name, ranking] of best) {
    for (const { id, score } of ranking) {
      const parts = partsOf.get(id) ?? {};
      parts[name] = score;
      partsOf.set(id, parts);
    }
  }
  return fused.slice(0, k).map(({ id, score }) => {
    const { segment, place } = places.get(id)!;
    const { live } = segments[segment]!;
    const text = live.segment.text(place);
    const hit: Hit = {
      id,
      score,
      parts: partsOf.get(id)! as HitParts,
      text,
      fields: live.segment.fields[place]!,
    };
    if (!query.explain) return hit;
    const matches = weighed === undefined ? [] : explainLexical(index, weighed, text);
    const candidate = rankings.get("token")?.candidates?.get(`${segment} ${place}`);
    if (candidate !== undefined) matches.push(...explainTokens(live.segment.tokens!, candidate));
    return { ...hit, matches };
  });
}

function countRankings({ text, dense, tokens, sparse }: SearchQuery): number {
  return [text, dense, tokens, sparse].filter((one) => one !== undefined).length;
}

/** Filters come first: what they leave out is never scored. */
function acceptRecords(
  segments: readonly LiveSegment[],
  { filter }: SearchQuery,
): SearchedSegment[] {
  const condition = filter === undefined ? undefined : compileFilter(filter);
  return segments.map((live) => {
    const { segment, deleted } = live;
    if (condition === undefined && live.live === segment.count)
      return { live, accepted: undefined };
    const accepted = Uint8Array.from(deleted, (isDeleted, place) =>
      isDeleted === 0 && (condition?.(segment.ids[place]!, segment.fields[place]!) ?? true) ? 1 : 0,
    );
    return { live, accepted };
  });
}

function rankAll(
  formula: Bm25Formula,
  segments: readonly SearchedSegment[],
  query: SearchQuery,
  weighed: WeighedQuery | undefined,
): Map<RankingName, Ranking> {
  const rankings = new Map<RankingName, Ranking>();
  if (weighed !== undefined) {
    rankings.set("bm25", { scores: rankLexical(formula, segments, weighed) });
  }
  if (query.dense !== undefined) {
    const vector = normalizeRows(query.dense, query.dense.length, "dense", "(query)");
    rankings.set("dense", { scores: rankDense(segments, vector) });
  }
  if (query.sparse !== undefined) {
    rankings.set("sparse", { scores: rankSparse(segments, query.sparse) });
  }
  if (query.tokens !== undefined) rankings.set("token", rankTokens(segments, query));
  return rankings;
}

function rankTokens(segments: readonly SearchedSegment[], query: SearchQuery): Ranking {
  const { dim } = query.tokens!;
  const vectors = normalizeRows(query.tokens!.vectors, dim, "tokens", "(query)");
  const withTokens = [...segments.entries()].filter(
    ([, { live }]) => live.segment.tokens !== undefined,
  );
  const parts = withTokens.map(([, { live, accepted }]): TokenPart => {
    const { offsets, flat, inverted } = live.segment.tokens!;
    const all = accepted ?? new Uint8Array(live.segment.count).fill(1);
    return { dim, offsets, flat, inverted, accepted: all };
  });
  const { scoring = "imputed", candidates = 1000, probes = 32 } = query.tokenSearch ?? {};
  const found = searchTokens(parts, vectors, dim, {
    candidates: scoring === "exact" ? Number.POSITIVE_INFINITY : candidates,
    probes,
  });
  const scores: Score[] = [];
  const byPlace = new Map<string, TokenCandidate>();
  for (const candidate of found) {
    const segment = withTokens[candidate.part]![0];
    scores.push({ segment, place: candidate.place, score: candidate.score });
    byPlace.set(`${segment} ${candidate.place}`, candidate);
  }
  return { scores, candidates: byPlace };
}

function selectTop(
  segments: readonly SearchedSegment[],
  scores: readonly Score[],
  depth: number,
): { id: string; score: Score }[] {
  const idOf = ({ segment, place }: Score): string => segments[segment]!.live.segment.ids[place]!;
  const top = new TopSelector(depth, (a, b) => compareUtf8(idOf(scores[a]!), idOf(scores[b]!)) > 0);
  for (const [at, { score }] of scores.entries()) {
    if (score >= top.threshold) top.offer(at, score);
  }
  return top.ranked().map(({ place }) => ({ id: idOf(scores[place]!), score: scores[place]! }));
}

function checkQuery(query: SearchQuery, sizes: Readonly<VectorSizes>): void {
  const { k = 10, tokenSearch = {} } = query;
  const { candidates = 1, probes = 1, scoring = "imputed" } = tokenSearch;
  for (const [name, value] of Object.entries({ k, candidates, probes })) {
    if (!(Number.isInteger(value) && value > 0))
      throw invalid(name, value, "a whole number from 1");
  }
  if (scoring !== "imputed" && scoring !== "exact") {
    throw invalid("scoring", scoring, "imputed or exact");
  }
  if (countRankings(query) === 0) {
    throw invalid("query", Object.keys(query), "text, dense, tokens or sparse");
  }
  if (query.dense !== undefined && query.dense.length !== (sizes.dense ?? query.dense.length)) {
    throw invalid("dense", query.dense.length, `a vector of ${sizes.dense} numbers`);
  }
  if (query.tokens !== undefined) {
    const { dim, vectors } = query.tokens;
    const isWhole = dim > 0 && vectors.length > 0 && vectors.length % dim === 0;
    if (!isWhole || dim !== (sizes.tokens ?? dim)) {
      throw invalid(
        "tokens",
        [vectors.length, dim],
        `vectors of ${sizes.tokens ?? "some"} numbers`,
      );
    }
  }
  const { ids, weights } = query.sparse ?? {};
  if (ids?.length !== weights?.length) {
    throw invalid("sparse", [ids?.length, weights?.length], "as many weights as ids");
  }
}

function invalid(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`search, ${option}: ${JSON.stringify(found)}; expected ${expected}`, {
    code: "search-query-invalid",
    details: { option, found, expected },
  });
}
