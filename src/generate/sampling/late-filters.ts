/**
 * Filters of a distribution that come after top-k, top-p and min-p, in the order of transformers: locally
 * typical sampling, then the epsilon and the eta cutoff.
 */
import type { Sampling, TokenDistribution } from "./sampler.ts";

/** The options of these filters. */
export type LateFilters = Pick<Sampling, "typicalP" | "epsilonCutoff" | "etaCutoff">;

/** True where one of these filters may exclude a token. */
export function hasLateFilters({
  typicalP = 1,
  epsilonCutoff = 0,
  etaCutoff = 0,
}: LateFilters): boolean {
  return typicalP < 1 || epsilonCutoff > 0 || etaCutoff > 0;
}

/** The distribution that is left, renormalized, in the order of the given one; at least one token. */
export function filterLate(
  distribution: TokenDistribution,
  { typicalP = 1, epsilonCutoff = 0, etaCutoff = 0 }: LateFilters,
): TokenDistribution {
  let left = distribution;
  if (typicalP < 1) left = keep(left, typicalTokens(left.probabilities, typicalP));
  if (epsilonCutoff > 0) left = keep(left, atLeast(left.probabilities, epsilonCutoff));
  if (etaCutoff > 0) {
    const least = Math.min(
      etaCutoff,
      Math.sqrt(etaCutoff) * Math.exp(-entropy(left.probabilities)),
    );
    left = keep(left, atLeast(left.probabilities, least));
  }
  return left;
}

/** Entropy in nats. */
function entropy(probabilities: Float64Array): number {
  let sum = 0;
  for (const p of probabilities) if (p > 0) sum -= p * Math.log(p);
  return sum;
}

/**
 * Places of the tokens whose information is nearest to the entropy, until they hold the mass (Meister et al.,
 * 2023). All that are as near as the last of them belong to them.
 */
function typicalTokens(probabilities: Float64Array, mass: number): number[] {
  const mean = entropy(probabilities);
  const distances = Float64Array.from(probabilities, (p) => Math.abs(-Math.log(p) - mean));
  const order = [...probabilities.keys()].sort((a, b) => distances[a]! - distances[b]! || a - b);
  let last = 0;
  for (let sum = probabilities[order[0]!]!; sum < mass && last + 1 < order.length; ) {
    last++;
    sum += probabilities[order[last]!]!;
  }
  const limit = distances[order[last]!]!;
  return [...probabilities.keys()].filter((place) => distances[place]! <= limit);
}

/** Places of the tokens that are at least so probable; the most probable ones where none is. */
function atLeast(probabilities: Float64Array, least: number): number[] {
  const bound = Math.min(
    least,
    probabilities.reduce((a, b) => Math.max(a, b), 0),
  );
  return [...probabilities.keys()].filter((place) => probabilities[place]! >= bound);
}

function keep(
  { ids, probabilities }: TokenDistribution,
  places: readonly number[],
): TokenDistribution {
  if (places.length === ids.length) return { ids, probabilities };
  const total = places.reduce((sum, place) => sum + probabilities[place]!, 0);
  return {
    ids: Int32Array.from(places, (place) => ids[place]!),
    probabilities: Float64Array.from(places, (place) => probabilities[place]! / total),
  };
}
