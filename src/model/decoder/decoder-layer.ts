/** One decoder layer as a traced function: attention and feed-forward with norms and residuals. */

import { JetonError } from "../../core/index.ts";
import {
  add,
  clamp,
  concat,
  divideDimensions,
  fill,
  layerNorm,
  multiply,
  multiplyDimensions,
  optionalTerm,
  reshape,
  rmsNorm,
  rotary,
  scoped,
  sigmoid,
  split,
  subtract,
  type Tensor,
  transpose,
} from "../../tensor/index.ts";
import { activate, gateBy } from "../layers/activation.ts";
import type { Attention, AttentionOutput, JoinedInput } from "../layers/attention.ts";
import type { MixExperts } from "../layers/experts.ts";
import { addBias, type DecoderWeights } from "../weights/trace-weights.ts";
import type { DecoderConfig } from "./config.ts";
import { decoderNames, layerGroups } from "./decoder-names.ts";
import { type RoutedRows, sparseFeedForward } from "./expert-layer.ts";

const biasOf = (names: readonly string[]): string[] =>
  names.map((name) => name.replace(/\.weight$/, ".bias"));

/** Keys and values of a layer's cache, `[batch, kvHeads, capacity, headDim]`. */
export interface CachedRows {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** What the heads' sinks leave of the softmax to the tokens that an attention is about, `[batch, heads, time, 1]`. */
export type ShareBesideSink = (attention: AttentionOutput) => Tensor;

/** Values that all layers of one forward pass share. */
export interface LayerContext {
  readonly config: DecoderConfig;
  readonly weights: DecoderWeights;
  readonly attend: Attention;
  /** How sparse layers compute their experts. */
  readonly mixExperts: MixExperts;
  /** `[batch, time]`: row of each new token in the rotation tables. */
  readonly rotationRows: Tensor;
  /** Cosines and sines of each rotation, `[batch * time, rotated / 2]`. */
  readonly rotations: readonly { readonly cos: Tensor; readonly sin: Tensor }[];
  past(layer: number): CachedRows;
  /**
   * bool `[1]`: whether attention and a dense feed-forward are wanted; where not, they give zeros. Experts are
   * left out by `mixExperts`. Default: always.
   */
  readonly runsIf?: Tensor;
  /** Attention of a context policy, which takes queries and keys before the rotation. Default: none. */
  readonly attendUnrotated?: (
    layer: number,
    rows: Projections,
    past: CachedRows,
    besideSink: ShareBesideSink | undefined,
  ) => AttentionOutput;
  /** Masks by window (undefined: none), already repeated for the heads of a group. */
  masks(window: number | undefined): {
    readonly past: Tensor;
    readonly fresh: Tensor;
    readonly joined?: JoinedInput;
  };
}

/** Outputs of one layer; `x` is the residual stream `[batch, time, hiddenSize]`. */
export interface LayerOutput {
  readonly x: Tensor;
  /** New keys (rotated) and values, `[batch, kvHeads, time, headDim]`, float32 or as the cache holds them. */
  readonly key: Tensor;
  readonly value: Tensor;
  /** Queries `[batch, heads, time, headDim]` and keys before the rotation. */
  readonly unrotated: { readonly query: Tensor; readonly key: Tensor };
  /** Choices of a sparse layer's router. */
  readonly routing?: RoutedRows;
}

/** A norm of the config's kind. */
export function norm(
  { config, weights }: Pick<LayerContext, "config" | "weights">,
  x: Tensor,
  name: string,
): Tensor {
  const { rmsNormEps: epsilon } = config;
  if (config.norm === "layer-unweighted") {
    const width = x.shape.at(-1)!;
    return layerNorm(x, fill([width], 1), fill([width], 0), { epsilon });
  }
  const stored = weights.vector(name);
  if (config.norm === "layer") {
    const bias = weights.vector(name.replace(/\.weight$/, ".bias"));
    return layerNorm(x, stored, bias, { epsilon });
  }
  const scale = config.normOffset === 0 ? stored : add(stored, config.normOffset);
  return rmsNorm(x, scale, { epsilon });
}

function project(
  weights: DecoderWeights,
  x: Tensor,
  names: readonly string[],
  biased: boolean,
): Tensor {
  const product = weights.linear(x, names);
  return biased ? addBias(weights, product, biasOf(names)) : product;
}

/**
 * One layer: attention and feed-forward with their norms and residual sums.
 *
 * @param projected what `projectLayer` gives, where it is traced already
 */
export function decoderLayer(
  x: Tensor,
  index: number,
  context: LayerContext,
  projected?: Projections,
): LayerOutput {
  const { config } = context;
  const prefix = decoderNames.layer(index);
  const normed = (value: Tensor, name: string): Tensor =>
    norm(context, value, `${prefix}.${name}.weight`);
  const before = readsNormed(config);
  const after = config.normPlacement !== "pre";

  // ONNX Runtime runs nodes in reverse trace order. Trace the conversion of the cache first; otherwise
  // those of all layers run before layer 0, and every cache is read from memory twice.
  const attention = scoped("attention", () =>
    whereWanted(context, () => {
      const past = context.past(index);
      const rows = projected ?? projectLayer(x, index, context);
      const { x: y, key, value, unrotated } = selfAttention(rows, past, index, context);
      return { x: y, key, value, rawQuery: unrotated.query, rawKey: unrotated.key };
    }),
  );
  const attended = after ? normed(attention.x, "post_attention_layernorm") : attention.x;
  const scaled = (value: Tensor): Tensor =>
    config.residualScale === 1 ? value : multiply(value, config.residualScale);
  const middle = add(x, scaled(attended));

  const fed = scoped("feed-forward", () => {
    // "post_attention_layernorm" is the norm before the feed-forward unless there are norms after.
    const name = after ? "pre_feedforward_layernorm" : "post_attention_layernorm";
    const read = config.parallelResidual ? x : middle;
    const input = before ? normed(read, name) : read;
    if (config.layers[index]!.sparse) return sparseFeedForward(input, index, context);
    const dense = whereWanted(context, () => ({ x: feedForward(input, index, context) }));
    return { ...dense, routing: undefined };
  });
  const output = after ? normed(fed.x, "post_feedforward_layernorm") : fed.x;
  const { routing } = fed;
  const { key, value, rawQuery, rawKey } = attention;
  return {
    ...{ key, value, unrotated: { query: rawQuery, key: rawKey } },
    x: add(middle, scaled(output)),
    ...(routing && { routing }),
  };
}

/** A part of a layer, or zeros of the same shapes where it is not wanted. */
function whereWanted<Names extends string>(
  { runsIf }: Pick<LayerContext, "runsIf">,
  body: () => Readonly<Record<Names, Tensor>>,
): Readonly<Record<Names, Tensor>> {
  return runsIf ? optionalTerm(runsIf, body) : body();
}

/** Whether attention reads the residual stream behind a norm. */
function readsNormed({ normPlacement }: DecoderConfig): boolean {
  return normPlacement !== "post";
}

function feedForward(x: Tensor, index: number, { config, weights }: LayerContext): Tensor {
  const groups = layerGroups(config, index);
  const { intermediateSize, mlpBias } = config;
  if (config.feedForward === "plain") {
    const up = project(weights, x, groups.gateUp, mlpBias);
    return project(weights, activate(up, config.activation), groups.down, mlpBias);
  }
  const isApart = weights.joins === false && groups.gateUp.length === 2;
  const [gate, up] = isApart
    ? groups.gateUp.map((name) => project(weights, x, [name], mlpBias))
    : split(project(weights, x, groups.gateUp, mlpBias), [intermediateSize, intermediateSize], -1);
  return project(weights, gateBy(gate!, up!, config.activation), groups.down, mlpBias);
}

/** Queries, keys and values of the new tokens before the rotation. */
export interface Projections {
  /** `[batch, heads, time, headDim]` */
  readonly query: Tensor;
  /** `[batch, kvHeads, time, headDim]` */
  readonly key: Tensor;
  readonly value: Tensor;
}

/** Queries, keys and values of a layer's new tokens from the residual stream before it, not yet rotated. */
export function projectLayer(x: Tensor, index: number, context: LayerContext): Projections {
  if (!readsNormed(context.config)) return projectHeads(x, index, context);
  const name = `${decoderNames.layer(index)}.input_layernorm.weight`;
  return projectHeads(norm(context, x, name), index, context);
}

/** The same from what attention reads, normed where the family norms heads. */
function projectHeads(x: Tensor, index: number, context: LayerContext): Projections {
  const { config, weights } = context;
  const { numAttentionHeads, numKeyValueHeads, headDim } = config;
  const [batch, time] = x.shape as [string, string];
  const prefix = `${decoderNames.layer(index)}.self_attn`;
  const normalize = (value: Tensor, name: string): Tensor =>
    norm(context, value, `${prefix}.${name}.weight`);
  let joined = project(weights, x, layerGroups(config, index).queryKeyValue, config.qkvBias);
  if (config.qkNorm === "projection") {
    const keySize = numKeyValueHeads * headDim;
    const parts = split(joined, [numAttentionHeads * headDim, keySize, keySize], -1);
    const [q, k, v] = parts as [Tensor, Tensor, Tensor];
    joined = concat([normalize(q, "q_norm"), normalize(k, "k_norm"), v], -1);
  }
  if (config.qkvClip !== undefined) joined = clamp(joined, -config.qkvClip, config.qkvClip);
  if (config.qkvLayout === "joined-by-head") {
    const shape = [batch, time, numAttentionHeads, 3 * headDim];
    const parts = split(transpose(reshape(joined, shape), [0, 2, 1, 3]), Array(3).fill(headDim), 3);
    const [query, key, value] = parts as [Tensor, Tensor, Tensor];
    return { query, key, value };
  }
  // Heads move before time once for all three: one transposition instead of three.
  const byHead = transpose(
    reshape(joined, [batch, time, numAttentionHeads + 2 * numKeyValueHeads, headDim]),
    [0, 2, 1, 3],
  );
  const counts = [numAttentionHeads, numKeyValueHeads, numKeyValueHeads];
  const [query, key, value] = split(byHead, counts, 1) as [Tensor, Tensor, Tensor];
  if (config.qkNorm !== "head") return { query, key, value };
  return { query: normalize(query, "q_norm"), key: normalize(key, "k_norm"), value };
}

/** What a head's sink leaves of the softmax to the tokens, `[batch, heads, time, 1]`. */
function shareBesideSink(
  { logSumExp, output }: AttentionOutput,
  index: number,
  { config, weights }: LayerContext,
): Tensor {
  const { numAttentionHeads: heads, numKeyValueHeads } = config;
  const sinks = weights.vector(`${decoderNames.layer(index)}.self_attn.sinks`);
  if (!logSumExp) {
    throw new JetonError("attention beside sinks must give the log of its sum", {
      code: "model-attention-sinks",
      details: { layer: index },
    });
  }
  const time = divideDimensions(output.shape[2]!, heads / numKeyValueHeads)!;
  const sums = reshape(logSumExp(), [output.shape[0]!, heads, time, 1]);
  return sigmoid(subtract(sums, reshape(sinks, [1, heads, 1, 1])));
}

/** Queries or keys `[batch, heads, time, headDim]` of new tokens rotated to their positions, where the layer rotates. */
export function rotateHeads(
  x: Tensor,
  index: number,
  { config, rotationRows, rotations }: Pick<LayerContext, "config" | "rotationRows" | "rotations">,
): Tensor {
  const { rope } = config.layers[index]!;
  if (rope === undefined) return x;
  const { cos, sin } = rotations[rope]!;
  return rotary(x, rotationRows, cos, sin);
}

/** Factor of a layer's scores. */
export function scoreScale(
  { attentionScale, layers }: Pick<DecoderConfig, "attentionScale" | "layers">,
  index: number,
): number {
  return attentionScale / (layers[index]!.scoreDivisor ?? 1);
}

/** Attention at true positions to the cache and the new tokens. */
function attendRotated(
  unrotated: Projections,
  past: CachedRows,
  index: number,
  context: LayerContext,
): AttentionOutput {
  const { config } = context;
  const { numAttentionHeads, numKeyValueHeads, headDim } = config;
  const query = rotateHeads(unrotated.query, index, context);
  const key = rotateHeads(unrotated.key, index, context);
  const [batch, , time] = query.shape as [string, number, string];
  const group = numAttentionHeads / numKeyValueHeads;
  const layer = config.layers[index]!;
  const masks = context.masks(layer.slidingWindow);
  const attention = context.attend({
    // Query heads that share a kv head are neighbours: their rows become rows of one product.
    query: reshape(query, [batch, numKeyValueHeads, multiplyDimensions(group, time), headDim]),
    key,
    value: unrotated.value,
    pastKey: past.key,
    pastValue: past.value,
    pastMask: masks.past,
    newMask: masks.fresh,
    ...(masks.joined && { joined: masks.joined }),
    scale: scoreScale(config, index),
    cap: config.attnLogitSoftcap,
    layer: index,
  });
  return { ...attention, cached: attention.cached ?? { key, value: unrotated.value } };
}

function selfAttention(
  unrotated: Projections,
  past: CachedRows,
  index: number,
  context: LayerContext,
): LayerOutput {
  const { config, weights } = context;
  const { numAttentionHeads, headDim } = config;
  const [batch, , time] = unrotated.query.shape as [string, number, string];
  const besideSink: ShareBesideSink | undefined = config.attentionSinks
    ? (attended) => shareBesideSink(attended, index, context)
    : undefined;
  const attention = context.attendUnrotated
    ? context.attendUnrotated(index, unrotated, past, besideSink)
    : attendRotated(unrotated, past, index, context);
  let byHead = reshape(attention.output, [batch, numAttentionHeads, time, headDim]);
  if (besideSink) byHead = multiply(byHead, besideSink(attention));
  const attended = transpose(byHead, [0, 2, 1, 3]);
  const flat = reshape(attended, [batch, time, numAttentionHeads * headDim]);
  const { attentionOutput } = layerGroups(config, index);
  const { key, value } = attention.cached!;
  return {
    x: project(weights, flat, attentionOutput, config.attentionOutputBias),
    key,
    value,
    unrotated,
  };
}
