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
export {
  type ConnectShardsOptions,
  connectShards,
  type LostShard,
  type ShardedAnswer,
  type ShardedIndex,
} from "./shards/connect-shards.ts";
export { type ServeShardOptions, type ShardService, serveShard } from "./shards/serve-shard.ts";
export {
  type LanceStore,
  type LanceTokenIndexOptions,
  type OpenLanceStoreOptions,
  openLanceStore,
} from "./stores/lance-store.ts";
export { type OpenQdrantStoreOptions, openQdrantStore } from "./stores/qdrant-store.ts";
export type { FieldKind, RecordStore, RecordStoreOptions } from "./stores/record-store.ts";
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
export {
  retrieveTokens,
  type ScoreRetrievedOptions,
  scoreRetrieved,
  type TokenProducts,
} from "./xtr/index.ts";
