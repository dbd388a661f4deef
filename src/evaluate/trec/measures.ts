/** Measures of one query's ranking, as trec_eval defines them. */
import { JetonError } from "../../core/index.ts";

/**
 * A measure by name: `ndcg`, `map`, `mrr` over the whole ranking or cut at a rank (`ndcg@10`), and
 * `recall@k`, `precision@k`, `success@k`.
 */
export type MeasureName =
  | "ndcg"
  | "map"
  | "mrr"
  | `${"ndcg" | "map" | "mrr" | "recall" | "precision" | "success"}@${number}`;

/** A ranking with its judgments. */
export interface JudgedRanking {
  /** Levels of the retrieved documents, in their order; 0 for unjudged ones. */
  readonly levels: readonly number[];
  /** Levels of all judged documents, retrieved or not, in any order. */
  readonly judged: readonly number[];
  /** Lowest level of a relevant document. */
  readonly level: number;
}

type Compute = (ranking: JudgedRanking, cut: number) => number;

const computations: Readonly<Record<string, Compute>> = {
  ndcg: computeNdcg,
  map: computeAveragePrecision,
  mrr: ({ levels, level }, cut) => {
    const at = levels.findIndex((found) => found >= level);
    return at >= 0 && at < cut ? 1 / (at + 1) : 0;
  },
  recall: (ranking, cut) => {
    const all = countRelevant(ranking.judged, ranking.level);
    return all === 0 ? 0 : countRelevant(ranking.levels.slice(0, cut), ranking.level) / all;
  },
  precision: ({ levels, level }, cut) => countRelevant(levels.slice(0, cut), level) / cut,
  success: ({ levels, level }, cut) => (countRelevant(levels.slice(0, cut), level) > 0 ? 1 : 0),
};

const wholeRanking = new Set(["ndcg", "map", "mrr"]);

/**
 * The function of a measure.
 *
 * @throws JetonError `measure-unknown`
 */
export function findMeasure(name: string): (ranking: JudgedRanking) => number {
  const [, kind = "", cut] = /^([a-z]+)(?:@([1-9]\d*))?$/.exec(name) ?? [];
  const compute = Object.hasOwn(computations, kind) ? computations[kind] : undefined;
  if (compute === undefined || (cut === undefined && !wholeRanking.has(kind))) {
    const expected = "ndcg, map, mrr, or one of ndcg, map, mrr, recall, precision, success with @k";
    throw new JetonError(`measure ${JSON.stringify(name)}; expected ${expected}`, {
      code: "measure-unknown",
      details: { found: name, expected },
    });
  }
  const rank = cut === undefined ? Number.POSITIVE_INFINITY : Number(cut);
  return (ranking) => compute(ranking, rank);
}

/** Number of relevant documents among these levels. */
export function countRelevant(levels: readonly number[], level: number): number {
  return levels.reduce((count, found) => count + (found >= level ? 1 : 0), 0);
}

/** Linear gain; negative levels gain nothing. */
function computeDcg(levels: readonly number[], cut: number): number {
  let sum = 0;
  for (const [at, level] of levels.slice(0, cut).entries()) {
    if (level > 0) sum += level / Math.log2(at + 2);
  }
  return sum;
}

function computeNdcg({ levels, judged }: JudgedRanking, cut: number): number {
  const ideal = computeDcg(
    judged.toSorted((a, b) => b - a),
    cut,
  );
  return ideal === 0 ? 0 : computeDcg(levels, cut) / ideal;
}

function computeAveragePrecision({ levels, judged, level }: JudgedRanking, cut: number): number {
  const all = countRelevant(judged, level);
  let [found, sum] = [0, 0];
  for (const [at, one] of levels.slice(0, cut).entries()) {
    if (one >= level) sum += ++found / (at + 1);
  }
  return all === 0 ? 0 : sum / all;
}
