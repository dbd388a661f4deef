/** Rankings of all indexes of a collection made one answer. */
import { compareUtf8 } from "../../lexical/index.ts";
import { fuseRankings, type RankedRecord, type RankingName } from "../fusion.ts";
import type { Hit, HitParts, SearchQuery } from "../types.ts";
import { settingsOf } from "./check-query.ts";
import type { RankedEntry } from "./query-run.ts";

/** A hit before what it holds is read. */
export type ScoredHit = Pick<Hit, "id" | "score" | "parts">;

/** Joins the rankings of indexes that share no record, and fuses them: the `k` best, best first. */
export function joinRankings(
  parts: readonly ReadonlyMap<RankingName, readonly RankedEntry[]>[],
  query: SearchQuery,
): ScoredHit[] {
  const { k, depth, refine, isSingle } = settingsOf(query);
  const best = new Map<RankingName, RankedRecord[]>();
  for (const name of parts[0]?.keys() ?? []) {
    let entries = parts.flatMap((part) => part.get(name) ?? []);
    // Which records are scored again is decided by all estimates.
    if (entries.some(({ estimate }) => estimate !== undefined)) {
      entries = takeBest(entries, refine, ({ estimate }) => estimate!);
    }
    const taken = takeBest(entries, depth, ({ score }) => score);
    best.set(
      name,
      taken.map(({ id, score }) => ({ id, score })),
    );
  }
  const [only] = best.values();
  const fused = isSingle ? (only ?? []) : fuseRankings(best, query.fusion);
  const partsOf = new Map<string, Record<string, number>>();
  for (const [name, ranking] of best) {
    for (const { id, score } of ranking) {
      const scores = partsOf.get(id) ?? {};
      scores[name] = score;
      partsOf.set(id, scores);
    }
  }
  return fused.slice(0, k).map(({ id, score }) => {
    return { id, score, parts: partsOf.get(id)! as HitParts };
  });
}

function takeBest(
  entries: readonly RankedEntry[],
  count: number,
  scoreOf: (entry: RankedEntry) => number,
): RankedEntry[] {
  return entries
    .toSorted((a, b) => scoreOf(b) - scoreOf(a) || compareUtf8(b.id, a.id))
    .slice(0, count);
}
