/**
 * What stands between two layers of the encoder and makes its sequence shorter: the learned gate of MrT5,
 * and the baselines that it is compared with.
 */
import {
  add,
  and,
  broadcastTo,
  cast,
  cumulativeSum,
  type Dimension,
  divide,
  float32,
  greater,
  less,
  log,
  matmul,
  max,
  maximum,
  mean,
  minimum,
  multiply,
  nonZero,
  range,
  relu,
  reshape,
  sigmoid,
  stopGradient,
  subtract,
  sum,
  type Tensor,
  type TensorType,
  unsqueeze,
} from "../../tensor/index.ts";
import type { DeleteGateConfig } from "../seq2seq/config.ts";
import { deleteGate, deleteGateShapes, keepPositions, keptByGate } from "../seq2seq/delete-gate.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";

/** States before the shortening. */
export interface ShortenInput {
  readonly weights: DecoderWeights;
  /** `[batch, time, width]` */
  readonly states: Tensor;
  /** 1 for tokens, 0 for padding, `[batch, time]`. */
  readonly attended: Tensor;
  /** The inputs that the shortener declares, by name. */
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/** States after the shortening. */
export interface Shortened {
  /** `[batch, kept, width]` */
  readonly states: Tensor;
  /** Position of each for relative scores, int32 `[batch, kept]`. */
  readonly positions: Tensor;
  /** `[batch, kept]` */
  readonly attended: Tensor;
  /** Added to scores over each, `[batch, kept]`; undefined: nothing. */
  readonly term: Tensor | undefined;
  /** A scalar that training adds to the loss, times a weight; undefined: nothing. */
  readonly penalty: Tensor | undefined;
  /** Share of tokens that are gone or, softly, marked to go: a scalar. */
  readonly deletedShare: Tensor;
}

/** A way to shorten. */
export interface Shortener {
  readonly name: string;
  /** Shapes of its parameters by name. */
  readonly parameters: ReadonlyMap<string, readonly number[]>;
  /** Inputs of the graph besides the texts. */
  readonly inputs: Readonly<Record<string, TensorType>>;
  shorten(input: ShortenInput): Shortened;
}

const everyPosition = (attended: Tensor): Tensor => {
  const [batch, time] = attended.shape as [Dimension, Dimension];
  return broadcastTo(reshape(range(time), [1, time]), [batch, time]);
};

/** Share of attended positions at which `deleted` is 1. */
function shareOf(deleted: Tensor, attended: Tensor): Tensor {
  return divide(sum(multiply(deleted, attended)), sum(attended));
}

/** Nothing is deleted. */
export function noShortener(): Shortener {
  return {
    name: "none",
    parameters: new Map(),
    inputs: {},
    shorten: ({ states, attended }) => ({
      states,
      positions: everyPosition(attended),
      attended,
      term: undefined,
      penalty: undefined,
      deletedShare: multiply(sum(attended), 0),
    }),
  };
}

/**
 * MrT5's gate. Softly: its value is a term of the scores, and nothing is deleted; its penalty is the mean
 * value over tokens. Hard: what is not above the threshold goes.
 */
export function gateShortener(
  gate: DeleteGateConfig,
  width: number,
  { hard = false }: { readonly hard?: boolean } = {},
): Shortener {
  return {
    name: hard ? "gate (hard)" : "gate",
    parameters: deleteGateShapes(gate, width),
    inputs: {},
    shorten({ weights, states, attended }) {
      const { values } = deleteGate(gate, weights, states, attended);
      const isAbove = greater(values, gate.threshold);
      const deletedShare = shareOf(subtract(1, cast(isAbove, "float32")), attended);
      const penalty = shareOf(values, attended);
      if (!hard) {
        const positions = everyPosition(attended);
        return { states, positions, attended, term: values, penalty, deletedShare };
      }
      const kept = keepPositions(keptByGate(values, attended, gate.threshold));
      return {
        states: kept.take(states),
        positions: kept.positions,
        attended: kept.attended,
        term: undefined,
        penalty,
        deletedShare,
      };
    },
  };
}

/** Deletes what the input `keep` `[batch, time]` marks with 0: random and fixed deletion. */
export function givenShortener(name: "random" | "fixed"): Shortener {
  return {
    name,
    parameters: new Map(),
    inputs: { keep: float32(["batch", "time"]) },
    shorten({ states, attended, inputs }) {
      const keep = inputs["keep"]!;
      const kept = keepPositions(and(greater(attended, 0), greater(keep, 0)));
      return {
        states: kept.take(states),
        positions: kept.positions,
        attended: kept.attended,
        term: undefined,
        penalty: undefined,
        deletedShare: shareOf(subtract(1, keep), attended),
      };
    },
  };
}

/** A convolution whose kernel is as wide as its step: `width` positions become one. */
export function convolutionShortener(prefix: string, rate: number, width: number): Shortener {
  return {
    name: "convolution",
    parameters: new Map([
      [`${prefix}.conv.weight`, [width, rate * width]],
      [`${prefix}.conv.bias`, [width]],
    ]),
    inputs: {},
    shorten({ weights, states, attended }) {
      const [batch] = states.shape as [Dimension, Dimension, number];
      // Texts are filled up to a multiple of the step.
      const blocks = reshape(multiply(states, unsqueeze(attended, 2)), [batch, -1, rate * width]);
      const products = weights.linear(blocks, [`${prefix}.conv.weight`]);
      const counts = sum(reshape(attended, [batch, -1, rate]), { axes: [2] });
      const own = cast(greater(counts, 0), "float32");
      return {
        states: add(products, weights.vector(`${prefix}.conv.bias`)),
        positions: everyPosition(own),
        attended: own,
        term: undefined,
        penalty: undefined,
        deletedShare: subtract(1, divide(sum(own), sum(attended))),
      };
    },
  };
}

/** Probability of a boundary before training pulls it there. */
const boundaryPrior = 0.2;
const boundaryTemperature = 0.5;

/**
 * A boundary predictor (Nawrot et al., 2023): a network of two layers says where a segment ends, by a relaxed
 * Bernoulli sample with a straight-through gradient, and states are averaged within segments. Its
 * penalty is -log Binomial(boundaries; length, 0.2) / length.
 */
export function boundaryShortener(prefix: string, width: number): Shortener {
  const names = [`${prefix}.boundary.0`, `${prefix}.boundary.1`] as const;
  return {
    name: "boundary",
    parameters: new Map([
      [`${names[0]}.weight`, [width, width]],
      [`${names[0]}.bias`, [width]],
      [`${names[1]}.weight`, [1, width]],
      [`${names[1]}.bias`, [1]],
    ]),
    // Logistic noise in training; zeros where it should not be random.
    inputs: { noise: float32(["batch", "time"]) },
    shorten({ weights, states, attended, inputs }) {
      const [batch, time] = attended.shape as [Dimension, Dimension];
      const first = add(
        weights.linear(states, [`${names[0]}.weight`]),
        weights.vector(`${names[0]}.bias`),
      );
      const second = add(
        weights.linear(relu(first), [`${names[1]}.weight`]),
        weights.vector(`${names[1]}.bias`),
      );
      const logits = add(reshape(second, [batch, time]), inputs["noise"]!);
      const soft = sigmoid(multiply(logits, 1 / boundaryTemperature));
      const hard = cast(greater(soft, 0.5), "float32");
      const boundary = multiply(add(soft, stopGradient(subtract(hard, soft))), attended);
      const { pooled, own } = poolSegments(states, boundary, attended);
      return {
        states: pooled,
        positions: everyPosition(own),
        attended: own,
        term: undefined,
        penalty: binomialPenalty(boundary, attended),
        deletedShare: subtract(1, divide(sum(own), sum(attended))),
      };
    },
  };
}

/** Means of the states between boundaries; gradients reach the boundaries through the weights of the means. */
function poolSegments(
  states: Tensor,
  boundary: Tensor,
  attended: Tensor,
): { pooled: Tensor; own: Tensor } {
  const [batch, time] = attended.shape as [Dimension, Dimension];
  // A boundary closes its segment: the number of those before a position.
  const segment = subtract(cumulativeSum(boundary, 1), boundary);
  const last = multiply(stopGradient(segment), attended);
  const { indices: front } = nonZero(less(cast(range(time), "float32"), add(max(last), 1)));
  const count = front.shape[0]!;
  const place = reshape(cast(front, "float32"), [1, count, 1]);
  const distance = subtract(place, reshape(segment, [batch, 1, time]));
  const inside = maximum(subtract(1, multiply(distance, distance)), 0);
  const weights = multiply(inside, reshape(attended, [batch, 1, time]));
  const total = sum(weights, { axes: [2], keepAxes: true });
  const pooled = divide(matmul(weights, states), maximum(total, 1e-6));
  return { pooled, own: reshape(cast(greater(total, 0.5), "float32"), [batch, count]) };
}

/** -log Binomial(k; n, prior) / n with Stirling's formula, mean over texts. */
function binomialPenalty(boundary: Tensor, attended: Tensor): Tensor {
  const n = sum(attended, { axes: [1] });
  const k = minimum(maximum(sum(boundary, { axes: [1] }), 0.5), subtract(n, 0.5));
  const rest = subtract(n, k);
  const share = (count: Tensor, probability: number): Tensor =>
    multiply(count, subtract(log(divide(count, n)), Math.log(probability)));
  const exponent = add(share(k, boundaryPrior), share(rest, 1 - boundaryPrior));
  const spread = multiply(log(multiply(divide(multiply(k, rest), n), 2 * Math.PI)), 0.5);
  const penalties = divide(add(exponent, spread), n);
  return mean(penalties);
}
