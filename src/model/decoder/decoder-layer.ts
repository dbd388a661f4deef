/** One decoder layer as a traced function: attention and gated feed-forward with norms and residuals. */
import {
  add,
  concat,
  gelu,
  geluTanh,
  multiply,
  multiplyDimensions,
  relu,
  reshape,
  rmsNorm,
  rotary,
  scoped,
  silu,
  split,
  type Tensor,
  transpose,
} from "../../tensor/index.ts";
import type { Attention, JoinedInput } from "../layers/attention.ts";
import { addBias, type DecoderWeights } from "../weights/trace-weights.ts";
import type { DecoderConfig } from "./config.ts";
import { decoderNames, layerGroups } from "./decoder-names.ts";

const biasOf = (names: readonly string[]): string[] =>
  names.map((name) => name.replace(/\.weight$/, ".bias"));

/** Values that all layers of one forward pass share. */
export interface LayerContext {
  readonly config: DecoderConfig;
  readonly weights: DecoderWeights;
  readonly attend: Attention;
  /** `[batch, time]`: row of each new token in the rotation tables. */
  readonly rotationRows: Tensor;
  /** Cosines and sines of each rotation, `[batch * time, rotated / 2]`. */
  readonly rotations: readonly { readonly cos: Tensor; readonly sin: Tensor }[];
  past(layer: number): { readonly key: Tensor; readonly value: Tensor };
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
}

/** A norm of the config's kind. */
export function norm(
  { config, weights }: Pick<LayerContext, "config" | "weights">,
  x: Tensor,
  name: string,
): Tensor {
  const stored = weights.vector(name);
  const scale = config.normOffset === 0 ? stored : add(stored, config.normOffset);
  return rmsNorm(x, scale, { epsilon: config.rmsNormEps });
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

/** One layer: attention and feed-forward with their norms and residual sums. */
export function decoderLayer(x: Tensor, index: number, context: LayerContext): LayerOutput {
  const { config } = context;
  const prefix = decoderNames.layer(index);
  const normed = (value: Tensor, name: string): Tensor =>
    norm(context, value, `${prefix}.${name}.weight`);
  const before = config.normPlacement !== "post";
  const after = config.normPlacement !== "pre";

  const attention = scoped("attention", () =>
    selfAttention(before ? normed(x, "input_layernorm") : x, index, context),
  );
  const attended = after ? normed(attention.x, "post_attention_layernorm") : attention.x;
  const middle = add(x, attended);

  const fed = scoped("feed-forward", () => {
    // "post_attention_layernorm" is the norm before the feed-forward unless there are norms after.
    const name = after ? "pre_feedforward_layernorm" : "post_attention_layernorm";
    const input = before ? normed(middle, name) : middle;
    return feedForward(input, index, context);
  });
  const output = after ? normed(fed, "post_feedforward_layernorm") : fed;
  return { ...attention, x: add(middle, output) };
}

function feedForward(x: Tensor, index: number, { config, weights }: LayerContext): Tensor {
  const groups = layerGroups(config, index);
  const { intermediateSize, mlpBias } = config;
  const both = project(weights, x, groups.gateUp, mlpBias);
  const [gate, up] = split(both, [intermediateSize, intermediateSize], -1);
  return project(weights, multiply(activate(config, gate!), up!), groups.down, mlpBias);
}

function activate(config: DecoderConfig, x: Tensor): Tensor {
  switch (config.activation) {
    case "silu":
      return silu(x);
    case "gelu":
      return gelu(x);
    case "gelu-tanh":
      return geluTanh(x);
    case "relu":
      return relu(x);
  }
}

interface Projections {
  /** `[batch, heads, time, headDim]` */
  readonly query: Tensor;
  /** `[batch, kvHeads, time, headDim]` */
  readonly key: Tensor;
  readonly value: Tensor;
}

/** Queries, keys and values of the new tokens, normed where the family norms them, not yet rotated. */
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

function selfAttention(x: Tensor, index: number, context: LayerContext): LayerOutput {
  const { config, weights } = context;
  const { numAttentionHeads, numKeyValueHeads, headDim } = config;
  const [batch, time] = x.shape as [string, string];
  const group = numAttentionHeads / numKeyValueHeads;
  // ONNX Runtime runs nodes in reverse trace order. Trace the conversion of the cache first; otherwise
  // those of all layers run before layer 0, and every cache is read from memory twice.
  const past = context.past(index);
  const unrotated = projectHeads(x, index, context);
  let { query, key } = unrotated;
  const layer = config.layers[index]!;
  if (layer.rope !== undefined) {
    const { cos, sin } = context.rotations[layer.rope]!;
    query = rotary(query, context.rotationRows, cos, sin);
    key = rotary(key, context.rotationRows, cos, sin);
  }
  const masks = context.masks(layer.slidingWindow);
  const { output, cached } = context.attend({
    // Query heads that share a kv head are neighbours: their rows become rows of one product.
    query: reshape(query, [batch, numKeyValueHeads, multiplyDimensions(group, time), headDim]),
    key,
    value: unrotated.value,
    pastKey: past.key,
    pastValue: past.value,
    pastMask: masks.past,
    newMask: masks.fresh,
    ...(masks.joined && { joined: masks.joined }),
    scale: config.attentionScale,
    cap: config.attnLogitSoftcap,
    layer: index,
  });
  const attended = transpose(
    reshape(output, [batch, numAttentionHeads, time, headDim]),
    [0, 2, 1, 3],
  );
  const flat = reshape(attended, [batch, time, numAttentionHeads * headDim]);
  const { attentionOutput } = layerGroups(config, index);
  return {
    x: project(weights, flat, attentionOutput, config.attentionOutputBias),
    key: cached?.key ?? key,
    value: cached?.value ?? unrotated.value,
    unrotated,
  };
}
