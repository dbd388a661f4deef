/** Runs a ranker over a set of documents and queries. */
import { JetonError } from "../../core/index.ts";
import type { RankedText, Ranker } from "./rankers.ts";

/** Scores of documents by query, and how long they took. */
export interface RankedQueries {
  readonly run: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Seconds for all documents, and for a query on average. */
  readonly indexSeconds: number;
  readonly querySeconds: number;
}

/** Options of `rankQueries`. */
export interface RankQueriesOptions {
  /** Documents of each query that are kept. */
  readonly depth: number;
  /** Code of the error for a ranking that is none. */
  readonly code: string;
}

/**
 * Ranks the documents for each query. A document with the query's own id is left out; a score that is no number counts
 * as -1.
 *
 * @throws JetonError with `code` for a document that is not of the set, or is there twice
 */
export async function rankQueries(
  { documents, queries }: { documents: readonly RankedText[]; queries: readonly RankedText[] },
  ranker: Ranker,
  { depth, code }: RankQueriesOptions,
): Promise<RankedQueries> {
  const known = new Set(documents.map(({ id }) => id));
  const started = performance.now();
  const rank = await ranker.index(documents);
  const indexed = performance.now();
  const run = new Map<string, Map<string, number>>();
  for (const query of queries) {
    const scores = new Map<string, number>();
    // One more, in case the query itself is among them.
    for (const { id, score } of await rank(query, depth + 1)) {
      if (!known.has(id) || scores.has(id)) {
        throw new JetonError(
          `${ranker.name}, query ${JSON.stringify(query.id)}: document ${JSON.stringify(id)} is not of the set, or there twice`,
          {
            code,
            details: {
              ...{ ranker: ranker.name, query: query.id, found: id },
              expected: "documents of the set, once",
            },
          },
        );
      }
      if (id !== query.id && scores.size < depth) scores.set(id, Number.isNaN(score) ? -1 : score);
    }
    run.set(query.id, scores);
  }
  const seconds = (performance.now() - indexed) / 1000;
  return {
    run,
    indexSeconds: (indexed - started) / 1000,
    querySeconds: queries.length === 0 ? 0 : seconds / queries.length,
  };
}
