/**
 * Samples the next token from a row of logits.
 *
 * The order is that of transformers: penalties and other logits processors, temperature, top-k, top-p,
 * min-p, typical sampling, epsilon and eta cutoff. Random numbers are keyed by (seed, sequence, position), so
 * the same request gives the same text whichever requests run beside it.
 */
import { createRandom, JetonError } from "../../core/index.ts";
import { nucleusCandidates } from "../../model/decoder/sample-tokens.ts";
import type { SequenceStep, StepResult } from "../../model/types.ts";
import { filterLate, hasLateFilters } from "./late-filters.ts";
import { hasPenalties, penalize, type TokenCounts } from "./penalties.ts";

/** Sampling options with every default filled in. */
export interface Sampling {
  /** Divides the logits; 0 is greedy. */
  readonly temperature: number;
  /** Number of most probable tokens that remain; 0: all. */
  readonly topK: number;
  /** Smallest share of probability that the remaining tokens have together; 1: all. */
  readonly topP: number;
  /** Least probability relative to the largest; 0: all. */
  readonly minP: number;
  /** Share of probability of the locally typical tokens that remain. Default 1: all. */
  readonly typicalP?: number;
  /** Least probability. Default 0: all. */
  readonly epsilonCutoff?: number;
  /** Least probability, lower where the distribution is flat. Default 0: all. */
  readonly etaCutoff?: number;
  readonly repetitionPenalty: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly seed: number;
  readonly sequence: number;
}

/** A distribution over a few (or all) token ids. */
export interface TokenDistribution {
  readonly ids: Int32Array;
  /** Sum to one. The function that makes a distribution states its order. */
  readonly probabilities: Float64Array;
}

/** Up to this top-k, a step's most probable tokens are enough: no whole rows of logits. */
const maxCandidates = 64;

/** True where the choice needs nothing but the most probable token. */
export function isGreedy(sampling: Sampling): boolean {
  return sampling.temperature === 0 || sampling.topK === 1;
}

/**
 * What a step must return of each row for a sampler.
 *
 * @param editsLogits whether rows of logits are edited before sampling. Default: where there are penalties
 */
export function rowRequest(
  sampling: Sampling,
  editsLogits: boolean = hasPenalties(sampling),
): Required<Pick<SequenceStep, "topK" | "logits">> & Pick<SequenceStep, "nucleus"> {
  const { temperature, topK, topP } = sampling;
  if (editsLogits) return { topK: 1, logits: true };
  if (isGreedy(sampling)) return { topK: 1, logits: false };
  if (topK > 0 && topK <= maxCandidates) return { topK, logits: false };
  if (topK > 0 || topP === 1) return { topK: 1, logits: true };
  return { topK: nucleusCandidates, logits: false, nucleus: { temperature, topP } };
}

/** True where a step can sample the token itself: from the temperature's distribution, cut at min-p alone. */
export function isSampledInStep(sampling: Sampling): boolean {
  const { temperature, topK, topP } = sampling;
  if (hasPenalties(sampling) || hasLateFilters(sampling)) return false;
  return temperature > 0 && topK === 0 && topP === 1;
}

/** Index of the largest logit, the lowest among equals. */
export function argmaxLogit(logits: Float32Array): number {
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
 * The same in ascending order of ids, for sampling: the place of two equally probable tokens in the
 * cumulative distribution must not depend on the last bit of a logit, which may differ between forward
 * passes over one row and over several.
 *
 * @param mass of all tokens at the temperature, where `ids` are the most probable of more
 */
export function distributionById(
  logits: Float32Array,
  sampling: Sampling,
  ids?: Int32Array,
  mass?: number,
): TokenDistribution {
  const idAt = (index: number): number => (ids ? ids[index]! : index);
  const best = argmaxLogit(logits);
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
  const distribution = { ids: ids ? kept.map(idAt) : kept, probabilities };
  return hasLateFilters(sampling) ? filterLate(distribution, sampling) : distribution;
}

/** Sorts indices by their ids. Keys hold both numbers, so that the native numeric sort can be used. */
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
  // Tokens less probable than e^-40 times the best one do not change a sample.
  const least = minP > 0 ? Math.max(-40, Math.log(minP)) : -40;
  if (!limited && topP === 1) return atLeast(logits, largest + temperature * least);

  // Sorting a whole vocabulary costs more than a forward pass of a small model. Sort only the tokens within
  // a distance of the best one; double the distance until it holds enough.
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

/** Indices of the logits that are at least `threshold`, ascending. */
function atLeast(logits: Float32Array, threshold: number): Int32Array {
  let count = 0;
  for (let index = 0; index < logits.length; index++) if (logits[index]! >= threshold) count++;
  const found = new Int32Array(count);
  for (let index = 0, at = 0; at < count; index++) {
    if (logits[index]! >= threshold) found[at++] = index;
  }
  return found;
}

/**
 * The random number in [0, 1) of one position of one sequence.
 *
 * @param test number of the drafted sibling that is tested at this position; absent: the number from which
 *   the token itself is sampled
 */
export function uniformFor(sampling: Sampling, position: number, test?: number): number {
  const { seed, sequence } = sampling;
  return test === undefined
    ? createRandom(seed, "token", sequence, position).uniform()
    : createRandom(seed, "test", sequence, position, test).uniform();
}

/** The token at which the cumulative distribution passes `uniform`. */
export function pickToken(distribution: TokenDistribution, uniform: number): number {
  const { ids, probabilities } = distribution;
  let sum = 0;
  for (let index = 0; index < ids.length; index++) {
    sum += probabilities[index]!;
    if (uniform < sum) return ids[index]!;
  }
  return ids[ids.length - 1]!;
}

/** What sampling from a row of a step depends on besides the row. */
export interface RowSampling {
  readonly sampling: Sampling;
  /** Tokens before the row's own next one; read where there are penalties. */
  readonly counts: TokenCounts;
}

/**
 * The distribution of the token after row `row` of a step that ran with `rowRequest(sampling)`, in ascending
 * order of ids.
 */
export function rowDistribution(
  result: StepResult,
  row: number,
  { sampling, counts }: RowSampling,
): TokenDistribution {
  const { topK, logits: needsLogits, nucleus } = rowRequest(sampling);
  // A negative mass marks a row whose nucleus is wider than its candidates; whole rows may have come for others.
  const mass = result.nucleusMass?.[row];
  const usesRow = nucleus && (mass === undefined ? result.logits !== undefined : mass < 0);
  if (!needsLogits && !usesRow) {
    const candidates = result.topIds.length / result.logSumExp.length;
    const from = row * candidates;
    const to = from + Math.min(candidates, topK);
    const [logits, ids] = [result.topLogits.subarray(from, to), result.topIds.subarray(from, to)];
    return distributionById(logits, sampling, ids, nucleus && mass);
  }
  let logits = logitsOfRow(result, row);
  if (hasPenalties(sampling)) {
    // The result keeps the model's own logits: log-probabilities are read from them.
    logits = logits.slice();
    penalize(logits, counts, sampling);
  }
  return distributionById(logits, sampling);
}

/** `[vocabSize]`: logits of one row of a step that returned whole rows; a view. */
export function logitsOfRow(result: StepResult, row: number): Float32Array {
  const vocabulary = result.logits!.length / result.logSumExp.length;
  return result.logits!.subarray(row * vocabulary, (row + 1) * vocabulary);
}

/** Chooses the token at `position`, which follows row `row` of a step. */
export function chooseToken(
  result: StepResult,
  row: number,
  { position, ...options }: RowSampling & { readonly position: number },
): number {
  const { sampling } = options;
  const { topIds, logSumExp, sampledIds } = result;
  const first = (row * topIds.length) / logSumExp.length;
  // The sum is not finite where any of the logits is NaN: they have no order then.
  checkFinite(logSumExp[row]!);
  if (isGreedy(sampling) && !hasPenalties(sampling)) return topIds[first]!;
  if (sampledIds) return sampledIds[row]!;
  return sampleFrom(rowDistribution(result, row, options), sampling, position);
}

/** Samples the token at `position` from its distribution. */
export function sampleFrom(
  distribution: TokenDistribution,
  sampling: Sampling,
  position: number,
): number {
  return distribution.ids.length === 1
    ? distribution.ids[0]!
    : pickToken(distribution, uniformFor(sampling, position));
}
