/** The three programs of a model of words that generates: encoder, backbone and local decoder with caches. */
import {
  broadcastTo,
  concat,
  type Dimension,
  float32,
  gather,
  greaterOrEqual,
  int32,
  range,
  reshape,
  scoped,
  slice,
  subtractDimensions,
  type Tensor,
  type TensorType,
  type TypedGraph,
  trace,
  unsqueeze,
  where,
} from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import { decoderLayer, type LayerContext } from "../decoder/decoder-layer.ts";
import { twoPartAttention } from "../layers/attention.ts";
import { everyExpert } from "../layers/experts.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { WordModelConfig } from "./word-config.ts";
import { byteLogits, embedUnits, encodeWords, predictiveVectors } from "./word-layers.ts";
import { stackWeights, type WordStack } from "./word-parameters.ts";

/**
 * Makes vectors of words. Inputs: `units` int32 `[words, length]`, `lengths` int32 `[words]`. Output
 * `vectors` `[words, prefixes, backbone hidden size]`.
 */
export function encoderProgram(
  config: WordModelConfig,
  weights: DecoderWeights,
): TypedGraph<"units" | "lengths", "vectors"> {
  return trace({ units: int32(["words", "length"]), lengths: int32(["words"]) }, (input) => ({
    vectors: encodeWords(config, weights, {
      embedded: embedUnits(weights, input.units),
      lengths: input.lengths,
    }),
  }));
}

/** Inputs of layers that read a cache. */
export type CachedInput =
  | "x"
  | "cos"
  | "sin"
  | "mask.past"
  | "mask.new"
  | "rows"
  | `past.${number}.${"key" | "value"}`;

/**
 * Inputs: `x` `[batch, time, width]`; `cos` and `sin` `[batch * time, half]`; masks added to scores,
 * `mask.past` `[batch, 1, 1, capacity]` and `mask.new` `[1, 1, time, time]`; `past.N.key` and `.value`
 * `[batch, kvHeads, capacity, headDim]`; `rows` int32 `[rows]`, flat places of the rows that are wanted.
 */
function cachedInputs(config: DecoderConfig): Record<CachedInput, TensorType> {
  const { hiddenSize, numKeyValueHeads, headDim, ropes } = config;
  const inputs: Record<string, TensorType> = {
    x: float32(["batch", "time", hiddenSize]),
    cos: float32(["batch*time", ropes[0]!.rotaryDim / 2]),
    sin: float32(["batch*time", ropes[0]!.rotaryDim / 2]),
    "mask.past": float32(["batch", 1, 1, "capacity"]),
    "mask.new": float32([1, 1, "time", "time"]),
    rows: int32(["rows"]),
  };
  for (const index of config.layers.keys()) {
    const past = float32(["batch", numKeyValueHeads, "capacity", headDim]);
    inputs[`past.${index}.key`] = past;
    inputs[`past.${index}.value`] = past;
  }
  return inputs as Record<CachedInput, TensorType>;
}

/** All layers of a stack over new rows `x` that also see cached ones. */
function runCached(
  config: DecoderConfig,
  weights: DecoderWeights,
  stack: WordStack,
  input: Readonly<Record<CachedInput, Tensor>>,
  x: Tensor,
): { x: Tensor; fresh: Tensor } {
  const [batch, time] = x.shape as [string, string];
  const group = config.numAttentionHeads / config.numKeyValueHeads;
  const mask = broadcastTo(input["mask.new"], ["batch", 1, time, time]);
  const masks = {
    past: input["mask.past"],
    fresh: group === 1 ? mask : concat(new Array<Tensor>(group).fill(mask), 2),
  };
  const context: LayerContext = {
    config,
    weights: stackWeights(weights, stack),
    attend: twoPartAttention,
    mixExperts: everyExpert,
    rotationRows: reshape(range("batch*time"), [batch, time]),
    rotations: [{ cos: input.cos, sin: input.sin }],
    past: (layer) => ({
      key: input[`past.${layer}.key`]!,
      value: input[`past.${layer}.value`]!,
    }),
    masks: () => masks,
  };
  const fresh: Tensor[] = [];
  for (const index of config.layers.keys()) {
    const layer = scoped(`${stack}.${index}`, () => decoderLayer(x, index, context));
    x = layer.x;
    fresh.push(lastOfBatch(layer.key), lastOfBatch(layer.value));
  }
  return { x, fresh: concat(fresh, 0) };
}

/** Of several words only the last one goes on, so only its keys and values are kept. */
function lastOfBatch(x: Tensor): Tensor {
  const batch = x.shape[0]!;
  return slice(x, { axis: 0, start: subtractDimensions(batch, 1), end: batch });
}

/** Rows of `x` `[batch, time, width]` at flat places. */
function wantedRows(x: Tensor, rows: Tensor): Tensor {
  return gather(reshape(x, [-1, x.shape[2] as Dimension]), rows);
}

/**
 * The backbone over new words of one sequence. Outputs: `predictive` `[rows, local hidden size]`, and `fresh`
 * `[2 * layers, kvHeads, time, headDim]`, the new keys and values of one layer after the other.
 */
export function backboneProgram(
  config: WordModelConfig,
  weights: DecoderWeights,
): TypedGraph<CachedInput, "predictive" | "fresh"> {
  return trace(cachedInputs(config.backbone), (input) => {
    const { x, fresh } = runCached(config.backbone, weights, "backbone", input, input.x);
    return { predictive: predictiveVectors(config, weights, wantedRows(x, input.rows)), fresh };
  });
}

/**
 * The local decoder over bytes of one or several words. Input `units` int32 `[batch, time]` besides: a byte,
 * or -1 where `x` holds a predictive vector. Outputs: `logits` `[rows, 256]`, and `fresh` of the last word as
 * in `backboneProgram`.
 */
export function decoderProgram(
  config: WordModelConfig,
  weights: DecoderWeights,
): TypedGraph<CachedInput | "units", "logits" | "fresh"> {
  const inputs = { ...cachedInputs(config.decoder), units: int32(["batch", "time"]) };
  return trace(inputs, (input) => {
    const isByte = greaterOrEqual(input.units, 0);
    const bytes = embedUnits(weights, where(isByte, input.units, 0));
    const rows = where(unsqueeze(isByte, 2), bytes, input.x);
    const { x, fresh } = runCached(config.decoder, weights, "decoder", input, rows);
    return { logits: byteLogits(config, weights, wantedRows(x, input.rows)), fresh };
  });
}
