/** AdamW in float64: the oracle of the optimizer. */
import type { ReferenceTensor, ReferenceTensors } from "./reference-checkpoint.ts";

/** Moments of AdamW. Start with `{ step: 0, first: new Map(), second: new Map() }`. */
export interface ReferenceAdamWState {
  /** Steps taken. */
  readonly step: number;
  /** Running means of the gradients, by parameter. */
  readonly first: ReadonlyMap<string, Float64Array>;
  /** Running means of their squares. */
  readonly second: ReadonlyMap<string, Float64Array>;
}

export interface ReferenceAdamWOptions {
  learningRate: number;
  /** Default 0.9. */
  beta1?: number;
  /** Default 0.999. */
  beta2?: number;
  /** Added to the root of the second moment; default 1e-8. */
  epsilon?: number;
  /** Per parameter or for all, default 0. Decoupled: multiplied by the learning rate only. */
  weightDecay?: number | ((name: string, shape: readonly number[]) => number);
  /** Gradients are scaled down to this global norm when theirs is larger. Default: no limit. */
  maxNorm?: number;
}

/**
 * One step of AdamW (Loshchilov and Hutter, 2019) as PyTorch takes it: decay first, then the
 * bias-corrected update. Returns new tensors and state and leaves the given ones alone; a parameter
 * without a gradient stays.
 */
export function referenceAdamW(
  tensors: ReferenceTensors,
  gradients: ReadonlyMap<string, Float64Array>,
  state: ReferenceAdamWState,
  options: ReferenceAdamWOptions,
): { tensors: Map<string, ReferenceTensor>; state: ReferenceAdamWState } {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  const { maxNorm = Number.POSITIVE_INFINITY } = options;
  const norm = referenceGradientNorm(gradients);
  const shrink = norm > maxNorm ? maxNorm / norm : 1;
  const step = state.step + 1;
  const moved = new Map<string, ReferenceTensor>();
  const first = new Map<string, Float64Array>();
  const second = new Map<string, Float64Array>();
  for (const [name, { shape, data }] of tensors) {
    const gradient = gradients.get(name);
    if (gradient === undefined) {
      moved.set(name, { shape, data });
      continue;
    }
    const decay = typeof weightDecay === "number" ? weightDecay : weightDecay(name, shape);
    const size = data.length;
    const mean = (state.first.get(name) ?? new Float64Array(size)).map(
      (m, i) => beta1 * m + (1 - beta1) * gradient[i]! * shrink,
    );
    const square = (state.second.get(name) ?? new Float64Array(size)).map(
      (v, i) => beta2 * v + (1 - beta2) * (gradient[i]! * shrink) ** 2,
    );
    const values = data.map((value, i) => {
      const root = Math.sqrt(square[i]! / (1 - beta2 ** step)) + epsilon;
      const update = mean[i]! / (1 - beta1 ** step) / root;
      return value * (1 - learningRate * decay) - learningRate * update;
    });
    moved.set(name, { shape, data: values });
    first.set(name, mean);
    second.set(name, square);
  }
  return { tensors: moved, state: { step, first, second } };
}

/** Euclidean norm of all gradients together. */
export function referenceGradientNorm(gradients: ReadonlyMap<string, Float64Array>): number {
  let squares = 0;
  for (const gradient of gradients.values()) {
    for (const value of gradient) squares += value * value;
  }
  return Math.sqrt(squares);
}
