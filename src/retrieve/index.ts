/**
 * Retrieval: one record, one query, one hit over BM25, dense, sparse and token vectors.
 *
 * @module retrieve
 */
export * from "./dupmae/index.ts";
export type { Filter, RangeBounds } from "./filter.ts";
export { type FusionOptions, fuseRankings, type RankedRecord, type RankingName } from "./fusion.ts";
export * from "./m2-bert-loco/index.ts";
export {
  createIndex,
  type IndexSettings,
  type OpenIndexOptions,
  openIndex,
  type SearchIndex,
} from "./open-index.ts";
export { makeSnippet, type Snippet, type SnippetOptions } from "./search/snippet.ts";
export { maxSim } from "./tokens/token-search.ts";
export type {
  FieldValue,
  Hit,
  HitParts,
  IndexRecord,
  SearchQuery,
  SparseVector,
  TokenMatch,
  TokenSearchOptions,
  TokenVectors,
} from "./types.ts";
