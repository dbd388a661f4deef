/**
 * One layer of a Monarch Mixer encoder (Fu et al., 2023): long convolutions between gates in the place of attention,
 * and a gated feed-forward whose matrices may be block-diagonal. Nothing is added around the mixer and no norm follows
 * it: the second convolution, over the layer's input, plays that part.
 */
import {
  add,
  addDimensions,
  concat,
  type Dimension,
  gelu,
  layerNorm,
  longConvolution,
  type MonarchTables,
  monarchLength,
  multiply,
  pad,
  reshape,
  scoped,
  slice,
  split,
  type Tensor,
} from "../../../tensor/index.ts";
import { addBias, type DecoderWeights } from "../../weights/trace-weights.ts";
import type { EncoderConfig } from "../config.ts";
import { implicitKernel, type KernelOptions } from "./implicit-kernel.ts";
import { blockName, mixerLayerNames } from "./mixer-names.ts";

/** Values that the layers of one forward pass share. */
export interface MixerContext {
  readonly config: EncoderConfig;
  readonly weights: DecoderWeights;
  /** Tables of the convolutions, for at least twice the time. */
  readonly tables: MonarchTables;
  /** 1 for the positions of a text, 0 behind it: float32 `[batch, time]`. */
  readonly present: Tensor;
  /** How the kernels are computed. */
  readonly kernelType: KernelOptions["type"];
}

/** The norm in front of the mixer has an epsilon of its own. */
const inputEpsilon = 1e-5;

/** One layer: `[batch, time, hiddenSize]` to the same. */
export function mixerLayer(x: Tensor, index: number, context: MixerContext): Tensor {
  const mixed = scoped("mixer", () => mixSequence(x, index, context));
  return scoped("feed-forward", () => feedForward(mixed, index, context));
}

function mixSequence(x: Tensor, index: number, context: MixerContext): Tensor {
  const { config, weights } = context;
  const mixer = config.mixer!;
  const names = mixerLayerNames(mixer, index);
  const input = mixer.inputNorm ? norm(weights, x, names.inputNorm, inputEpsilon) : x;
  const joined = addBias(weights, weights.linear(input, [`${names.input}.weight`]), [
    `${names.input}.bias`,
  ]);
  const width = config.hiddenSize;
  const [gate, factor, values] = split(
    shortConvolution(weights, joined, names.shortFilter),
    [width, width, width],
    -1,
  ) as [Tensor, Tensor, Tensor];
  const [first, second] = names.filters;
  let mixed = multiply(convolve(multiply(values, gate), first!, context), factor);
  if (second !== undefined) mixed = add(mixed, convolve(input, second, context));
  return addBias(weights, weights.linear(mixed, [`${names.output}.weight`]), [
    `${names.output}.bias`,
  ]);
}

/** A convolution of width 3 for each channel: the last tap meets the present position, zeros stand before the first. */
function shortConvolution(weights: DecoderWeights, x: Tensor, name: string): Tensor {
  const time = x.shape[1]!;
  const channels = x.shape[2] as number;
  const taps = reshape(weights.vector(`${name}.weight`), [channels, 3]);
  const shifted = pad(x, { axis: 1, before: 2 });
  const parts = [0, 1, 2].map((tap) => {
    const seen =
      tap === 2 ? x : slice(shifted, { axis: 1, start: tap, end: addDimensions(time, tap) });
    return multiply(seen, reshape(slice(taps, { axis: 1, start: tap, end: tap + 1 }), [channels]));
  });
  const sum = parts.reduce((total, part) => add(total, part));
  return addBias(weights, sum, [`${name}.bias`]);
}

/** The long convolution of one filter over `[batch, time, hiddenSize]`. */
function convolve(x: Tensor, filter: string, context: MixerContext): Tensor {
  const { config, weights, tables, present, kernelType: type } = context;
  const mixer = config.mixer!;
  const [batch, time] = x.shape as [Dimension, Dimension];
  const kernel = scoped(filter.split(".").at(-1)!, () =>
    implicitKernel(mixer, weights, filter, { time, length: monarchLength(tables), type }),
  );
  // Only backward kernels carry what stands behind a text into it.
  const seen = mixer.bidirectional ? multiply(x, reshape(present, [batch, time, 1])) : x;
  return longConvolution(seen, kernel, tables);
}

/** The sum stands on the mixer's result, and its norm ends the layer. The activation is exact in every checkpoint. */
function feedForward(x: Tensor, index: number, { config, weights }: MixerContext): Tensor {
  const { intermediateSize, hiddenSize, gated, normEps } = config;
  const mixer = config.mixer!;
  const names = mixerLayerNames(mixer, index);
  const project = (value: Tensor, name: string, outputs: number): Tensor => {
    const stored = `${name}.weight`;
    if (mixer.blocks === undefined) return weights.linear(value, [stored]);
    return blockProduct(weights, value, stored, { blocks: mixer.blocks, outputs });
  };
  const raised = project(x, names.up, (gated ? 2 : 1) * intermediateSize);
  const halves = gated ? split(raised, [intermediateSize, intermediateSize], -1) : [raised];
  const active = gelu(halves[0]!);
  const fed = project(gated ? multiply(active, halves[1]!) : active, names.down, hiddenSize);
  const sum = add(addBias(weights, fed, [`${names.down}.bias`]), x);
  return norm(weights, sum, names.outputNorm, normEps);
}

/** A product with a block-diagonal matrix: each block takes its part of the channels and gives its part of the outputs. */
function blockProduct(
  weights: DecoderWeights,
  x: Tensor,
  name: string,
  { blocks, outputs }: { readonly blocks: number; readonly outputs: number },
): Tensor {
  const width = x.shape.at(-1) as number;
  // Widths that do not divide are filled up with zeros, and the outputs beyond are cut off.
  const share = Math.ceil(width / blocks);
  const whole = pad(x, { axis: -1, after: share * blocks - width });
  const parts = split(whole, new Array<number>(blocks).fill(share), -1);
  const products = parts.map((part, block) => weights.linear(part, [blockName(name, block)]));
  return slice(concat(products, -1), { axis: -1, end: outputs });
}

function norm(weights: DecoderWeights, x: Tensor, name: string, epsilon: number): Tensor {
  const scale = weights.vector(`${name}.weight`);
  return layerNorm(x, scale, weights.vector(`${name}.bias`), { epsilon });
}
