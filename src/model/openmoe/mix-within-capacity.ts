/**
 * Experts with a capacity, traced for training: the choices that an expert no longer takes get no weight,
 * and the router's losses are differentiable.
 *
 * Groups are sequences. Every expert is computed for every token and weighted: the mathematics of a
 * dispatch, at the price of a dense layer of all experts.
 */
import {
  add,
  cast,
  cumulativeSum,
  type Dimension,
  floor,
  less,
  logSumExp,
  maximum,
  mean,
  multiply,
  multiplyDimensions,
  oneHot,
  reshape,
  sizeValue,
  softmax,
  subtract,
  sum,
  type Tensor,
  transpose,
} from "../../tensor/index.ts";
import { everyExpert, type MixExperts } from "../layers/experts.ts";

/** Losses of one layer's router, float32 scalars. */
export interface RouterLosses {
  /** E · Σ mᵢ Pᵢ, mean over sequences; gradients flow through P alone. */
  readonly balance: Tensor;
  /** Mean of (log Σ exp logits)². */
  readonly z: Tensor;
}

/** Options of `mixWithinCapacity`. */
export interface MixWithinCapacityOptions {
  /** Sequences and tokens of each, whose product is the number of rows. */
  readonly shape: readonly [batch: Dimension, time: Dimension];
  /** C = ⌊k · factor · time / E⌋, made even, at least `least`. Default: no limit. */
  readonly capacity?: { readonly factor: number; readonly least: number };
  /** Takes the losses of each layer. */
  readonly onLosses?: (losses: RouterLosses) => void;
}

/** Mixes experts within a capacity, sequence by sequence. */
export function mixWithinCapacity(options: MixWithinCapacityOptions): MixExperts {
  const { shape, capacity, onLosses } = options;
  return (mixture) => {
    const { logits, choices, weights, experts } = mixture;
    const isOf = oneHot(choices, experts);
    onLosses?.(routerLosses(logits, isOf, shape));
    if (capacity === undefined) return everyExpert(mixture);
    const kept = keptChoices(isOf, shape, capacity);
    return everyExpert({ ...mixture, weights: multiply(weights, kept) });
  };
}

/** 1 where an expert takes a choice, else 0: `[rows, perToken]`. */
export function keptChoices(
  isOf: Tensor,
  [batch, time]: MixWithinCapacityOptions["shape"],
  { factor, least }: NonNullable<MixWithinCapacityOptions["capacity"]>,
): Tensor {
  const [, perToken, experts] = isOf.shape as [Dimension, number, number];
  // All first choices queue before any second one.
  const queue = reshape(transpose(reshape(isOf, [batch, time, perToken, experts]), [0, 2, 1, 3]), [
    batch,
    multiplyDimensions(perToken, time),
    experts,
  ]);
  const place = subtract(sum(multiply(queue, cumulativeSum(queue, 1)), { axes: [2] }), 1);
  const share = multiply(cast(sizeValue(time), "float32"), (perToken * factor) / experts);
  const whole = floor(share);
  const odd = subtract(whole, multiply(floor(multiply(whole, 0.5)), 2));
  const kept = cast(less(place, maximum(add(whole, odd), least)), "float32");
  const byToken = transpose(reshape(kept, [batch, perToken, time]), [0, 2, 1]);
  return reshape(byToken, [multiplyDimensions(batch, time), perToken]);
}

function routerLosses(
  logits: Tensor,
  isOf: Tensor,
  [batch, time]: MixWithinCapacityOptions["shape"],
): RouterLosses {
  const experts = logits.shape[1] as number;
  const perSequence = (values: Tensor): Tensor =>
    mean(reshape(values, [batch, time, experts]), { axes: [1] });
  const chosen = perSequence(sum(isOf, { axes: [1] }));
  const probable = perSequence(softmax(logits));
  const normalizers = logSumExp(logits, { axes: [1] });
  return {
    balance: multiply(mean(sum(multiply(chosen, probable), { axes: [1] })), experts),
    z: mean(multiply(normalizers, normalizers)),
  };
}
