/** Activations of the gated feed-forward in float64, with their derivatives. */
import type { ReferenceActivation } from "./reference-plan.ts";

/** Slope and cubic coefficient of the tanh form of GELU (Hendrycks and Gimpel, 2016). */
const tanhSlope = Math.sqrt(2 / Math.PI);
const tanhCubic = 0.044715;

/** The activation at x. */
export function activate(x: number, activation: ReferenceActivation): number {
  switch (activation) {
    case "silu":
      return x / (1 + Math.exp(-x));
    case "gelu":
      return 0.5 * x * (1 + erf(x / Math.SQRT2));
    case "gelu-tanh":
      return 0.5 * x * (1 + Math.tanh(tanhSlope * (x + tanhCubic * x ** 3)));
    case "relu":
      return Math.max(0, x);
  }
}

/** The derivative of the activation at x; 0 for `relu` at 0. */
export function activationSlope(x: number, activation: ReferenceActivation): number {
  switch (activation) {
    case "silu": {
      const gate = 1 / (1 + Math.exp(-x));
      return gate * (1 + x * (1 - gate));
    }
    case "gelu": {
      const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
      return 0.5 * (1 + erf(x / Math.SQRT2)) + x * density;
    }
    case "gelu-tanh": {
      const tanh = Math.tanh(tanhSlope * (x + tanhCubic * x ** 3));
      const inner = tanhSlope * (1 + 3 * tanhCubic * x * x);
      return 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * inner;
    }
    case "relu":
      return x > 0 ? 1 : 0;
  }
}

/** Error function to about 1e-15: a series of positive terms up to 3, a continued fraction beyond. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (z < 3) {
    // erf(z) = 2/sqrt(pi) exp(-z^2) sum of 2^n z^(2n+1) / (1 * 3 * ... * (2n+1)): no cancellation.
    let term = z;
    let sum = z;
    for (let n = 1; term > 1e-17 * sum; n++) {
      term *= (2 * z * z) / (2 * n + 1);
      sum += term;
    }
    return (Math.sign(x) * 2 * Math.exp(-z * z) * sum) / Math.sqrt(Math.PI);
  }
  // erfc(z) sqrt(pi) exp(z^2) = 1 / (z + (1/2) / (z + 1 / (z + (3/2) / (z + ...)))).
  let fraction = z;
  for (let n = 60; n >= 1; n--) fraction = z + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-z * z) / (fraction * Math.sqrt(Math.PI)));
}
