/** The most probable tokens of a row, as passes return them. */
import type { StepResult } from "../model/index.ts";

/** A token and its natural logarithm of probability under the model, before any sampling option. */
export interface TopToken {
  readonly id: number;
  readonly logProbability: number;
}

/** The `count` most probable tokens of a row, or as many as the pass returned, most probable first. */
export function topTokens(
  { topIds, topLogits, logSumExp }: StepResult,
  row: number,
  count: number = Number.POSITIVE_INFINITY,
): TopToken[] {
  const candidates = topIds.length / logSumExp.length;
  const from = row * candidates;
  return Array.from(topIds.subarray(from, from + Math.min(count, candidates)), (id, index) => ({
    id,
    logProbability: topLogits[from + index]! - logSumExp[row]!,
  }));
}
