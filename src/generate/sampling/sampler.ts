/**
 * Draws the next token from a row of logits.
 *
 * The order of the filters is that of transformers: repetition penalty, temperature, top-k, top-p,
 * min-p. A draw is keyed by (seed, sequence, position), never by what was drawn before, so the same
 * request gives the same text whatever runs beside it.
 */
import { createRandom, JetonError } from "../../core/index.ts";
import { nucleusCandidates } from "../../model/decoder/sample-tokens.ts";
import type { SequenceStep, StepResult } from "../../model/types.ts";

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
  /** Sum to one. In which order is said where a distribution is made. */
  readonly probabilities: Float64Array;
}

/** A sampler that keeps at most this many tokens reads them from a step's most probable ones. */
const maxCandidates = 64;

/** True where the choice needs nothing but the most probable token. */
export function isGreedy(sampling: Sampling): boolean {
  return sampling.temperature === 0 || sampling.topK === 1;
}

/** What a step must return of each row for `rowDistribution`. */
export function rowRequest(
  sampling: Sampling,
): Required<Pick<SequenceStep, "topK" | "logits">> & Pick<SequenceStep, "nucleus"> {
  const { temperature, topK, topP, repetitionPenalty } = sampling;
  if (repetitionPenalty !== 1) return { topK: 1, logits: true };
  if (isGreedy(sampling)) return { topK: 1, logits: false };
  if (topK > 0 && topK <= maxCandidates) return { topK, logits: false };
  if (topK > 0 || topP === 1) return { topK: 1, logits: true };
  return { topK: nucleusCandidates, logits: false, nucleus: { temperature, topP } };
}

/** True where a step can draw the token itself: the law is the temperature's, cut at min-p alone. */
export function isSampledInStep(sampling: Sampling): boolean {
  const { temperature, topK, topP, repetitionPenalty } = sampling;
  return temperature > 0 && topK === 0 && topP === 1 && repetitionPenalty === 1;
}

/** Divides positive and multiplies negative logits of seen tokens (Keskar et al., 2019), in place. */
export function penalizeRepetition(logits: Float32Array, seen: SeenTokens, penalty: number): void {
  if (penalty === 1) return;
  for (const id of seen) {
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

/**
 * The distribution that a sampler draws from: filtered, renormalized, most probable first.
 *
 * @param logits of all tokens, or of the tokens `ids`
 * @throws JetonError `generate-logits-not-finite`
 */
export function tokenDistribution(
  logits: Float32Array,
  sampling: Sampling,
  ids?: Int32Array,
): TokenDistribution {
  const distribution = distributionById(logits, sampling, ids);
  const order = Int32Array.from(distribution.ids.keys()).sort(
    (a, b) => distribution.probabilities[b]! - distribution.probabilities[a]! || a - b,
  );
  return {
    ids: order.map((index) => distribution.ids[index]!),
    probabilities: Float64Array.from(order, (index) => distribution.probabilities[index]!),
  };
}

/**
 * The same in ascending order of ids. Draws use it: where one of two equally probable tokens falls
 * in the cumulative distribution must not depend on the last bit of a logit, which differs between
 * a forward over one token and one over several.
 *
 * @param mass of all tokens at the temperature, where `ids` are the most probable of more
 */
function distributionById(
  logits: Float32Array,
  sampling: Sampling,
  ids?: Int32Array,
  mass?: number,
): TokenDistribution {
  const idAt = (index: number): number => (ids ? ids[index]! : index);
  const best = largestLogit(logits);
  if (isGreedy(sampling)) {
    return { ids: Int32Array.of(idAt(best)), probabilities: Float64Array.of(1) };
  }
  const largest = logits[best]!;
  checkFinite(largest);
  const kept = keptTokens(logits, { largest, mass }, sampling);
  if (ids) sortById(kept, ids);
  else kept.sort();
  const { temperature } = sampling;
  const probabilities = new Float64Array(kept.length);
  let total = 0;
  for (let index = 0; index < kept.length; index++) {
    const mass = Math.exp((logits[kept[index]!]! - largest) / temperature);
    probabilities[index] = mass;
    total += mass;
  }
  for (let index = 0; index < kept.length; index++) probabilities[index]! /= total;
  return { ids: ids ? kept.map(idAt) : kept, probabilities };
}

/** Sorts indices by the ids that they stand for, as numbers that hold both: no function compares. */
function sortById(indices: Int32Array, ids: Int32Array): void {
  const size = ids.length;
  const keys = Float64Array.from(indices, (index) => ids[index]! * size + index).sort();
  for (let at = 0; at < keys.length; at++) indices[at] = keys[at]! % size;
}

/**
 * Checks a number that follows from a row of logits.
 *
 * @throws JetonError `generate-logits-not-finite`
 */
export function checkFinite(value: number): void {
  if (Number.isFinite(value)) return;
  throw new JetonError("the model's logits are not finite", {
    code: "generate-logits-not-finite",
    details: { found: String(value) },
  });
}

/** Indices of the logits that top-k, top-p and min-p leave. */
function keptTokens(
  logits: Float32Array,
  { largest, mass: known }: { readonly largest: number; readonly mass: number | undefined },
  sampling: Sampling,
): Int32Array {
  const { temperature, topK, topP, minP } = sampling;
  const limited = topK > 0 && topK < logits.length;
  // What is e^-40 times as probable as the best token cannot matter.
  const least = minP > 0 ? Math.max(-40, Math.log(minP)) : -40;
  if (!limited && topP === 1) return atLeast(logits, largest + temperature * least);

  // Sorting a whole vocabulary would cost more than a forward of a small model: sort what lies
  // within a reach of the best token that holds enough.
  const mass = (index: number): number => Math.exp((logits[index]! - largest) / temperature);
  let total = known ?? 0;
  if (!limited && known === undefined) {
    for (let index = 0; index < logits.length; index++) total += mass(index);
  }
  let sorted: Int32Array;
  for (let reach = 4; ; reach *= 2) {
    sorted = atLeast(logits, largest - temperature * reach);
    const enough = limited
      ? sorted.length >= topK
      : sorted.reduce((sum, index) => sum + mass(index), 0) >= topP * total;
    if (enough || sorted.length === logits.length || reach > 1e6) break;
  }
  sorted.sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (limited) sorted = sorted.subarray(0, topK);
  if (limited) for (const index of sorted) total += mass(index);
  let count = sorted.length;
  if (topP < 1) {
    let sum = 0;
    for (let index = 0; index < count; index++) {
      sum += mass(sorted[index]!) / total;
      if (sum >= topP) count = index + 1;
    }
  }
  if (minP > 0) while (count > 1 && mass(sorted[count - 1]!) < minP) count--;
  return sorted.slice(0, count);
}

/** Indices of the logits that reach `floor`, ascending. */
function atLeast(logits: Float32Array, floor: number): Int32Array {
  let count = 0;
  for (let index = 0; index < logits.length; index++) if (logits[index]! >= floor) count++;
  const found = new Int32Array(count);
  for (let index = 0, at = 0; at < count; index++) if (logits[index]! >= floor) found[at++] = index;
  return found;
}

/**
 * The draw in [0, 1) of one position of one sequence.
 *
 * @param test number of the test of a drafted sibling at this position; absent: the token's own draw
 */
export function uniformFor(sampling: Sampling, position: number, test?: number): number {
  const { seed, sequence } = sampling;
  return test === undefined
    ? createRandom(seed, "token", sequence, position).uniform()
    : createRandom(seed, "test", sequence, position, test).uniform();
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

/** Tokens seen so far, each once, as a repetition penalty counts them. */
export type SeenTokens = ReadonlySet<number>;

/**
 * The law of the token after row `row` of a step that was asked for what the sampler needs, in
 * ascending order of ids.
 */
export function rowDistribution(
  result: StepResult,
  row: number,
  sampling: Sampling,
  seen: SeenTokens,
): TokenDistribution {
  const { topK, logits: needsLogits, nucleus } = rowRequest(sampling);
  // Each row is judged by itself: whole logits may be there because of others.
  if (!needsLogits && !(nucleus && result.nucleusMass![row]! < 0)) {
    const candidates = result.topIds.length / result.logSumExp.length;
    const from = row * candidates;
    const to = from + Math.min(candidates, topK);
    const [logits, ids] = [result.topLogits.subarray(from, to), result.topIds.subarray(from, to)];
    return distributionById(logits, sampling, ids, nucleus && result.nucleusMass![row]!);
  }
  const vocabulary = result.logits!.length / result.logSumExp.length;
  let logits: Float32Array = result.logits!.subarray(row * vocabulary, (row + 1) * vocabulary);
  if (sampling.repetitionPenalty !== 1) {
    // The model's own probabilities are still to be reported.
    logits = logits.slice();
    penalizeRepetition(logits, seen, sampling.repetitionPenalty);
  }
  return distributionById(logits, sampling);
}

/** Chooses the token at `position`, which follows row `row` of a step. */
export function chooseToken(
  result: StepResult,
  row: number,
  sampling: Sampling,
  seen: SeenTokens,
  position: number,
): number {
  const { topIds, logSumExp, sampledIds } = result;
  const first = (row * topIds.length) / logSumExp.length;
  // Not finite where any of the logits is not a number: then no order of them means anything.
  checkFinite(logSumExp[row]!);
  if (isGreedy(sampling) && sampling.repetitionPenalty === 1) return topIds[first]!;
  if (sampledIds) return sampledIds[row]!;
  const distribution = rowDistribution(result, row, sampling, seen);
  return distribution.ids.length === 1
    ? distribution.ids[0]!
    : pickToken(distribution, uniformFor(sampling, position));
}
