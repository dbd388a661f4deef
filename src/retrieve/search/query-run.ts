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
import type { TokenEngine } from "../tokens/token-engine.ts";
import {
  lastScores,
  type RecordScores,
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
  /** The programs that score records of inverted files; opened when first wanted. */
  readonly openEngine: () => Promise<TokenEngine>;
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
  /** Of a query whose tokens retrieve (imputed scoring): for each its best scores, at most `candidates`, in no order. */
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
  /** The estimate of a record that was scored again. */
  readonly estimate?: number;
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
    this.#tokens =
      query.tokens && new TokenRun(this.#segments, query.tokens, this.#settings, index.openEngine);
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
  async rank(collection: CollectionStatistics): Promise<Map<RankingName, RankedEntry[]>> {
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
    if (this.#tokens !== undefined) rankings.set("token", await this.#rankTokens(this.#tokens));
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

  async #rankTokens(tokens: TokenRun): Promise<RankedEntry[]> {
    const { scoring, depth, refine } = this.#settings;
    if (scoring === "exact") return this.#select(await tokens.scoreAll(), depth);
    if (scoring === "imputed") return this.#select(tokens.impute(this.#collection.bounds!), depth);
    const first = this.#select(await tokens.estimate(), refine);
    const exact = await tokens.refine(first.map(({ id }) => this.#places.get(id)!));
    return first.map(({ id, score }, at) => ({ id, score: exact[at]!, estimate: score }));
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
  #imputed: TokenScores | undefined;

  constructor(
    segments: readonly SearchedSegment[],
    tokens: NonNullable<SearchQuery["tokens"]>,
    settings: QuerySettings,
    openEngine: () => Promise<TokenEngine>,
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
    this.#search = new TokenSearch(parts, tokenRows(tokens), dim, openEngine);
  }

  /** Best scores of each query token; undefined where no bound is wanted of them. */
  retrieve(): Float32Array[] | undefined {
    const { scoring, candidates, probes } = this.#settings;
    return scoring === "imputed" ? this.#search.retrieve({ candidates, probes }) : undefined;
  }

  impute(bounds: Float32Array): Score[] {
    this.#imputed = this.#search.impute(bounds);
    return this.#place(this.#imputed);
  }

  /** The best records by estimate, as many as are scored again; more where some are equal. */
  async estimate(): Promise<Score[]> {
    const { candidates, probes, refine } = this.#settings;
    return this.#place(await this.#search.estimate({ candidates, probes }, refine));
  }

  async scoreAll(): Promise<Score[]> {
    return this.#place(await this.#search.scoreExactly(this.#search.allRecords()));
  }

  /** Exact scores of some records, in their order. */
  async refine(places: readonly Score[]): Promise<number[]> {
    const records = Uint32Array.from(places, ({ segment, place }) =>
      this.#numberOf(segment, place),
    );
    return [...(await this.#search.scoreExactly(records)).means];
  }

  explain(segment: number, place: number): ReturnType<typeof explainTokens> {
    if (!this.#segmentOf.includes(segment)) return [];
    const { tokens } = this.#segments[segment]!.live.segment;
    const record = this.#numberOf(segment, place);
    const imputed = this.#imputed;
    if (imputed === undefined) {
      // A record without tokens was found by another ranking.
      if (tokens!.offsets[place + 1] === tokens!.offsets[place]) return [];
      return explainTokens(tokens!, this.#search.matchTokens(record), 0, this.#count);
    }
    const slot = imputed.records.indexOf(record);
    return slot < 0 ? [] : explainTokens(tokens!, imputed, slot, this.#count);
  }

  #numberOf(segment: number, place: number): number {
    return this.#search.numberOf(this.#segmentOf.indexOf(segment), place);
  }

  #place({ records, means }: RecordScores): Score[] {
    return Array.from(records, (record, slot) => {
      const { part, place } = this.#search.locate(record);
      return { segment: this.#segmentOf[part]!, place, score: means[slot]! };
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
