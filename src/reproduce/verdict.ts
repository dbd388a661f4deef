/** From numbers to verdicts. Nothing but the numbers and the claim's own thresholds enters. */
import { JetonError } from "../core/index.ts";
import type { Claim, Measurement } from "./define-reproduction.ts";

/** What the numbers say of a claim. */
export type Verdict = "reproduced" | "partly" | "not reproduced";

/** The claim's conditions that a verdict depends on. */
export type Condition = Pick<Claim, "id" | "direction" | "effect" | "reproduced" | "partly">;

/**
 * How large the effect is, as `Claim.effect` defines it.
 *
 * @throws JetonError `reproduction-measurement-invalid` when a number is not finite, a baseline is
 *   missing, or a ratio has no meaning because a number is not above zero.
 */
export function effectOf(condition: Condition, measurement: Measurement): number {
  const { direction, effect } = condition;
  const { measured, baseline } = measurement;
  if (!Number.isFinite(measured)) throw invalid(condition, measurement, "is not a finite number");
  if (baseline !== undefined && !Number.isFinite(baseline)) {
    throw invalid(condition, measurement, "has a baseline that is not a finite number");
  }
  if (effect === "value") return measured;
  if (baseline === undefined) throw invalid(condition, measurement, "needs a baseline");
  const isHigher = direction === "higher";
  if (effect === "difference") return isHigher ? measured - baseline : baseline - measured;
  const [better, worse] = isHigher ? [measured, baseline] : [baseline, measured];
  // Nothing is left of something: no ratio could be better. The other way round, a baseline of zero
  // makes any number look infinitely good.
  if (!isHigher && measured === 0 && baseline > 0) return Number.POSITIVE_INFINITY;
  if (!(worse > 0 && better >= 0)) {
    throw invalid(condition, measurement, "has no ratio: numbers must be above zero");
  }
  return better / worse;
}

/** The verdict on one claim. Throws as `effectOf` does. */
export function judge(condition: Condition, measurement: Measurement): Verdict {
  const effect = effectOf(condition, measurement);
  const isUpperBound = condition.effect === "value" && condition.direction === "lower";
  const reaches = (threshold: number): boolean =>
    isUpperBound ? effect <= threshold : effect >= threshold;
  if (reaches(condition.reproduced)) return "reproduced";
  return reaches(condition.partly) ? "partly" : "not reproduced";
}

function invalid(condition: Condition, measurement: Measurement, why: string): JetonError {
  return new JetonError(`the measurement of ${JSON.stringify(condition.id)} ${why}`, {
    code: "reproduction-measurement-invalid",
    details: { claim: condition.id, found: measurement },
  });
}
