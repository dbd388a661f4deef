/** A query answered over all segments of an index at one moment. */
import type { Hit, SearchQuery } from "../types.ts";
import { joinRankings } from "./join-rankings.ts";
import { joinStatistics, QueryRun, type SearchedIndex } from "./query-run.ts";

/**
 * Answers a query.
 *
 * @throws JetonError `search-query-invalid`, `filter-invalid`, `fusion-invalid`
 */
export async function searchSegments(index: SearchedIndex, query: SearchQuery): Promise<Hit[]> {
  const run = new QueryRun(index, query);
  const collection = joinStatistics(index.formula, [run.count()], query);
  const hits = joinRankings([await run.rank(collection)], query);
  const contents = run.read(hits.map(({ id }) => id));
  return hits.map((hit, at) => ({ ...hit, ...contents[at]! }));
}
