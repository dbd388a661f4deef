/** The two graphs of an encoder-decoder: one reads a text, the other decodes step by step. */
import {
  add,
  bool,
  concat,
  float32,
  gather,
  int32,
  matmul,
  optional,
  range,
  reshape,
  split,
  type Tensor,
  type TensorType,
  type TypedGraph,
  trace,
  uint8,
} from "../../tensor/index.ts";
import { logitsState, partOutputs } from "../decoder/decoder.ts";
import {
  headParts,
  type LayerTap,
  layerParts,
  type PartState,
  stepInputs,
  stepParts,
  switchOf,
} from "../decoder/step-outputs.ts";
import { sumsOf } from "../layers/layer-terms.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import { decoderView, type Seq2SeqConfig } from "./config.ts";
import {
  crossKeyValue,
  embedOutputTokens,
  finalOutputStates,
  outputBias,
  outputLogits,
  type Seq2SeqContext,
  scoreWeights,
  seq2seqDecoderLayer,
} from "./decoder-layer.ts";
import { encodeSource } from "./encode-source.ts";

/**
 * The graph that reads texts.
 *
 * Inputs: `ids` int32 and `attended` float32 `[batch, time]`; with a gate `threshold` and `soft`, scalars.
 * Outputs: `states` `[batch, kept, hiddenSize]`; `mask` `[batch, 1, 1, kept]`, added to scores over them;
 * `cross` `[2 · layers · batch, heads, kept, headDim]`, keys and values of one layer of the decoder after
 * the other; with a gate `gate.logits`, `gate.values` `[batch, time]`, `positions` `[batch, kept]` and
 * `counts` `[batch]`.
 */
export function sourceGraph(
  config: Seq2SeqConfig,
  weights: DecoderWeights,
): TypedGraph<string, string> {
  const inputs: Record<string, TensorType> = {
    ids: int32(["batch", "time"]),
    attended: float32(["batch", "time"]),
    ...(config.deleteGate && { threshold: float32([]), soft: float32([]) }),
  };
  return trace(inputs, (input): Record<string, Tensor> => {
    const deletion = config.deleteGate && { threshold: input["threshold"]!, soft: input["soft"]! };
    const texts = { ids: input["ids"]!, attended: input["attended"]! };
    const { states, mask, gate } = encodeSource(config, weights, texts, deletion);
    const cross = Array.from({ length: config.decoderLayers }, (_, layer) => {
      const { key, value } = crossKeyValue(config, weights, states, layer);
      return [key, value];
    });
    return {
      states,
      mask,
      cross: concat(cross.flat(), 0),
      ...(gate && {
        "gate.logits": gate.logits,
        "gate.values": gate.values,
        positions: gate.kept.positions,
        counts: gate.kept.counts,
      }),
    };
  });
}

/**
 * The graph of a decoding step of one sequence.
 *
 * Inputs: `ids` int32 `[1, time]`; `places` int32 `[time]`, position of each new token; `past.N.key` and
 * `.value` `[1, heads, capacity, headDim]`; `mask.past` `[1, 1, 1, capacity]`, `mask.new` `[1, 1, time,
 * time]`; `cross.N.key`, `.value` `[1, heads, source, headDim]` and `cross.mask` `[1, 1, 1, source]`;
 * `rows`, `candidates`, the inputs and switches of the step table. Outputs: `new` `[2 · layers, heads, time,
 * headDim]` and the results of the step table.
 */
export function outputGraph(
  config: Seq2SeqConfig,
  weights: DecoderWeights,
  has: (name: string) => boolean,
): TypedGraph<string, string> {
  const { hiddenSize } = config.encoder;
  return trace(outputInputs(config), (input): Record<string, Tensor> => {
    const context = outputContext(config, weights, input);
    let x = embedOutputTokens(weights, input["ids"]!);
    const embeddings = x;
    const fresh: Tensor[] = [];
    const taps: LayerTap[] = [];
    for (let index = 0; index < config.decoderLayers; index++) {
      const layer = seq2seqDecoderLayer(x, index, context);
      x = layer.x;
      const { key, value } = layer.fresh;
      fresh.push(key, value);
      taps.push({ x, query: key, key });
    }
    const state: PartState = {
      config: decoderView(config),
      rows: input["rows"]!,
      inputs: input as PartState["inputs"],
      embeddings,
      layers: taps,
    };
    const switches = input as Parameters<typeof partOutputs>[2];
    const results = optional(input[switchOf("tokens")]!, () => {
      const chosen = gather(reshape(x, [-1, hiddenSize]), state.rows);
      const states = finalOutputStates(context, chosen);
      const head = logitsState(state, states, outputLogits(weights, states, has));
      const { tokens, ...behind } = headParts;
      return { ...tokens.graph(head), ...partOutputs(behind, head, switches) };
    });
    const { layerHidden } = layerParts;
    return {
      new: concat(fresh, 0),
      ...results,
      ...partOutputs({ layerHidden }, state, switches),
    };
  });
}

function outputInputs(config: Seq2SeqConfig): Record<string, TensorType> {
  const { numAttentionHeads: heads, headDim } = config.encoder;
  const inputs: Record<string, TensorType> = {
    ids: int32([1, "time"]),
    places: int32(["time"]),
    rows: int32(["rows"]),
    candidates: uint8(["k"]),
    "mask.past": float32([1, 1, 1, "capacity"]),
    "mask.new": float32([1, 1, "time", "time"]),
    "cross.mask": float32([1, 1, 1, "source"]),
  };
  for (const [name, { type }] of Object.entries(stepInputs)) inputs[name] = type;
  for (const { name } of stepParts) inputs[switchOf(name)] = bool([]);
  for (let layer = 0; layer < config.decoderLayers; layer++) {
    for (const part of ["key", "value"]) {
      inputs[`past.${layer}.${part}`] = float32([1, heads, "capacity", headDim]);
      inputs[`cross.${layer}.${part}`] = float32([1, heads, "source", headDim]);
    }
  }
  return inputs;
}

/** Attention to the cache and the new tokens under one softmax, and to the source. */
function outputContext(
  config: Seq2SeqConfig,
  weights: DecoderWeights,
  input: Readonly<Record<string, Tensor>>,
): Seq2SeqContext {
  const { attentionScale: scale } = config.encoder;
  const places = input["places"]!;
  const added = (keys: Tensor, mask: Tensor) =>
    sumsOf(() => mask, outputBias(config, weights, places, keys));
  const onPast = added(range("capacity"), input["mask.past"]!);
  const onNew = added(places, input["mask.new"]!);
  const weigh = scoreWeights(config);
  return {
    config,
    weights,
    weigh,
    cross: (layer) => ({
      key: input[`cross.${layer}.key`]!,
      value: input[`cross.${layer}.value`]!,
    }),
    crossAdded: [input["cross.mask"]!],
    attendSelf(query, fresh, layer) {
      const scores = (keys: Tensor, terms: readonly Tensor[]): Tensor =>
        terms.reduce(add, matmul(query, keys, { transposeB: true, alpha: scale }));
      const past = input[`past.${layer}.key`]!;
      const all = concat([scores(past, onPast(layer)), scores(fresh.key, onNew(layer))], -1);
      const parts = split(weigh(all), [past.shape[2]!, fresh.key.shape[2]!], -1);
      const values = input[`past.${layer}.value`]!;
      return add(matmul(parts[0]!, values), matmul(parts[1]!, fresh.value));
    },
  };
}
