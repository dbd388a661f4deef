/** The one record, query and hit of every index: lexical, dense, sparse and by token. */
import type { Filter } from "./filter.ts";
import type { FusionOptions } from "./fusion.ts";

/** A value that records can be filtered by. */
export type FieldValue = string | number | boolean | readonly string[];

/** One vector for each token of a text. */
export interface TokenVectors {
  /** Length of each vector. */
  readonly dim: number;
  /** `[tokens, dim]`; indexes make their length 1. */
  readonly vectors: Float32Array;
  /** `[tokens, 2]`: where each token stands in the text, in UTF-16 units; empty for special tokens. */
  readonly spans?: Uint32Array;
}

/** Weighted terms by number, e.g. vocabulary ids. */
export interface SparseVector {
  /** Each once, in any order. */
  readonly ids: Uint32Array;
  readonly weights: Float32Array;
}

/** A text to be found, with the vectors that it may be found by. */
export interface IndexRecord {
  readonly id: string;
  readonly text: string;
  readonly fields?: Readonly<Record<string, FieldValue>>;
  readonly dense?: Float32Array;
  readonly tokens?: TokenVectors;
  readonly sparse?: SparseVector;
}

/** A search. Each of `text`, `dense`, `tokens` and `sparse` that is given ranks; several are fused. */
export interface SearchQuery {
  /** Ranked by BM25. */
  readonly text?: string;
  readonly dense?: Float32Array;
  readonly tokens?: Omit<TokenVectors, "spans">;
  readonly sparse?: SparseVector;
  /** Only records that satisfy it are looked at: it never leaves fewer than `k` where there are `k`. */
  readonly filter?: Filter;
  /** How many hits at most. Default 10. */
  readonly k?: number;
  /** How several rankings become one. Default reciprocal ranks. */
  readonly fusion?: FusionOptions;
  /** How token vectors are retrieved and scored. */
  readonly tokenSearch?: TokenSearchOptions;
  /** Adds `matches` to hits. Default false. */
  readonly explain?: boolean;
}

/** How token vectors are searched. */
export interface TokenSearchOptions {
  /**
   * `"imputed"` (default): XTR's. Each query token retrieves the best tokens of the index; a record without a
   * retrieved token gets the last retrieved score. `"refined"`: records are estimated by the clusters of their tokens
   * (PLAID's centroid interaction), and the best estimates are scored by all of their tokens. `"exact"`: every record is
   * scored with its best token for each query token (MaxSim).
   */
  readonly scoring?: "imputed" | "refined" | "exact";
  /**
   * How many tokens each query token retrieves. Default 1,000. In `"refined"` scoring: how many records the clusters that it
   * looks into name together at least, one in several clusters counted in each. Not for exact scoring.
   */
  readonly candidates?: number;
  /** How many records are scored by all of their tokens in `"refined"` scoring. Default 100, or as many as the ranking gives. */
  readonly refine?: number;
  /** How many of an index's clusters each query token looks into at least. Default 32. */
  readonly probes?: number;
}

/** Which part of a record earned a score. */
export interface TokenMatch {
  /** Number of the query's token; for BM25 of its term. */
  readonly queryToken: number;
  /** The query's term, where it has one. */
  readonly term?: string;
  /** Where the match stands in the text, in UTF-16 units; absent where no token was retrieved. */
  readonly span?: readonly [start: number, end: number];
  readonly score: number;
  /** True where no token of the record was retrieved, and the score is the bound. */
  readonly imputed: boolean;
}

/** Scores of a hit by ranking. */
export interface HitParts {
  readonly bm25?: number;
  readonly dense?: number;
  readonly token?: number;
  readonly sparse?: number;
}

/** A record found. */
export interface Hit {
  readonly id: string;
  readonly score: number;
  readonly parts: HitParts;
  readonly text: string;
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** With `explain`. */
  readonly matches?: readonly TokenMatch[];
}
