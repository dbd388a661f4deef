/** From numbers to verdicts. Nothing but the numbers and the claim's own thresholds enters. */
import { createRandom, JetonError, type Random } from "../core/index.ts";
import type { Claim, Measurement, Thresholds } from "./define-reproduction.ts";
import { type Sample, wholeValue } from "./sample.ts";

/** What the numbers say of a claim. */
export type Verdict = "reproduced" | "partly" | "not reproduced";

/** The parts of a claim that a verdict depends on. */
export type Condition = Pick<Claim, "id" | "direction" | "effect" | "noEffect">;

/** Lower and upper end. */
export type Interval = readonly [number, number];

/** The verdict on a claim, with the interval that it rests on. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly effect: number;
  /** 95 % interval of the effect. */
  readonly interval: Interval;
  readonly control: {
    readonly effect: number;
    /** True if the control reaches `partly`, or the method is not beyond it with the whole interval. */
    readonly passes: boolean;
    /** 95 % interval of how far the method is beyond the control, in the effect's own scale. */
    readonly margin: Interval;
  };
}

/** Options of `judge`. */
export interface JudgeOptions {
  readonly thresholds: Thresholds;
  /** Fewest units. Default 5. */
  readonly minUnits?: number;
  /** Default 2,000. */
  readonly resamples?: number;
  /** Default: keyed by the claim. */
  readonly random?: Random;
}

/** The effect of a method that does nothing. */
export function noEffectOf({ effect, noEffect = 0 }: Pick<Claim, "effect" | "noEffect">): number {
  if (effect === "value") return noEffect;
  return effect === "ratio" ? 1 : 0;
}

/** An effect on a scale on which more is always better. */
export function scoreOf(
  { effect, direction }: Pick<Claim, "effect" | "direction">,
  value: number,
): number {
  return effect === "value" && direction === "lower" ? -value : value;
}

/** How large the effect of two numbers is, as `Claim` defines it; NaN where there is none. */
export function effectOf(
  { direction, effect }: Pick<Claim, "effect" | "direction">,
  measured: number,
  baseline: number | undefined,
): number {
  if (effect === "value") return measured;
  if (baseline === undefined) return Number.NaN;
  const isHigher = direction === "higher";
  if (effect === "difference") return isHigher ? measured - baseline : baseline - measured;
  const [better, worse] = isHigher ? [measured, baseline] : [baseline, measured];
  // Nothing is left of something: no ratio could be better. The other way round, a baseline of zero
  // makes any number look infinitely good.
  if (!isHigher && measured === 0 && baseline > 0) return Number.POSITIVE_INFINITY;
  return worse > 0 && better >= 0 ? better / worse : Number.NaN;
}

/**
 * The verdict on one claim, by the worse end of a paired bootstrap interval (percentiles of the effect over
 * units drawn anew): reproduced where all of it reaches `reproduced`, partly where all of it reaches `partly`.
 * A control that passes as well makes every claim fail.
 *
 * @throws JetonError `reproduction-units-few`, `reproduction-units-unpaired` (samples over different numbers
 *   of units), `reproduction-measurement-invalid` (a number that is not finite, a missing baseline, a ratio of
 *   numbers that are not above zero)
 */
export function judge(
  condition: Condition,
  measurement: Measurement,
  options: JudgeOptions,
): Judgement {
  const { thresholds, minUnits = 5, resamples = 2000 } = options;
  const { random = createRandom(0, "bootstrap", condition.id) } = options;
  const count = checkUnits(condition, measurement, minUnits);
  const effect = pointOf(condition, measurement, measurement.measured);
  const controlEffect = pointOf(condition, measurement, measurement.control);

  const effects: number[] = [];
  const margins: number[] = [];
  for (let draw = 0; draw < resamples; draw++) {
    const places = Array.from({ length: count }, () => random.integer(count));
    const baseline = measurement.baseline?.over(places);
    const score = (sample: Sample): number => {
      const value = effectOf(condition, sample.over(places), baseline);
      // What cannot be computed from these units counts as a failure.
      return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : scoreOf(condition, value);
    };
    const own = score(measurement.measured);
    const other = score(measurement.control);
    effects.push(own);
    margins.push(own === other ? 0 : own - other);
  }
  const [low, high] = percentiles(effects);
  const margin = percentiles(margins);
  const ends = [scoreOf(condition, low), scoreOf(condition, high)].sort((a, b) => a - b);
  const interval: Interval = [ends[0]!, ends[1]!];
  const found = { interval, controlEffect, margin };
  const { verdict, passes } = verdictOf(condition, found, thresholds);
  return { verdict, effect, interval, control: { effect: controlEffect, passes, margin } };
}

/** What a verdict rests on, of a measurement or of its record. */
export interface JudgedNumbers {
  /** See `Judgement.interval`. */
  readonly interval: Interval;
  readonly controlEffect: number;
  /** See `Judgement.control.margin`. */
  readonly margin: Interval;
}

/** The verdict on an interval, and whether the control passes as well. */
export function verdictOf(
  condition: Pick<Claim, "effect" | "direction">,
  { interval, controlEffect, margin }: JudgedNumbers,
  thresholds: Thresholds,
): Pick<Judgement, "verdict"> & Pick<Judgement["control"], "passes"> {
  const low = Math.min(...interval.map((end) => scoreOf(condition, end)));
  const reaches = (score: number, threshold: number): boolean =>
    score >= scoreOf(condition, threshold);
  const passes = reaches(scoreOf(condition, controlEffect), thresholds.partly) || !(margin[0] > 0);
  if (passes || !reaches(low, thresholds.partly)) return { verdict: "not reproduced", passes };
  return { verdict: reaches(low, thresholds.reproduced) ? "reproduced" : "partly", passes };
}

/** The 2.5th and the 97.5th percentile. */
function percentiles(values: number[]): Interval {
  values.sort((a, b) => a - b);
  const at = (share: number): number => values[Math.round(share * (values.length - 1))]!;
  return [at(0.025), at(0.975)];
}

function checkUnits(condition: Condition, measurement: Measurement, minUnits: number): number {
  const { measured, baseline, control, original } = measurement;
  const { count } = measured;
  if (count < minUnits) {
    throw new JetonError(
      `the measurement of ${JSON.stringify(condition.id)} has ${count} units, not ${minUnits} or more`,
      {
        code: "reproduction-units-few",
        details: { claim: condition.id, found: count, expected: minUnits },
      },
    );
  }
  for (const [name, sample] of Object.entries({ baseline, control, original })) {
    if (sample === undefined || sample.count === count) continue;
    throw new JetonError(
      `the ${name} of ${JSON.stringify(condition.id)} has ${sample.count} units, not ${count}`,
      {
        code: "reproduction-units-unpaired",
        details: { claim: condition.id, found: sample.count, expected: count },
      },
    );
  }
  return count;
}

function pointOf(condition: Condition, { baseline }: Measurement, sample: Sample): number {
  const beside = baseline && wholeValue(baseline);
  const measured = wholeValue(sample);
  const value = effectOf(condition, measured, beside);
  if (Number.isFinite(measured) && !Number.isNaN(value)) return value;
  throw new JetonError(
    `the measurement of ${JSON.stringify(condition.id)} has no ${condition.effect}: ` +
      `${measured} beside ${beside ?? "nothing"}`,
    {
      code: "reproduction-measurement-invalid",
      details: { claim: condition.id, found: { measured, baseline: beside } },
    },
  );
}
