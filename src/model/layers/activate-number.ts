/** Activations of single numbers, for vectors that no graph computes. */
import type { Activation } from "./activation.ts";

/** Applies an activation to a number, in double precision. */
export function activateNumber(x: number, activation: Activation): number {
  switch (activation) {
    case "silu":
      return x * logistic(x);
    case "gelu":
      return 0.5 * x * erfc(-x / Math.SQRT2);
    case "gelu-tanh":
      return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case "quick-gelu":
      return x * logistic(1.702 * x);
    case "relu":
      return Math.max(x, 0);
    case "relu-squared":
      return Math.max(x, 0) ** 2;
    case "tanh":
      return Math.tanh(x);
    case "sigmoid":
      return logistic(x);
    case "identity":
      return x;
  }
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** The complementary error function: its series near 0, its continued fraction from 2 on; relative error below 1e-12. */
function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x < 2) {
    let [term, sum] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-17 * sum; n++) {
      term *= (-x * x * (2 * n - 1)) / (n * (2 * n + 1));
      sum += term;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let tail = 0;
  for (let n = 60; n > 0; n--) tail = n / 2 / (x + tail);
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * (x + tail));
}
