/** Several rankings of the same records made one. */
import { JetonError } from "../core/index.ts";
import { objectRule } from "../core/option-rules.ts";
import { compareUtf8 } from "../lexical/index.ts";

/** The rankings that a query may have. */
export type RankingName = "bm25" | "dense" | "token" | "sparse";

/** How rankings are fused. */
export type FusionOptions = {
  /** What each ranking counts. Default 1. */
  readonly weights?: Readonly<Partial<Record<RankingName, number>>>;
  /** How many records of each ranking take part. Default ten times `k`, at least 100. */
  readonly depth?: number;
} & (
  | {
      /** Reciprocal ranks (Cormack, Clarke and Buettcher, 2009): the sum of weight / (constant + rank). */
      readonly method?: "reciprocal-rank";
      /** Default 60. */
      readonly constant?: number;
    }
  | {
      /** The sum of weight times score. */
      readonly method: "weighted";
      /** `"min-max"` (default): scores of each ranking are brought to 0 to 1 first. */
      readonly normalize?: "min-max" | "none";
    }
);

/** A record of a ranking. */
export interface RankedRecord {
  readonly id: string;
  readonly score: number;
}

/**
 * Fuses rankings, each best first. A record that a ranking lacks gets nothing from it. Equal scores rank
 * by id downwards.
 *
 * @throws JetonError `fusion-invalid`
 */
export function fuseRankings(
  rankings: ReadonlyMap<RankingName, readonly RankedRecord[]>,
  options: FusionOptions = {},
): RankedRecord[] {
  checkFusion(options);
  const sums = new Map<string, number>();
  for (const [name, ranking] of rankings) {
    const weight = options.weights?.[name] ?? 1;
    for (const [at, value] of valuesOf(ranking, options).entries()) {
      const { id } = ranking[at]!;
      sums.set(id, (sums.get(id) ?? 0) + weight * value);
    }
  }
  return [...sums]
    .map(([id, score]) => ({ id, score }))
    .sort((a, b) => b.score - a.score || compareUtf8(b.id, a.id));
}

function valuesOf(ranking: readonly RankedRecord[], options: FusionOptions): number[] {
  if (options.method !== "weighted") {
    const constant = options.constant ?? 60;
    return ranking.map((_, at) => 1 / (constant + at + 1));
  }
  const scores = ranking.map(({ score }) => score);
  if (options.normalize === "none" || scores.length === 0) return scores;
  const [low, high] = [scores.at(-1)!, scores[0]!];
  // All equal: each is as good as the best.
  return scores.map((score) => (high > low ? (score - low) / (high - low) : 1));
}

/**
 * Checks the options of a fusion.
 *
 * @throws JetonError `fusion-invalid`
 */
export function checkFusion(options: FusionOptions): void {
  if (!objectRule.test(options)) throw invalid("options", options, objectRule.expected);
  const { method = "reciprocal-rank", weights = {}, depth = 1 } = options;
  if (!objectRule.test(weights)) throw invalid("weights", weights, objectRule.expected);
  const known = { "reciprocal-rank": "constant", weighted: "normalize" } as const;
  if (!Object.hasOwn(known, method)) throw invalid("method", method, Object.keys(known).join(", "));
  for (const name of Object.keys(options)) {
    if (["method", "weights", "depth", known[method]].includes(name)) continue;
    throw invalid(name, (options as Record<string, unknown>)[name], `no ${name} with ${method}`);
  }
  for (const [name, weight] of Object.entries(weights)) {
    if (
      !["bm25", "dense", "token", "sparse"].includes(name) ||
      !(weight >= 0 && weight < Infinity)
    ) {
      throw invalid("weights", { [name]: weight }, "numbers from 0 for bm25, dense, token, sparse");
    }
  }
  if (!(Number.isInteger(depth) && depth > 0))
    throw invalid("depth", depth, "a whole number from 1");
  const { constant, normalize } = options as { constant?: number; normalize?: string };
  if (constant !== undefined && !(constant >= 0 && constant < Infinity)) {
    throw invalid("constant", constant, "a number from 0");
  }
  if (normalize !== undefined && normalize !== "min-max" && normalize !== "none") {
    throw invalid("normalize", normalize, "min-max or none");
  }
}

function invalid(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`fusion, ${option}: ${JSON.stringify(found)}; expected ${expected}`, {
    code: "fusion-invalid",
    details: { option, found, expected },
  });
}
