/**
 * The G-test of goodness of fit of counts to a distribution.
 */

export interface GTestResult {
  /** 2 * sum of observed * ln(observed / expected). */
  readonly statistic: number;
  readonly degreesOfFreedom: number;
  /** Probability of a statistic at least this large if the counts come from the distribution. */
  readonly pValue: number;
}

/**
 * Tests counts against probabilities. Outcomes with an expected count below five are pooled; an outcome of
 * probability zero gives a p-value of 0.
 */
export function gTest(
  counts: ReadonlyMap<string, number>,
  distribution: ReadonlyMap<string, number>,
): GTestResult {
  let total = 0;
  for (const count of counts.values()) total += count;
  for (const [outcome, count] of counts) {
    if (count > 0 && !(distribution.get(outcome)! > 0)) {
      return { statistic: Infinity, degreesOfFreedom: 0, pValue: 0 };
    }
  }
  let statistic = 0;
  let cells = 0;
  const pooled = { observed: 0, expected: 0 };
  const add = (observed: number, expected: number): void => {
    cells++;
    if (observed > 0) statistic += 2 * observed * Math.log(observed / expected);
  };
  for (const [outcome, probability] of distribution) {
    const observed = counts.get(outcome) ?? 0;
    const expected = probability * total;
    if (expected >= 5) add(observed, expected);
    else {
      pooled.observed += observed;
      pooled.expected += expected;
    }
  }
  if (pooled.expected > 0) add(pooled.observed, pooled.expected);
  const degreesOfFreedom = cells - 1;
  return {
    statistic,
    degreesOfFreedom,
    pValue: degreesOfFreedom === 0 ? 1 : upperGamma(degreesOfFreedom / 2, statistic / 2),
  };
}

/** Regularized upper incomplete gamma function: series below a + 1, continued fraction above. */
function upperGamma(a: number, x: number): number {
  if (x <= 0) return 1;
  const front = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; term > sum * 1e-15; n++) {
      term *= x / (a + n);
      sum += term;
    }
    return 1 - front * sum;
  }
  // Lentz's method.
  let b = x + 1 - a;
  let c = 1e300;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; n < 10_000; n++) {
    const an = -n * (n - a);
    b += 2;
    d = 1 / (an * d + b);
    c = b + an / c;
    const change = c * d;
    fraction *= change;
    if (Math.abs(change - 1) < 1e-14) break;
  }
  return front * fraction;
}

/** Logarithm of the gamma function by Stirling's series, for an argument shifted to at least 12. */
function logGamma(x: number): number {
  let shift = 0;
  let at = x;
  while (at < 12) {
    shift -= Math.log(at);
    at++;
  }
  const inverse = 1 / (at * at);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / at;
  return shift + (at - 0.5) * Math.log(at) - at + 0.5 * Math.log(2 * Math.PI) + series;
}
