/**
 * Log-probabilities in answers.
 */

/** What OpenAI writes for a probability of zero, whose logarithm JSON cannot hold. */
const impossible = -9999;

/** A log-probability as JSON can hold it. */
export function writeLogProbability(value: number): number {
  return Number.isFinite(value) ? value : impossible;
}
