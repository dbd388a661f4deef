/** A run judged: measures of each query and their means, equal to trec_eval's. */
import { JetonError } from "../../core/index.ts";
import { checkOptionNames } from "../../core/option-rules.ts";
import { countRelevant, findMeasure, type MeasureName } from "./measures.ts";
import { type Judgments, type Run, rankDocuments } from "./trec-files.ts";

/** Options of `evaluateRun`. */
export interface EvaluateRunOptions<M extends MeasureName = MeasureName> {
  /** Default `ndcg@10`, `mrr@10`, `map`, `recall@10`, `recall@100`, `precision@10`, `success@5`. */
  measures?: readonly M[];
  /** Lowest level of a relevant document, a whole number from 1. Default 1. nDCG uses every level. */
  level?: number;
}

/** What was found for one judged query. */
export interface QueryEvaluation<M extends string = string> {
  /** True if the run has no documents for it: every measure is 0. */
  readonly missing: boolean;
  /** The documents as they rank: by score, equal scores by id, both downwards. */
  readonly order: readonly string[];
  /** Documents judged relevant, retrieved or not. */
  readonly relevant: number;
  readonly retrieved: number;
  readonly values: Readonly<Record<M, number>>;
}

/** The means over some of the queries; 0 over none. */
export interface MeanEvaluation<M extends string = string> {
  /** Number of queries. */
  readonly count: number;
  readonly values: Readonly<Record<M, number>>;
}

/** A run's evaluation. */
export interface Evaluation<M extends string = string> {
  /** By query, in the order of the judgments. */
  readonly queries: ReadonlyMap<string, QueryEvaluation<M>>;
  readonly means: {
    /** Over every judged query, missing ones as 0 (trec_eval with `-c`). */
    readonly all: MeanEvaluation<M>;
    /** Over judged queries that are in the run (trec_eval without `-c`). */
    readonly retrieved: MeanEvaluation<M>;
    /** Over judged queries with at least one relevant document, missing ones as 0. */
    readonly answerable: MeanEvaluation<M>;
  };
  /** Queries of the run without judgments; they count nowhere. */
  readonly ignored: readonly string[];
}

const defaultMeasures = [
  ...["ndcg@10", "mrr@10", "map", "recall@10", "recall@100", "precision@10", "success@5"],
] as MeasureName[];

/**
 * Evaluates a run.
 *
 * @throws JetonError `measure-unknown`, `evaluation-level-invalid`, `evaluation-option-invalid`,
 *   `judgments-invalid` for a level that is no whole number, `run-invalid` for a score that is no finite one
 *
 * @example
 * const judgments = parseJudgments("q 0 a 1\nq 0 c 1");
 * const run = parseRun("q Q0 a 1 9.5 t\nq Q0 b 2 9.1 t");
 * const { means } = evaluateRun(judgments, run, { measures: ["recall@10", "mrr@10"] });
 * means.all.values["recall@10"]; // 0.5
 */
export function evaluateRun<const M extends MeasureName = MeasureName>(
  judgments: Judgments,
  run: Run,
  options: EvaluateRunOptions<M> = {},
): Evaluation<M> {
  checkOptionNames(options, ["measures", "level"], {
    what: "an evaluation",
    invalidCode: "evaluation-option-invalid",
  });
  const { measures = defaultMeasures as M[], level = 1 } = options;
  if (!Array.isArray(measures)) {
    throw new JetonError(`measures: ${JSON.stringify(measures)}; expected a list of names`, {
      code: "evaluation-option-invalid",
      details: { option: "measures", found: measures, expected: "a list of names" },
    });
  }
  if (!(Number.isInteger(level) && level >= 1)) {
    throw new JetonError(`relevance level ${level}; expected a whole number from 1`, {
      code: "evaluation-level-invalid",
      details: { found: level, expected: "a whole number from 1" },
    });
  }
  const functions = measures.map((name) => [name, findMeasure(name)] as const);
  const queries = new Map<string, QueryEvaluation<M>>();
  for (const [query, judged] of judgments) {
    const scores = run.get(query) ?? new Map<string, number>();
    checkLevels(query, judged);
    checkScores(query, scores);
    const order = rankDocuments(scores);
    const ranking = {
      levels: order.map((document) => judged.get(document) ?? 0),
      judged: [...judged.values()],
      level,
    };
    queries.set(query, {
      missing: scores.size === 0,
      order,
      relevant: countRelevant(ranking.judged, level),
      retrieved: order.length,
      values: Object.fromEntries(
        functions.map(([name, compute]) => [name, compute(ranking)]),
      ) as Record<M, number>,
    });
  }
  const found = [...queries.values()];
  return {
    queries,
    means: {
      all: meanOver(measures, found),
      retrieved: meanOver(
        measures,
        found.filter(({ missing }) => !missing),
      ),
      answerable: meanOver(
        measures,
        found.filter(({ relevant }) => relevant > 0),
      ),
    },
    ignored: [...run.keys()].filter((query) => !judgments.has(query)),
  };
}

function checkLevels(query: string, judged: ReadonlyMap<string, number>): void {
  for (const [document, level] of judged) {
    if (Number.isInteger(level)) continue;
    throw new JetonError(`query ${JSON.stringify(query)}: the level of a document is ${level}`, {
      code: "judgments-invalid",
      details: { query, document, found: level, expected: "a whole number" },
    });
  }
}

function checkScores(query: string, scores: ReadonlyMap<string, number>): void {
  for (const [document, score] of scores) {
    if (Number.isFinite(score)) continue;
    throw new JetonError(`query ${JSON.stringify(query)}: the score of a document is ${score}`, {
      code: "run-invalid",
      details: { query, document, found: score, expected: "a finite number" },
    });
  }
}

function meanOver<M extends string>(
  measures: readonly M[],
  queries: readonly QueryEvaluation<M>[],
): MeanEvaluation<M> {
  const mean = (name: M): number =>
    queries.length === 0
      ? 0
      : queries.reduce((sum, { values }) => sum + values[name], 0) / queries.length;
  return {
    count: queries.length,
    values: Object.fromEntries(measures.map((name) => [name, mean(name)])) as Record<M, number>,
  };
}
