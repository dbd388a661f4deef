/**
 * A decoder over full sequences that attend to themselves, without a cache: for training, and for
 * reading a text once.
 */
import {
  abs,
  add,
  and,
  broadcastTo,
  causalMask,
  concat,
  equal,
  float32,
  less,
  logSumExp,
  or,
  range,
  reshape,
  scoped,
  softmaxProduct,
  subtract,
  type Tensor,
  type TensorType,
  type TensorValue,
  where,
} from "../../tensor/index.ts";
import { type Attention, scoreQueries } from "../layers/attention.ts";
import { everyExpert, type MixExperts } from "../layers/experts.ts";
import { ropeFrequencies } from "../layers/rope.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { DecoderConfig } from "./config.ts";
import { decoderLayer, type LayerContext } from "./decoder-layer.ts";
import { addPositions } from "./embeddings.ts";

/** Types of the inputs `rope.N.cos` and `.sin` `[positions, half]` that `decodeFullSequence` reads. */
export function rotationTypes(config: DecoderConfig): Record<string, TensorType> {
  const types: Record<string, TensorType> = {};
  for (const [index, rope] of config.ropes.entries()) {
    types[`rope.${index}.cos`] = float32(["positions", rope.rotaryDim / 2]);
    types[`rope.${index}.sin`] = float32(["positions", rope.rotaryDim / 2]);
  }
  return types;
}

/**
 * Values of these inputs for sequences of up to `length` tokens.
 *
 * @param reached the length that scalings use which depend on one. Default: `length`
 */
export function rotationTables(
  config: Pick<DecoderConfig, "ropes">,
  length: number,
  reached: number = length,
): Record<string, TensorValue> {
  const tables: Record<string, TensorValue> = {};
  for (const [index, rope] of config.ropes.entries()) {
    const { frequencies, factor } = ropeFrequencies(rope, reached);
    const half = frequencies.length;
    const shape = [length, half];
    const cos = new Float32Array(length * half);
    const sin = new Float32Array(length * half);
    for (let position = 0; position < length; position++) {
      for (let pair = 0; pair < half; pair++) {
        const angle = position * frequencies[pair]!;
        cos[position * half + pair] = factor * Math.cos(angle);
        sin[position * half + pair] = factor * Math.sin(angle);
      }
    }
    tables[`rope.${index}.cos`] = { dtype: "float32", shape, data: cos };
    tables[`rope.${index}.sin`] = { dtype: "float32", shape, data: sin };
  }
  return tables;
}

/** Options of `decodeFullSequence`. */
export interface DecodeFullSequenceOptions {
  /**
   * Number of each token's document, int32 `[batch, time]`: tokens see only their own document, and
   * those of `everyDocument`. Default: one document.
   */
  segments?: Tensor;
  /** Row of the rotation tables, or of learned positions, of each token, int32 `[batch, time]`. Default 0, 1, 2, … */
  positions?: Tensor;
  /**
   * Which tokens (columns) each token (row) sees, bool `[time, time]`, itself among them; layers with a window
   * see those of them whose position lies within it. Default: itself and all before it.
   */
  visible?: Tensor;
  /** Added to the scores of keys, besides what tokens see: `[batch, 1, 1, time]`. Default: nothing. */
  keyMask?: Tensor;
  /** Attention of every layer, which may read the masks or have its own. Default: to all tokens before. */
  attend?: Attention;
  /** How sparse layers compute their experts. Default: all of them, without a capacity. */
  mixExperts?: MixExperts;
}

/** A document that all others see. */
export const everyDocument = -1;

/**
 * All layers over whole sequences.
 *
 * @param x token embeddings `[batch, time, hiddenSize]`
 * @param input the inputs of `rotationTypes`, by name
 * @returns hidden states `[batch, time, hiddenSize]` before the final norm
 */
export function decodeFullSequence(
  config: DecoderConfig,
  weights: DecoderWeights,
  x: Tensor,
  input: Readonly<Record<string, Tensor>>,
  options: DecodeFullSequenceOptions = {},
): Tensor {
  const [batch, time] = x.shape as [Tensor["shape"][number], Tensor["shape"][number]];
  const positions =
    options.positions ?? broadcastTo(reshape(range(time), [1, time]), [batch, time]);
  x = addPositions(config, weights, x, positions);
  const context: LayerContext = {
    config,
    weights,
    attend: options.attend ?? attendFullSequence,
    mixExperts: options.mixExperts ?? everyExpert,
    rotationRows: positions,
    rotations: config.ropes.map((_, index) => ({
      cos: input[`rope.${index}.cos`]!,
      sin: input[`rope.${index}.sin`]!,
    })),
    // `attendFullSequence` uses no cache, so there are no past rows.
    past: () => ({ key: x, value: x }),
    masks: maskMaker(config, [batch, time], options),
  };
  for (const index of config.layers.keys()) {
    x = scoped(`layers.${index}`, () => decoderLayer(x, index, context)).x;
  }
  return x;
}

/** Exact attention of a sequence to itself. */
export const attendFullSequence: Attention = (input) => {
  const { query, key, value, newMask } = input;
  const scores = add(scoreQueries(query, key, input), newMask);
  return {
    output: softmaxProduct(scores, value),
    logSumExp: () => logSumExp(scores, { axes: [-1] }),
  };
};

/** Masks by window, made once: `[batch or 1, 1, group * time, time]`, 0 or -infinity. */
function maskMaker(
  config: DecoderConfig,
  [batch, time]: readonly [Tensor["shape"][number], Tensor["shape"][number]],
  { segments, positions, visible, keyMask }: DecodeFullSequenceOptions,
): LayerContext["masks"] {
  const group = config.numAttentionHeads / config.numKeyValueHeads;
  const made = new Map<number | undefined, { past: Tensor; fresh: Tensor }>();
  return (window) => {
    let masks = made.get(window);
    if (!masks) {
      let seen = visible
        ? visibleWithin(window, visible, positions)
        : reshape(ownMask(config, time, window), [1, 1, time, time]);
      if (segments) {
        const own = reshape(segments, [batch, 1, time, 1]);
        const others = reshape(segments, [batch, 1, 1, time]);
        seen = and(seen, or(equal(own, others), equal(others, everyDocument)));
      }
      const unseen = where(seen, 0, Number.NEGATIVE_INFINITY);
      const mask = keyMask ? add(unseen, keyMask) : unseen;
      // Rows of the query heads that share a kv head follow each other.
      const fresh = group === 1 ? mask : concat(new Array<Tensor>(group).fill(mask), 2);
      masks = { past: fresh, fresh };
      made.set(window, masks);
    }
    return masks;
  };
}

/** Which keys a query sees by their places, bool `[time, time]`. */
function ownMask(
  { bidirectional = false }: DecoderConfig,
  time: Tensor["shape"][number],
  window: number | undefined,
): Tensor {
  if (!bidirectional) return causalMask(time, time, window === undefined ? {} : { window });
  const distance = abs(subtract(reshape(range(time), [1, time]), reshape(range(time), [time, 1])));
  // No distance is below 0.
  return window === undefined ? less(-1, distance) : less(distance, window);
}

/** What of the given mask a layer sees: all of it, or tokens at less than `window` positions before the own one. */
function visibleWithin(
  window: number | undefined,
  visible: Tensor,
  positions: Tensor | undefined,
): Tensor {
  const [time] = visible.shape as [Tensor["shape"][number]];
  const seen = reshape(visible, [1, 1, time, time]);
  if (window === undefined) return seen;
  const [batch] = positions ? (positions.shape as [Tensor["shape"][number]]) : [1];
  const at = positions ?? reshape(range(time), [1, time]);
  const own = reshape(at, [batch, 1, time, 1]);
  const others = reshape(at, [batch, 1, 1, time]);
  return and(seen, less(subtract(own, others), window));
}
