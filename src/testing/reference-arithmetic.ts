/** Vector arithmetic of the float64 decoder. */
import type { ReferencePlan } from "./reference-plan.ts";
import type { ReferenceRope } from "./reference-rope.ts";

/** `weight` `[out, in]` times x `[in]`, plus bias. */
export function multiply(
  weight: Float64Array,
  x: Float64Array,
  bias: Float64Array | null,
): Float64Array {
  const inputs = x.length;
  const out = new Float64Array(weight.length / inputs);
  for (let o = 0; o < out.length; o++) {
    let sum = bias === null ? 0 : bias[o]!;
    for (let i = 0; i < inputs; i++) sum += weight[o * inputs + i]! * x[i]!;
    out[o] = sum;
  }
  return out;
}

/** Sum of two vectors. */
export function add(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!);
}

/** x over its root mean square, times the weight. */
export function rmsNorm(x: Float64Array, weight: Float64Array, plan: ReferencePlan): Float64Array {
  let squares = 0;
  for (const value of x) squares += value * value;
  const scale = 1 / Math.sqrt(squares / x.length + plan.rmsNormEps);
  return x.map((value, i) => value * scale * (weight[i]! + plan.normOffset));
}

/** Rotates every head of x in place; dimension i turns with dimension i + rotaryDim / 2. */
export function rotate(
  x: Float64Array,
  headDim: number,
  rope: ReferenceRope,
  position: number,
): void {
  const half = rope.frequencies.length;
  for (let start = 0; start < x.length; start += headDim) {
    for (let i = 0; i < half; i++) {
      const angle = position * rope.frequencies[i]!;
      const cosine = Math.cos(angle) * rope.attentionFactor;
      const sine = Math.sin(angle) * rope.attentionFactor;
      const a = x[start + i]!;
      const b = x[start + half + i]!;
      x[start + i] = a * cosine - b * sine;
      x[start + half + i] = b * cosine + a * sine;
    }
  }
}

/** (x - mean) over its deviation, times the weight, plus the bias: nn.LayerNorm. */
export function layerNorm(
  x: Float64Array,
  weight: Float64Array,
  bias: Float64Array,
  epsilon: number,
): Float64Array {
  const mean = x.reduce((a, b) => a + b, 0) / x.length;
  const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
  const scale = 1 / Math.sqrt(variance + epsilon);
  return x.map((value, i) => (value - mean) * scale * weight[i]! + bias[i]!);
}

/** Exponentials divided by their sum. */
export function softmax(scores: Float64Array): Float64Array {
  const largest = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** cap * tanh(x / cap). */
export function cap(x: number, limit: number | null): number {
  return limit === null ? x : limit * Math.tanh(x / limit);
}
