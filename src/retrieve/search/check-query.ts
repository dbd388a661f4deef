/** What a query must be. */
import { JetonError } from "../../core/index.ts";
import { checkOptionNames } from "../../core/option-rules.ts";
import { checkFusion, type RankingName } from "../fusion.ts";
import { isFloat, normalizeRows, type VectorSizes } from "../records.ts";
import type { SearchQuery, TokenSearchOptions } from "../types.ts";

/** A query's options with their defaults. */
export interface QuerySettings {
  readonly k: number;
  /** How many records of each ranking take part. */
  readonly depth: number;
  readonly isSingle: boolean;
  readonly scoring: NonNullable<TokenSearchOptions["scoring"]>;
  readonly candidates: number;
  readonly probes: number;
  readonly refine: number;
}

/** The settings of a query that was checked. */
export function settingsOf(query: SearchQuery): QuerySettings {
  const { k = 10, fusion = {}, tokenSearch = {} } = query;
  const isSingle = rankingsOf(query).length === 1;
  const depth = isSingle ? k : (fusion.depth ?? Math.max(100, 10 * k));
  const { scoring = "imputed", candidates = 1000, probes = 32 } = tokenSearch;
  const refine = tokenSearch.refine ?? Math.max(100, depth);
  return { k, depth, isSingle, scoring, candidates, probes, refine };
}

/** What a query asks to be ranked by. */
export function rankingsOf({ text, dense, tokens, sparse }: SearchQuery): RankingName[] {
  const given: Record<RankingName, unknown> = { bm25: text, dense, token: tokens, sparse };
  return (Object.keys(given) as RankingName[]).filter((name) => given[name] !== undefined);
}

/** A query's dense vector, of length 1. */
export function denseRow(dense: Float32Array): Float32Array {
  return normalizeRows(dense, dense.length, "dense", "(query)");
}

/** A query's token vectors, each of length 1. */
export function tokenRows({ dim, vectors }: NonNullable<SearchQuery["tokens"]>): Float32Array {
  return normalizeRows(vectors, dim, "tokens", "(query)");
}

const queryNames: readonly (keyof SearchQuery)[] = [
  ...(["text", "dense", "tokens", "sparse", "filter"] as const),
  ...(["k", "fusion", "tokenSearch", "explain"] as const),
];

function checkNames(options: unknown, names: readonly string[], what: string): void {
  checkOptionNames(options, names, { what, invalidCode: "search-query-invalid" });
}

const scorings = ["imputed", "refined", "exact"];

/**
 * Checks a query.
 *
 * @param refines whether imputed scoring scores records again where `refine` is given, as some stores do
 * @throws JetonError `search-query-invalid`, `fusion-invalid`
 */
export function checkQuery(
  query: SearchQuery,
  sizes: Readonly<VectorSizes>,
  refines = false,
): void {
  if (typeof query === "string") {
    throw invalid("query", query, `an object, e.g. { text: ${JSON.stringify(query)} }`);
  }
  checkNames(query, queryNames, "a search");
  const { k = 10, tokenSearch = {}, fusion = {} } = query;
  checkNames(tokenSearch, ["scoring", "candidates", "refine", "probes"], "a search's tokenSearch");
  if (query.text !== undefined && typeof query.text !== "string") {
    throw invalid("text", query.text, "a text");
  }
  if (!["undefined", "boolean"].includes(typeof query.explain)) {
    throw invalid("explain", query.explain, "true or false");
  }
  const { candidates = 1, probes = 1, refine = 1, scoring = "imputed" } = tokenSearch;
  for (const [name, value] of Object.entries({ k, candidates, probes, refine })) {
    if (!(Number.isInteger(value) && value > 0))
      throw invalid(name, value, "a whole number from 1");
  }
  if (!scorings.includes(scoring)) throw invalid("scoring", scoring, scorings.join(", "));
  if (rankingsOf(query).length === 0) {
    throw invalid("query", Object.keys(query), "text, dense, tokens or sparse");
  }
  checkFusion(fusion);
  checkEffects(query, refines);
  const { depth } = settingsOf(query);
  if (scoring === "refined" && tokenSearch.refine !== undefined && refine < depth) {
    throw invalid("refine", refine, `at least the ${depth} records that the ranking gives`);
  }
  checkVectors(query, sizes);
}

/** Options that change nothing of this query. */
function checkEffects(query: SearchQuery, refines: boolean): void {
  const { tokenSearch, fusion } = query;
  const rankings = rankingsOf(query);
  if (tokenSearch !== undefined && query.tokens === undefined) {
    throw invalid("tokenSearch", tokenSearch, "nothing, or tokens to search for");
  }
  const { scoring = "imputed", candidates, probes, refine } = tokenSearch ?? {};
  for (const [name, value] of Object.entries({ candidates, probes })) {
    if (value !== undefined && scoring === "exact") {
      throw invalid(name, value, "nothing: exact scoring compares all tokens");
    }
  }
  const isRefined = scoring === "refined" || (refines && scoring === "imputed");
  if (refine !== undefined && !isRefined) {
    throw invalid("refine", refine, `nothing: ${scoring} scoring scores no record twice`);
  }
  if (fusion !== undefined && rankings.length === 1) {
    throw invalid("fusion", fusion, `nothing, or another ranking beside ${rankings[0]}`);
  }
  for (const name of Object.keys(fusion?.weights ?? {})) {
    if (rankings.includes(name as RankingName)) continue;
    throw invalid(
      "fusion.weights",
      { [name]: fusion!.weights },
      `weights of ${rankings.join(", ")}`,
    );
  }
}

function checkVectors({ dense, tokens, sparse }: SearchQuery, sizes: Readonly<VectorSizes>): void {
  if (dense !== undefined) {
    checkNumbers("dense", dense);
    if (dense.length === 0 || dense.length !== (sizes.dense ?? dense.length)) {
      throw invalid("dense", dense.length, `a vector of ${sizes.dense ?? "some"} numbers`);
    }
  }
  if (tokens !== undefined) {
    checkNames(tokens, ["dim", "vectors", "spans"], "a search's tokens");
    const { dim, vectors } = tokens;
    checkNumbers("tokens", vectors);
    const isWhole = Number.isInteger(dim) && dim > 0 && vectors.length % dim === 0;
    if (!isWhole || vectors.length === 0 || dim !== (sizes.tokens ?? dim)) {
      throw invalid(
        "tokens",
        [vectors.length, dim],
        `vectors of ${sizes.tokens ?? "some"} numbers`,
      );
    }
  }
  if (sparse !== undefined) {
    checkNames(sparse, ["ids", "weights"], "a search's sparse vector");
    const { ids, weights } = sparse;
    checkNumbers("sparse.ids", ids);
    checkNumbers("sparse.weights", weights);
    const wrong = Array.from(ids).find((id) => !(Number.isInteger(id) && id >= 0 && id < 2 ** 32));
    if (wrong !== undefined) throw invalid("sparse.ids", wrong, "whole numbers from 0");
    if (ids.length !== weights.length || new Set(ids).size !== ids.length) {
      throw invalid("sparse", [ids.length, weights.length], "as many weights as different ids");
    }
  }
}

function checkNumbers(name: string, values: unknown): void {
  const isList = ArrayBuffer.isView(values) || Array.isArray(values);
  if (!isList || !("every" in values && values.every(isFloat))) {
    throw invalid(name, isList ? "numbers that are not finite" : values, "finite numbers");
  }
}

function invalid(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`search, ${option}: ${JSON.stringify(found)}; expected ${expected}`, {
    code: "search-query-invalid",
    details: { option, found, expected },
  });
}
