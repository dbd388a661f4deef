/** The convolution beside the first layer of DeBERTa's largest models, as its `config.json` describes it and traced. */
import {
  add,
  addDimensions,
  concat,
  type Dimension,
  layerNorm,
  less,
  matmul,
  multiply,
  pad,
  reshape,
  slice,
  type Tensor,
  transpose,
  where,
} from "../../../tensor/index.ts";
import { type Fields, given, invalid, readActivation } from "../../decoder/config-fields.ts";
import { type Activation, activate } from "../../layers/activation.ts";
import { maskedScore } from "../../layers/bidirectional-attention.ts";
import type { DecoderWeights } from "../../weights/trace-weights.ts";
import type { EncoderConfig } from "../config.ts";
import { biasOf, weightOf } from "../encoder-names.ts";

/** A convolution over time of the embeddings, added to the output of the first layer. */
export interface ConvolutionConfig {
  /** Places that one output reads; odd, so that there are as many outputs as inputs. */
  readonly kernel: number;
  /** Parts of the channels that do not read each other. */
  readonly groups: number;
  readonly activation: Activation;
}

/** Reads the keys; nothing where the kernel's size is 0 or not given. */
export function describeConvolution(
  fields: Fields,
  hiddenSize: number,
): { readonly convolution?: ConvolutionConfig } {
  const kernel = whole(fields, "conv_kernel_size", 0);
  if (kernel === 0) return {};
  if (kernel % 2 === 0) throw invalid("conv_kernel_size", kernel, "an odd number, or 0");
  const groups = whole(fields, "conv_groups", 1);
  if (groups < 1 || hiddenSize % groups !== 0) {
    throw invalid("conv_groups", groups, `a divisor of the hidden size ${hiddenSize}`);
  }
  const activation = readActivation("conv_act", fields["conv_act"] ?? "tanh");
  return { convolution: { kernel, groups, activation } };
}

function whole(fields: Fields, key: string, otherwise: number): number {
  const value = fields[key];
  if (!given(value)) return otherwise;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value < 1024) {
    return value;
  }
  throw invalid(key, value, "a whole number from 0");
}

const names = { conv: "encoder.conv.conv", norm: "encoder.conv.LayerNorm" };

/** Adds the parameters, `[hiddenSize, hiddenSize / groups, kernel]` among them. */
export function addConvolutionShapes(config: EncoderConfig, shapes: Map<string, number[]>): void {
  const { hiddenSize, convolution } = config;
  if (!convolution) return;
  const { kernel, groups } = convolution;
  shapes.set(weightOf(names.conv), [hiddenSize, hiddenSize / groups, kernel]);
  for (const name of [biasOf(names.conv), weightOf(names.norm), biasOf(names.norm)]) {
    shapes.set(name, [hiddenSize]);
  }
}

/**
 * The first layer's output with the convolution of its input, normed: `[batch, time, hiddenSize]`.
 *
 * @param mask as `EncoderInput.mask`: padding reads as zeros, as places beyond the text do
 */
export function addConvolution(
  config: EncoderConfig,
  weights: DecoderWeights,
  {
    input,
    output,
    mask,
  }: { readonly input: Tensor; readonly output: Tensor; readonly mask: Tensor },
): Tensor {
  const { kernel, groups, activation } = config.convolution!;
  const { hiddenSize, normEps: epsilon } = config;
  const [batch, time] = input.shape as [Dimension, Dimension];
  const present = where(less(reshape(mask, [batch, time, 1]), maskedScore / 2), 0, 1);
  const around = (kernel - 1) / 2;
  const padded = pad(multiply(input, present), { axis: 1, before: around, after: around });
  const taps = Array.from({ length: kernel }, (_, tap) =>
    slice(padded, { axis: 1, start: tap, end: addDimensions(tap, time) }),
  );
  const matrix = weights.vector(weightOf(names.conv));
  const width = hiddenSize / groups;
  const outputs = Array.from({ length: groups }, (_, group) => {
    const channels = { start: group * width, end: (group + 1) * width };
    const read = taps.map((x) => slice(x, { axis: 2, ...channels }));
    const own = transpose(slice(matrix, { axis: 0, ...channels }), [0, 2, 1]);
    return matmul(concat(read, -1), reshape(own, [width, kernel * width]), { transposeB: true });
  });
  const convolved = add(concat(outputs, -1), weights.vector(biasOf(names.conv)));
  const sum = add(output, activate(convolved, activation));
  const scale = weights.vector(weightOf(names.norm));
  return layerNorm(sum, scale, weights.vector(biasOf(names.norm)), { epsilon });
}
