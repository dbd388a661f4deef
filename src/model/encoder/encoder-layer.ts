/** One encoder layer as a traced function: attention and feed-forward with norms and residual sums. */
import {
  add,
  type Dimension,
  fill,
  layerNorm,
  multiply,
  multiplyDimensions,
  rmsNorm,
  rotary,
  scoped,
  split,
  type Tensor,
} from "../../tensor/index.ts";
import { activate } from "../layers/activation.ts";
import { attendBidirectionally, joinHeads, splitHeads } from "../layers/bidirectional-attention.ts";
import { addBias, type DecoderWeights } from "../weights/trace-weights.ts";
import type { EncoderConfig } from "./config.ts";
import { disentangledScores } from "./deberta/disentangled-attention.ts";
import { biasOf, encoderNames, weightOf } from "./encoder-names.ts";
import type { MixerContext } from "./mixer/mixer-layer.ts";

/** Values that all layers of one forward pass share. */
export interface EncoderContext {
  readonly config: EncoderConfig;
  readonly weights: DecoderWeights;
  /** int32 `[batch, time]`: row of each token in the rotation tables. */
  readonly rotationRows: Tensor | undefined;
  /** Cosines and sines of each rotation, `[positions, rotated / 2]`. */
  readonly rotations: readonly { readonly cos: Tensor; readonly sin: Tensor }[];
  /** What is added to the scores of a layer. */
  added(layer: number): readonly Tensor[];
  /** As `BidirectionalInput.sees`, of a layer. */
  sees?(layer: number): Tensor | undefined;
  /** How scores become weights. Default: softmax. */
  readonly weigh?: ((scores: Tensor) => Tensor) | undefined;
  /** What stands behind the first layer: its input and output to what the second one reads (DeBERTa). */
  convolve?(input: Tensor, output: Tensor): Tensor;
  /** What a Monarch Mixer's layers read in the place of scores. */
  readonly mixer?: Pick<MixerContext, "tables" | "present" | "kernelType">;
}

/** A norm of the config's kind over the last axis. */
export function encoderNorm(
  { config, weights }: Pick<EncoderContext, "config" | "weights">,
  x: Tensor,
  name: string,
): Tensor {
  const scale = weights.vector(weightOf(name));
  const epsilon = config.normEps;
  if (config.norm === "rms") return rmsNorm(x, scale, { epsilon });
  const bias = config.normBias ? weights.vector(biasOf(name)) : fill(scale.shape, 0);
  return layerNorm(x, scale, bias, { epsilon });
}

/** Products with stored matrices side by side, and their biases. */
export function projectAll(
  weights: DecoderWeights,
  x: Tensor,
  names: readonly string[],
  biased: boolean,
): Tensor {
  const product = weights.linear(x, names.map(weightOf));
  return biased ? addBias(weights, product, names.map(biasOf)) : product;
}

/** How many texts a batch has, and how many tokens each. */
export interface BatchSizes {
  readonly batch: Dimension;
  readonly time: Dimension;
}

/** One layer: tokens of all texts `[batch · time, hiddenSize]` to the same. */
export function encoderLayer(
  x: Tensor,
  index: number,
  context: EncoderContext,
  sizes: BatchSizes,
): Tensor {
  const { config } = context;
  const names = encoderNames(config).layer(index);
  const isPre = config.normPlacement === "pre";
  const normed = (value: Tensor, name: string): Tensor => encoderNorm(context, value, name);

  const reads = isPre && config.layers[index]!.attentionNorm;
  const attended = scoped("attention", () =>
    selfAttention(reads ? normed(x, names.attentionNorm) : x, index, context, sizes),
  );
  const sum = add(x, attended);
  const middle = isPre ? sum : normed(sum, names.attentionNorm);

  const fed = scoped("feed-forward", () =>
    feedForward(isPre ? normed(middle, names.outputNorm) : middle, index, context),
  );
  const output = add(middle, fed);
  return isPre ? output : normed(output, names.outputNorm);
}

function feedForward(x: Tensor, index: number, { config, weights }: EncoderContext): Tensor {
  const { intermediateSize, activation, gated } = config;
  const names = encoderNames(config).layer(index);
  const raised = projectAll(weights, x, names.up, config.upBias);
  if (!gated) {
    return projectAll(weights, activate(raised, activation), [names.down], config.downBias);
  }
  const [gate, up] = split(raised, [intermediateSize, intermediateSize], -1);
  const product = multiply(activate(gate!, activation), up!);
  return projectAll(weights, product, [names.down], config.downBias);
}

function selfAttention(
  x: Tensor,
  index: number,
  context: EncoderContext,
  { batch, time }: BatchSizes,
): Tensor {
  const { config, weights } = context;
  const { numAttentionHeads: heads } = config;
  const names = encoderNames(config).layer(index);
  const layer = config.layers[index]!;
  const joined = projectAll(weights, x, names.queryKeyValue, config.qkvBias);
  // Heads move before time once for all three: one transposition instead of three.
  const byHead = splitHeads(joined, 3 * heads, [batch, time]);
  let [query, key, value] = split(byHead, [heads, heads, heads], 1) as [Tensor, Tensor, Tensor];
  if (layer.rope !== undefined) {
    const { cos, sin } = context.rotations[layer.rope]!;
    query = rotary(query, context.rotationRows!, cos, sin);
    key = rotary(key, context.rotationRows!, cos, sin);
  }
  const output = attendBidirectionally({
    query,
    key,
    value,
    added: [
      ...context.added(index),
      ...(config.disentangled ? disentangledScores(config, weights, index, { query, key }) : []),
    ],
    scale: config.attentionScale,
    sees: context.sees?.(index),
    ...(context.weigh && { weigh: context.weigh }),
  });
  return projectAll(
    weights,
    joinHeads(output, [multiplyDimensions(batch, time)]),
    [names.attentionOutput],
    config.attentionOutputBias,
  );
}
