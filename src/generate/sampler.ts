/**
 * Draws the next token from a row of logits.
 *
 * The order of the filters is that of transformers: repetition penalty, temperature, top-k, top-p,
 * min-p. A draw is keyed by (seed, sequence, position), never by what was drawn before, so the same
 * request gives the same text whatever runs beside it.
 */
import { createRandom, JetonError } from "../core/index.ts";
import type { StepResult } from "../model/index.ts";

/** Sampling options with every default filled in. */
export interface Sampling {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly seed: number;
  readonly sequence: number;
}

/** A distribution over a few (or all) token ids. */
export interface TokenDistribution {
  readonly ids: Int32Array;
  /** Sum to one; in descending order. */
  readonly probabilities: Float64Array;
}

/** True where the choice needs nothing but the most probable tokens. */
export function isGreedy(sampling: Sampling): boolean {
  return sampling.temperature === 0 || sampling.topK === 1;
}

/** True where a sampler needs all logits of a row, not only the most probable ones. */
export function needsLogits(sampling: Sampling): boolean {
  return !isGreedy(sampling) || sampling.repetitionPenalty !== 1;
}

/** Divides positive and multiplies negative logits of seen tokens (Keskar et al., 2019), in place. */
export function penalizeRepetition(
  logits: Float32Array,
  seen: Iterable<number>,
  penalty: number,
): void {
  if (penalty === 1) return;
  for (const id of new Set(seen)) {
    const logit = logits[id];
    if (logit !== undefined) logits[id] = logit > 0 ? logit / penalty : logit * penalty;
  }
}

/** Index of the largest logit, the lowest among equals. */
export function largestLogit(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}

/** The distribution that a sampler draws from: filtered, renormalized, most probable first. */
export function tokenDistribution(logits: Float32Array, sampling: Sampling): TokenDistribution {
  if (isGreedy(sampling)) {
    return { ids: Int32Array.of(largestLogit(logits)), probabilities: Float64Array.of(1) };
  }
  const { temperature, topK, topP, minP } = sampling;
  let largest = -Infinity;
  for (const logit of logits) if (logit > largest) largest = logit;
  if (!Number.isFinite(largest)) {
    throw new JetonError("the model's logits are not finite", {
      code: "generate-logits-not-finite",
      details: { largest },
    });
  }
  // What is e^-40 times as probable as the best token cannot matter, and sorting it would cost.
  const floor = largest - 40 * temperature;
  let candidates: number[] = [];
  for (let id = 0; id < logits.length; id++) if (logits[id]! >= floor) candidates.push(id);
  candidates.sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (topK > 0 && candidates.length > topK) candidates = candidates.slice(0, topK);

  const probabilities = Float64Array.from(candidates, (id) =>
    Math.exp((logits[id]! - largest) / temperature),
  );
  let kept = candidates.length;
  if (topP < 1) {
    const total = probabilities.reduce((sum, p) => sum + p, 0);
    let sum = 0;
    for (let index = 0; index < kept; index++) {
      sum += probabilities[index]! / total;
      if (sum >= topP) kept = index + 1;
    }
  }
  if (minP > 0) {
    const least = probabilities[0]! * minP;
    while (kept > 1 && probabilities[kept - 1]! < least) kept--;
  }
  const rest = probabilities.subarray(0, kept);
  const total = rest.reduce((sum, p) => sum + p, 0);
  return {
    ids: Int32Array.from(candidates.slice(0, kept)),
    probabilities: rest.map((p) => p / total),
  };
}

/** The draw in [0, 1) of one position of one sequence. */
export function drawFor(sampling: Sampling, position: number): number {
  return createRandom(sampling.seed, "token", sampling.sequence, position).uniform();
}

/** The token at which the cumulative distribution passes `draw`. */
export function pickToken(distribution: TokenDistribution, draw: number): number {
  const { ids, probabilities } = distribution;
  let sum = 0;
  for (let index = 0; index < ids.length; index++) {
    sum += probabilities[index]!;
    if (draw < sum) return ids[index]!;
  }
  return ids[ids.length - 1]!;
}

/** Chooses the token after a step's last row. `seen` are the tokens that a penalty applies to. */
export function chooseToken(
  result: StepResult,
  sampling: Sampling,
  seen: readonly number[],
  position: number,
): number {
  if (!needsLogits(sampling)) return result.topIds[0]!;
  let logits = result.logits!;
  if (sampling.repetitionPenalty !== 1) {
    // The model's own probabilities are still to be reported.
    logits = logits.slice();
    penalizeRepetition(logits, seen, sampling.repetitionPenalty);
  }
  return pickToken(tokenDistribution(logits, sampling), drawFor(sampling, position));
}
