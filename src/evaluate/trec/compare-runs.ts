/** Whether one run is better than another: paired bootstrap over queries. */
import { createRandom, JetonError, quantile } from "../../core/index.ts";
import { checkOptionNames } from "../../core/option-rules.ts";
import type { Evaluation } from "./evaluate-run.ts";

/** Options of `compareRuns`. */
export interface CompareRunsOptions {
  /** How often queries are drawn anew. Default 2,000. */
  samples?: number;
  /** Default 0. */
  seed?: number;
  /** Part of the samples between the bounds of the interval. Default 0.95. */
  confidence?: number;
}

/** The difference of two runs. */
export interface RunComparison {
  /** Number of queries. */
  readonly count: number;
  /** Mean of a - b. */
  readonly difference: number;
  /** Bounds of the mean difference. */
  readonly low: number;
  readonly high: number;
  /** Share of samples in which the difference is not on the observed side: twice that, at most 1. */
  readonly probability: number;
}

/**
 * Compares two runs by one measure, query by query, over all judged queries: the same ones are drawn for
 * both.
 *
 * @throws JetonError `comparison-queries` for evaluations over different queries or none,
 *   `comparison-option-invalid`
 */
export function compareRuns<M extends string>(
  a: Evaluation<M>,
  b: Evaluation<M>,
  measure: M,
  options: CompareRunsOptions = {},
): RunComparison {
  checkOptionNames(options, ["samples", "seed", "confidence"], {
    what: "a comparison of runs",
    invalidCode: "comparison-option-invalid",
  });
  const { samples = 2000, seed = 0, confidence = 0.95 } = options;
  if (!(Number.isInteger(samples) && samples > 0)) {
    throw invalid("samples", samples, "a whole number from 1");
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw invalid("confidence", confidence, "a number between 0 and 1");
  }
  if (!Number.isSafeInteger(seed)) throw invalid("seed", seed, "a whole number");
  const names = [...a.queries.keys()];
  if (
    names.length === 0 ||
    names.length !== b.queries.size ||
    !names.every((q) => b.queries.has(q))
  ) {
    throw new JetonError("the evaluations are not over the same queries", {
      code: "comparison-queries",
      details: {
        found: [names.length, b.queries.size],
        expected: "the same queries, at least one",
      },
    });
  }
  const readValue = (evaluation: Evaluation<M>, query: string): number => {
    const value: number | undefined = evaluation.queries.get(query)!.values[measure];
    if (value === undefined) throw invalid("measure", measure, "a measure of both evaluations");
    return value;
  };
  const differences = names.map((query) => readValue(a, query) - readValue(b, query));
  const count = differences.length;
  const difference = differences.reduce((sum, value) => sum + value, 0) / count;
  const random = createRandom(seed, "compare-runs");
  const means = Float64Array.from({ length: samples }, () => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += differences[random.integer(count)]!;
    return sum / count;
  }).sort();
  const opposed = means.filter((mean) => (difference >= 0 ? mean <= 0 : mean >= 0)).length;
  return {
    count,
    difference,
    low: quantile(means, (1 - confidence) / 2),
    high: quantile(means, (1 + confidence) / 2),
    probability: Math.min(1, (2 * opposed) / samples),
  };
}

function invalid(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`comparison option ${option}: ${String(found)}; expected ${expected}`, {
    code: "comparison-option-invalid",
    details: { option, found, expected },
  });
}
