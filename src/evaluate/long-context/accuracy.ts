/** Accuracies of cells with their intervals, and the context length up to which they hold. */

/** An interval with both ends. */
export interface BinomialInterval {
  readonly low: number;
  readonly high: number;
}

/**
 * Wilson's 95 % interval of a proportion: of 4 in 5 it is 0.376 to 0.964. With shares of several answers in place of
 * whole successes it is wider than need be, since the answers of one question are not counted as trials of their own.
 *
 * @param successes from 0 to `trials`, may be fractional
 * @param trials at least 1
 */
export function binomialInterval(successes: number, trials: number): BinomialInterval {
  const z = 1.959964;
  const share = successes / trials;
  const spread = z * z;
  const centre = (share + spread / (2 * trials)) / (1 + spread / trials);
  const half =
    (z / (1 + spread / trials)) *
    Math.sqrt((share * (1 - share)) / trials + spread / (4 * trials * trials));
  // Rounding must not leave a trace of an end that is exactly there.
  return {
    low: successes === 0 ? 0 : Math.max(0, centre - half),
    high: successes === trials ? 1 : Math.min(1, centre + half),
  };
}

/** Accuracy at one length of context. */
export interface LengthAccuracy {
  /** Characters of the context. */
  readonly characters: number;
  /** In [0, 1]. */
  readonly accuracy: number;
}

/** The longest context of which a model makes use. */
export interface EffectiveLimit {
  /** Characters; 0 where the accuracy is below the threshold at the shortest context already. */
  readonly characters: number;
  /** True where no measured length falls below the threshold: the limit is this long at least. */
  readonly isLowerBound: boolean;
  /** True where the accuracy rises above the threshold again at a longer context. */
  readonly isCrossedAgain: boolean;
}

/**
 * The smallest length at which the accuracy falls to the threshold, interpolated linearly in characters between the last
 * length at or above it and the next. E.g. 1 at 2,000 characters and 0.5 at 4,000 cross 0.75 at 3,000.
 *
 * @param points of one difficulty, by rising length; undefined without points
 * @param threshold the paper's is 0.75
 */
export function effectiveLimit(
  points: readonly LengthAccuracy[],
  threshold = 0.75,
): EffectiveLimit | undefined {
  const last = points.at(-1);
  if (last === undefined) return undefined;
  const at = points.findIndex(({ accuracy }) => accuracy < threshold);
  if (at < 0) return { characters: last.characters, isLowerBound: true, isCrossedAgain: false };
  const isCrossedAgain = points.slice(at).some(({ accuracy }) => accuracy >= threshold);
  if (at === 0) return { characters: 0, isLowerBound: false, isCrossedAgain };
  const [from, to] = [points[at - 1]!, points[at]!];
  const way = (from.accuracy - threshold) / (from.accuracy - to.accuracy);
  const characters = from.characters + way * (to.characters - from.characters);
  return { characters, isLowerBound: false, isCrossedAgain };
}
