/**
 * The gate of MrT5 (Kallini et al., 2025): between two layers of the encoder it says of every position how
 * much it may be deleted. Softly, as a term of the scores; or hard, and the later layers read what is left.
 */
import {
  add,
  and,
  cast,
  type Dimension,
  divide,
  floor,
  gather,
  greater,
  less,
  matmul,
  max,
  multiply,
  negate,
  nonZero,
  range,
  reshape,
  rmsNorm,
  sigmoid,
  sizeValue,
  squeeze,
  subtract,
  sum,
  type Tensor,
  topK,
  where,
} from "../../tensor/index.ts";
import { timeUnit } from "../layers/time-unit.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { DeleteGateConfig } from "./config.ts";

/** The gate's own norm uses this, and not the config's. */
const gateEpsilon = 1e-6;

/** What the gate says of each position, `[batch, time]`. */
export interface GateOutput {
  /** z: below 0 where a position should go. */
  readonly logits: Tensor;
  /** G = k · sigmoid(-z), between k (delete) and 0 (keep); exactly k at padding. */
  readonly values: Tensor;
}

/** Names of the gate's parameters. */
function gateNames({ layer }: DeleteGateConfig): Record<"norm" | "weight" | "bias", string> {
  const name = `encoder.block.${layer}.delete_gate`;
  return {
    norm: `${name}.layer_norm.weight`,
    weight: `${name}.feed_forward.weight`,
    bias: `${name}.feed_forward.bias`,
  };
}

/** Shapes of the gate's parameters by name, for states of `width`. */
export function deleteGateShapes(gate: DeleteGateConfig, width: number): Map<string, number[]> {
  const names = gateNames(gate);
  const shapes = new Map<string, number[]>();
  if (gate.norm) shapes.set(names.norm, [width]);
  return shapes.set(names.weight, [1, width]).set(names.bias, [1]);
}

/** Applies the gate to states `[batch, time, hiddenSize]`. */
export function deleteGate(
  gate: DeleteGateConfig,
  weights: DecoderWeights,
  states: Tensor,
  attended: Tensor,
): GateOutput {
  const names = gateNames(gate);
  const scale = gate.norm ? weights.vector(names.norm) : undefined;
  const normed = scale ? rmsNorm(states, scale, { epsilon: gateEpsilon }) : states;
  const matrix = cast(weights.table(names.weight), "float32");
  const product = squeeze(matmul(normed, matrix, { transposeB: true }), 2);
  const logits = add(product, weights.vector(names.bias));
  const values = multiply(sigmoid(negate(logits)), gate.scale);
  return { logits, values: where(greater(attended, 0), values, gate.scale) };
}

/** What is left of a batch after deletion. */
export interface Kept {
  /** Original position of each kept one, int32 `[batch, kept]`; ones that do not count behind them. */
  readonly positions: Tensor;
  /** 1 for those that count, float32 `[batch, kept]`. */
  readonly attended: Tensor;
  /** int32 `[batch]` */
  readonly counts: Tensor;
  /** Rows of a tensor `[batch, time, width]` at the kept positions. */
  take(x: Tensor): Tensor;
}

/**
 * Gathers positions to the front, in their order. There are as many as the row that keeps the most, at
 * least one.
 *
 * @param keep bool `[batch, time]`
 */
export function keepPositions(keep: Tensor): Kept {
  const [batch, time] = keep.shape as [Dimension, Dimension];
  const places = cast(range(time), "float32");
  // Kept ones first, each group in its order.
  const order = topK(subtract(where(keep, 1 << 24, 0), places), time).indices;
  const counts = sum(cast(keep, "int32"), { axes: [1] });
  // Up to a whole unit: sums over few and many keys then run in one order.
  const units = floor(divide(add(cast(max(counts), "float32"), timeUnit - 1), timeUnit));
  const { indices: front } = nonZero(less(places, multiply(units, timeUnit)));
  const positions = gather(order, front, 1);
  const starts = multiply(range(batch), sizeValue(time));
  const flat = add(positions, reshape(starts, [batch, 1]));
  return {
    positions,
    counts,
    attended: cast(
      less(reshape(front, [1, front.shape[0]!]), reshape(counts, [batch, 1])),
      "float32",
    ),
    take: (x) => gather(reshape(x, [-1, ...x.shape.slice(2)]), flat),
  };
}

/** Positions that are kept: attended, and with a gate value above the threshold. */
export function keptByGate(values: Tensor, attended: Tensor, threshold: Tensor | number): Tensor {
  return and(greater(attended, 0), greater(values, threshold));
}
