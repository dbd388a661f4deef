/**
 * What was measured, unit by unit (requests, texts, seeds, …), so that a number carries its interval: units
 * are drawn anew and the number is computed again.
 */
import { JetonError } from "../core/index.ts";

/** A number computed from units that can be drawn anew. */
export interface Sample {
  /** Number of units. */
  readonly count: number;
  /** The number over these units, given by their places; a place may occur several times. */
  over(places: readonly number[]): number;
}

/** One unit's part of a ratio of sums, e.g. tokens and forward passes of a request. */
export interface RatioParts {
  readonly sum: number;
  readonly weight: number;
}

/** The mean of one value for each unit. */
export function meanOf(values: readonly number[]): Sample {
  return ratioOfSums(values.map((sum) => ({ sum, weight: 1 })));
}

/**
 * The sum of all units' `sum` over that of their `weight`: tokens per forward pass, bits per byte.
 * E.g. 6 tokens of 2 passes and 2 tokens of 2 passes are 2 tokens a pass.
 */
export function ratioOfSums(parts: readonly RatioParts[]): Sample {
  return statisticOf(parts, (some) => {
    let [sum, weight] = [0, 0];
    for (const part of some) {
      sum += part.sum;
      weight += part.weight;
    }
    return sum / weight;
  });
}

/** Any number computed from a list of units, e.g. a correlation. */
export function statisticOf<T>(
  units: readonly T[],
  compute: (some: readonly T[]) => number,
): Sample {
  if (units.length === 0) {
    throw new JetonError("a sample has at least one unit", {
      code: "reproduction-units-few",
      details: { found: 0, expected: "at least one unit" },
    });
  }
  return { count: units.length, over: (places) => compute(places.map((place) => units[place]!)) };
}

/** The mean over seeds of each unit, of numbers by seed and unit. */
export function averageSeeds(bySeed: readonly (readonly number[])[]): number[] {
  return bySeed[0]!.map((_, unit) => wholeValue(meanOf(bySeed.map((values) => values[unit]!))));
}

/** A sample's value that is the same for every unit, e.g. a bound from the literature. */
export function constantOf(value: number, count: number): Sample {
  return { count, over: () => value };
}

/** The number over all units, each once. */
export function wholeValue(sample: Sample): number {
  return sample.over(Array.from({ length: sample.count }, (_, place) => place));
}
