/**
 * A query over the segments of one index, in three steps: what this index knows of the query, the ranking by what
 * all indexes of the collection know, and what the hits hold. A search of one index takes the steps one after the
 * other; shards of an index take each together. So both rank alike.
 */
import { type Analyzer, type Bm25Formula, compareUtf8, TopSelector } from "../../lexical/index.ts";
import { compileFilter } from "../filter.ts";
import type { RankingName } from "../fusion.ts";
import type { VectorSizes } from "../records.ts";
import type { LiveSegment } from "../store/index-state.ts";
import {
  lastScores,
  type TokenPart,
  type TokenScores,
  TokenSearch,
} from "../tokens/token-search.ts";
import type { Hit, SearchQuery } from "../types.ts";
import { checkQuery, denseRow, type QuerySettings, settingsOf, tokenRows } from "./check-query.ts";
import { explainLexical, explainTokens } from "./explain.ts";
import {
  countTerms,
  type LexicalStatistics,
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

/** What one index knows of a query. */
export interface QueryStatistics {
  /** Of a query with a text. */
  readonly lexical?: LexicalStatistics;
  /** Of a query whose tokens retrieve: for each its best scores, at most `candidates`, in no order. */
  readonly tokenScores?: readonly Float32Array[];
}

/** What all indexes of a collection know of a query. */
export interface CollectionStatistics {
  readonly weighed?: WeighedQuery;
  /** For each query token the last score that it retrieved. */
  readonly bounds?: Float32Array;
}

/** A record in a ranking. */
export interface RankedEntry {
  readonly id: string;
  readonly score: number;
  /** The imputed score of a record that was scored again. */
  readonly imputed?: number;
}

/** What a hit holds beside its score. */
export type HitContent = Pick<Hit, "text" | "fields" | "matches">;

/** Joins what the indexes of a collection know. */
export function joinStatistics(
  formula: Bm25Formula,
  parts: readonly QueryStatistics[],
  query: SearchQuery,
): CollectionStatistics {
  const lexical = parts.flatMap((part) => part.lexical ?? []);
  const tokens = parts.flatMap((part) => (part.tokenScores ? [part.tokenScores] : []));
  return {
    ...(query.text !== undefined && { weighed: weighQuery(formula, lexical) }),
    ...(tokens.length > 0 && { bounds: lastScores(tokens, settingsOf(query).candidates) }),
  };
}

/** A query that is being answered. */
export class QueryRun {
  readonly #index: SearchedIndex;
  readonly #query: SearchQuery;
  readonly #settings: QuerySettings;
  readonly #segments: readonly SearchedSegment[];
  readonly #tokens: TokenRun | undefined;
  readonly #places: Map<string, Score> = new Map();
  #collection: CollectionStatistics = {};

  /** @throws JetonError `search-query-invalid`, `filter-invalid`, `fusion-invalid` */
  constructor(index: SearchedIndex, query: SearchQuery) {
    checkQuery(query, index.sizes);
    this.#index = index;
    this.#query = query;
    this.#settings = settingsOf(query);
    this.#segments = acceptRecords(index.segments, query);
    this.#tokens = query.tokens && new TokenRun(this.#segments, query.tokens, this.#settings);
  }

  /** The first step. */
  count(): QueryStatistics {
    const { text } = this.#query;
    const tokenScores = this.#tokens?.retrieve();
    return {
      ...(text !== undefined && { lexical: countTerms(this.#index, text) }),
      ...(tokenScores !== undefined && { tokenScores }),
    };
  }

  /** The second step: this index's part of each ranking, best first. */
  rank(collection: CollectionStatistics): Map<RankingName, RankedEntry[]> {
    this.#collection = collection;
    const { dense, sparse } = this.#query;
    const rankings = new Map<RankingName, RankedEntry[]>();
    const add = (name: RankingName, scores: readonly Score[]): void => {
      rankings.set(name, this.#select(scores, this.#settings.depth));
    };
    if (collection.weighed !== undefined) {
      add("bm25", rankLexical(this.#index.formula, this.#segments, collection.weighed));
    }
    if (dense !== undefined) add("dense", rankDense(this.#segments, denseRow(dense)));
    if (sparse !== undefined) add("sparse", rankSparse(this.#segments, sparse));
    if (this.#tokens !== undefined) rankings.set("token", this.#rankTokens(this.#tokens));
    return rankings;
  }

  /** The third step: what records that `rank` gave hold. */
  read(ids: readonly string[]): HitContent[] {
    return ids.map((id) => {
      const { segment, place } = this.#places.get(id)!;
      const { live } = this.#segments[segment]!;
      const text = live.segment.text(place);
      const content = { text, fields: live.segment.fields[place]! };
      if (!this.#query.explain) return content;
      const { weighed } = this.#collection;
      const matches = weighed === undefined ? [] : explainLexical(this.#index, weighed, text);
      matches.push(...(this.#tokens?.explain(segment, place) ?? []));
      return { ...content, matches };
    });
  }

  #rankTokens(tokens: TokenRun): RankedEntry[] {
    const { scoring, depth, refine } = this.#settings;
    if (scoring === "exact") return this.#select(tokens.scoreAll(), depth);
    const imputed = tokens.impute(this.#collection.bounds!);
    if (scoring === "imputed") return this.#select(imputed, depth);
    const first = this.#select(imputed, refine);
    const exact = tokens.refine(first.map(({ id }) => this.#places.get(id)!));
    return first.map(({ id, score }, at) => ({ id, score: exact[at]!, imputed: score }));
  }

  #select(scores: readonly Score[], depth: number): RankedEntry[] {
    const idOf = ({ segment, place }: Score): string =>
      this.#segments[segment]!.live.segment.ids[place]!;
    const isBefore = (a: number, b: number): boolean =>
      compareUtf8(idOf(scores[a]!), idOf(scores[b]!)) > 0;
    const top = new TopSelector(depth, isBefore);
    for (const [at, { score }] of scores.entries()) {
      if (score >= top.threshold) top.offer(at, score);
    }
    return top.ranked().map(({ place }) => {
      const found = scores[place]!;
      const id = idOf(found);
      this.#places.set(id, found);
      return { id, score: found.score };
    });
  }
}

/** The part of a query that is about token vectors. */
class TokenRun {
  readonly #search: TokenSearch;
  readonly #settings: QuerySettings;
  readonly #count: number;
  /** Numbers of the segments that have token vectors, by part, and the other way round. */
  readonly #segmentOf: readonly number[];
  readonly #segments: readonly SearchedSegment[];
  /** Newest first. */
  #scored: TokenScores[] = [];

  constructor(
    segments: readonly SearchedSegment[],
    tokens: NonNullable<SearchQuery["tokens"]>,
    settings: QuerySettings,
  ) {
    const { dim } = tokens;
    this.#segments = segments;
    this.#settings = settings;
    this.#count = tokens.vectors.length / dim;
    this.#segmentOf = [...segments.keys()].filter(
      (number) => segments[number]!.live.segment.tokens !== undefined,
    );
    const parts = this.#segmentOf.map((number): TokenPart => {
      const { live, accepted } = segments[number]!;
      const { offsets, flat, inverted } = live.segment.tokens!;
      const all = accepted ?? new Uint8Array(live.segment.count).fill(1);
      return { dim, offsets, flat, inverted, accepted: all };
    });
    this.#search = new TokenSearch(parts, tokenRows(tokens), dim);
  }

  /** Best scores of each query token; undefined where all records are scored anyway. */
  retrieve(): Float32Array[] | undefined {
    const { scoring, candidates, probes } = this.#settings;
    return scoring === "exact" ? undefined : this.#search.retrieve({ candidates, probes });
  }

  impute(bounds: Float32Array): Score[] {
    return this.#keep(this.#search.impute(bounds));
  }

  scoreAll(): Score[] {
    return this.#keep(this.#search.scoreExactly(this.#search.allRecords()));
  }

  /** Exact scores of some records, in their order. */
  refine(places: readonly Score[]): number[] {
    const partOf = new Map(this.#segmentOf.map((segment, part) => [segment, part]));
    const records = Uint32Array.from(places, ({ segment, place }) =>
      this.#search.numberOf(partOf.get(segment)!, place),
    );
    return this.#keep(this.#search.scoreExactly(records)).map(({ score }) => score);
  }

  explain(segment: number, place: number): ReturnType<typeof explainTokens> {
    const part = this.#segmentOf.indexOf(segment);
    if (part < 0) return [];
    const record = this.#search.numberOf(part, place);
    for (const scores of this.#scored) {
      const slot = scores.records.indexOf(record);
      if (slot < 0) continue;
      return explainTokens(
        this.#segments[segment]!.live.segment.tokens!,
        scores,
        slot,
        this.#count,
      );
    }
    return [];
  }

  #keep(scores: TokenScores): Score[] {
    this.#scored.unshift(scores);
    return Array.from(scores.records, (record, slot) => {
      const { part, place } = this.#search.locate(record);
      return { segment: this.#segmentOf[part]!, place, score: scores.means[slot]! };
    });
  }
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
