/**
 * Clipping, Adam's moments, weight decay and the step itself in one pass over a parameter: the loops of the
 * chain read and write its arrays five times, and memory is what an update waits for.
 */

/** Numbers of one step. */
export interface AdamWStep {
  /** Factor of the gradient: 1 where it is not clipped. */
  readonly shrink: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decay of this parameter; 0: none. */
  readonly decay: number;
  /** Learning rate of this parameter. */
  readonly rate: number;
  /** From 1 on. */
  readonly step: number;
}

/**
 * Changes a parameter and its moments in place. Every value that the chain of loops stores as float32 is
 * rounded here too, so that the results are the same to the last bit.
 */
export function stepByAdamW(
  data: Float32Array,
  gradient: Float32Array,
  first: Float32Array,
  second: Float32Array,
  { shrink, beta1, beta2, epsilon, decay, rate, step }: AdamWStep,
): void {
  const { fround, sqrt } = Math;
  const correction = 1 / (1 - beta1 ** step);
  const rootCorrection = 1 / sqrt(1 - beta2 ** step);
  for (let i = 0; i < data.length; i++) {
    const g = fround(gradient[i]! * shrink);
    const m = beta1 * first[i]! + (1 - beta1) * g;
    const v = beta2 * second[i]! + (1 - beta2) * g * g;
    first[i] = m;
    second[i] = v;
    const own = fround((m * correction) / (sqrt(v) * rootCorrection + epsilon));
    const value = data[i]!;
    const change = decay === 0 ? own : fround(own + decay * value);
    data[i] = value - rate * change;
  }
}
