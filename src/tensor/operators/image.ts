/**
 * Convolutions and pooling over images `[batch, channels, height, width]`.
 *
 * Height and width are numbers where a stride is above 1, because their quotient is rounded down.
 */
import {
  addDimensions,
  type Dimension,
  formatShape,
  multiplyDimensions,
  shapesEqual,
  sizeOfShape,
} from "../dimension.ts";
import {
  apply,
  defineOperator,
  type OperatorDefinition,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { fill } from "./constant.ts";
import { add, divide, multiply, sqrt, subtract } from "./elementwise.ts";
import { scatterAdd } from "./index-operators.ts";
import { mean, sum } from "./reduce.ts";
import { broadcastTo, reshape, slice, transpose } from "./shape.ts";

/** One number for both axes, or height and width. */
export type Extent = number | readonly [number, number];

/** Where a kernel is applied. */
export interface ConvolutionOptions {
  /** Steps between two applications. Default 1. */
  stride?: Extent;
  /** Zeros on each side. Default 0. */
  padding?: Extent;
  /** Distance between two elements of the kernel. Default 1. */
  dilation?: Extent;
  /** Parts of the channels that do not see each other. Default 1. */
  groups?: number;
}

interface ConvolutionAttributes {
  stride: readonly [number, number];
  padding: readonly [number, number];
  dilation: readonly [number, number];
  groups: number;
}

function extent(value: Extent | undefined, standard: number): readonly [number, number] {
  if (value === undefined) return [standard, standard];
  return typeof value === "number" ? [value, value] : value;
}

function convolutionAttributes(options: ConvolutionOptions): ConvolutionAttributes {
  return {
    stride: extent(options.stride, 1),
    padding: extent(options.padding, 0),
    dilation: extent(options.dilation, 1),
    groups: options.groups ?? 1,
  };
}

/** Number of places that a window of `span` elements takes on an axis. */
function placesOfWindow(
  length: Dimension,
  { stride, padding, span }: { stride: number; padding: number; span: number },
): Dimension | undefined {
  const places = addDimensions(length, 2 * padding - span);
  if (stride === 1)
    return typeof places === "number" && places < 0 ? undefined : addDimensions(places, 1);
  if (typeof places !== "number" || places < 0) return undefined;
  return Math.floor(places / stride) + 1;
}

/** Both axes at once; an error where the window does not fit. */
function placesOfWindows(
  operator: string,
  inputs: readonly Tensor[],
  spans: readonly [Dimension, Dimension],
  { stride, padding }: { stride: readonly [number, number]; padding: readonly [number, number] },
): [Dimension, Dimension] {
  const places = [0, 1].map((axis) => {
    const span = spans[axis]!;
    const length = inputs[0]!.shape[axis + 2]!;
    if (typeof span === "string") {
      // A kernel of unknown size: only in gradients of the weights, whose stride is 1.
      return addDimensions(length, 2 * padding[axis]! + 1, multiplyDimensions(-1, span));
    }
    return placesOfWindow(length, { stride: stride[axis]!, padding: padding[axis]!, span });
  });
  if (places.some((count) => count === undefined)) {
    throw shapeError(
      operator,
      inputs,
      `a window of [${spans}] in steps of [${stride}] with [${padding}] zeros around does not fit (a stride above 1 needs sizes that are numbers)`,
    );
  }
  return places as [Dimension, Dimension];
}

/** Elements that a kernel covers, from its first to its last. */
function spanOfKernel(length: Dimension, dilation: number): Dimension {
  return addDimensions(multiplyDimensions(dilation, addDimensions(length, -1)), 1);
}

const convolutionOperator: OperatorDefinition<ConvolutionAttributes> = defineOperator({
  name: "conv2d",
  infer(inputs, attributes) {
    const [x, weight, bias] = inputs;
    if (x!.shape.length !== 4 || weight!.shape.length !== 4 || x!.dtype !== weight!.dtype) {
      throw shapeError("conv2d", inputs, "needs images and kernels of four axes and one type");
    }
    const [batch, channels] = x!.shape;
    const [outputs, perGroup, height, width] = weight!.shape;
    const { groups, dilation } = attributes;
    if (multiplyDimensions(perGroup!, groups) !== channels) {
      throw shapeError("conv2d", inputs, `kernels over ${perGroup} channels in ${groups} groups`);
    }
    if (typeof outputs === "number" && outputs % groups !== 0) {
      throw shapeError("conv2d", inputs, `${outputs} results do not fall into ${groups} groups`);
    }
    if (bias && !shapesEqual(bias.shape, [outputs!])) {
      throw shapeError("conv2d", inputs, "the bias has one element for each kernel");
    }
    const spans: [Dimension, Dimension] = [
      spanOfKernel(height!, dilation[0]),
      spanOfKernel(width!, dilation[1]),
    ];
    const places = placesOfWindows("conv2d", inputs, spans, attributes);
    return [{ dtype: x!.dtype, shape: [batch!, outputs!, ...places] }];
  },
  emit: (emitter, inputs, { stride, padding, dilation, groups }) =>
    emitter.node("Conv", inputs, {
      attributes: {
        strides: stride,
        pads: [...padding, ...padding],
        dilations: dilation,
        group: groups,
      },
    }),
  vjp({ inputs: [x, weight, bias] }, [g], attributes) {
    const size = [x!.shape[2]!, x!.shape[3]!] as const;
    const forX = transposedConvolution(g!, weight!, attributes, size);
    const forWeight = weightGradient(x!, g!, weight!, attributes);
    return bias ? [forX, forWeight, sum(g!, { axes: [0, 2, 3] })] : [forX, forWeight];
  },
});

/** Gradient of the weight: inputs times output gradients, as a convolution over the batch. */
function weightGradient(
  x: Tensor,
  g: Tensor,
  weight: Tensor,
  { stride, padding, dilation, groups }: ConvolutionAttributes,
): Tensor {
  const [batch, channels, height, width] = x.shape as [Dimension, Dimension, Dimension, Dimension];
  const [outputs, perGroup, ...kernel] = weight.shape as [
    Dimension,
    Dimension,
    Dimension,
    Dimension,
  ];
  // Batch and channels change places: [channels of a group, groups * batch, ...].
  const parted = reshape(x, [batch, groups, perGroup, height, width]);
  const images = reshape(transpose(parted, [2, 1, 0, 3, 4]), [
    perGroup,
    multiplyDimensions(groups, batch),
    height,
    width,
  ]);
  const kernels = transpose(g, [1, 0, 2, 3]);
  // Stride and dilation are exchanged; rows that the last stride did not reach are cut off.
  const full = apply(convolutionOperator, [images, kernels], {
    stride: dilation,
    padding,
    dilation: stride,
    groups,
  })[0]!;
  const cut = [0, 1].reduce(
    (value, axis) => slice(value, { axis: axis + 2, end: kernel[axis]! }),
    full,
  );
  if (!shapesEqual(cut.shape, [perGroup, outputs, ...kernel])) {
    throw shapeError("conv2d", [x, weight], `has no gradient over ${channels} channels`);
  }
  return transpose(cut, [1, 0, 2, 3]);
}

/**
 * Correlates images with kernels (what is called convolution in neural networks).
 *
 * @param x `[batch, channels, height, width]`
 * @param weight `[outputs, channels / groups, kernel height, kernel width]`
 * @param options `bias` `[outputs]` is added
 */
export function conv2d(
  x: Tensor,
  weight: Tensor,
  options: ConvolutionOptions & { bias?: Tensor } = {},
): Tensor {
  const { bias } = options;
  const inputs = bias ? [x, weight, bias] : [x, weight];
  return apply(convolutionOperator, inputs, convolutionAttributes(options))[0]!;
}

interface TransposeAttributes extends ConvolutionAttributes {
  /** Height and width of the result: a stride leaves them open. */
  size: readonly [Dimension, Dimension];
}

const transposedConvolutionOperator: OperatorDefinition<TransposeAttributes> = defineOperator({
  name: "conv2dTranspose",
  infer(inputs, attributes) {
    const [x, weight] = inputs;
    const { size, groups, stride, padding, dilation } = attributes;
    if (x!.shape.length !== 4 || weight!.shape.length !== 4 || x!.dtype !== weight!.dtype) {
      throw shapeError(
        "conv2dTranspose",
        inputs,
        "needs images and kernels of four axes and one type",
      );
    }
    if (x!.shape[1] !== weight!.shape[0]) {
      throw shapeError("conv2dTranspose", inputs, "needs one kernel for each channel");
    }
    for (const axis of [0, 1]) {
      const span = spanOfKernel(weight!.shape[axis + 2]!, dilation[axis]!);
      const places = placesOfWindow(size[axis]!, {
        stride: stride[axis]!,
        padding: padding[axis]!,
        span: span as number,
      });
      if (places !== x!.shape[axis + 2]) {
        throw shapeError(
          "conv2dTranspose",
          inputs,
          `a convolution of ${formatShape(size)} would give ${places} places on axis ${axis + 2}`,
        );
      }
    }
    const channels = multiplyDimensions(weight!.shape[1]!, groups);
    return [{ dtype: x!.dtype, shape: [x!.shape[0]!, channels, ...size] }];
  },
  emit(emitter, inputs, { stride, padding, dilation, groups, size }, node) {
    const [x, weight] = node.inputs;
    const rest = [0, 1].map((axis) => {
      if (stride[axis] === 1) return 0;
      const span = spanOfKernel(weight!.shape[axis + 2]!, dilation[axis]!) as number;
      const places = x!.shape[axis + 2] as number;
      return (size[axis] as number) - ((places - 1) * stride[axis]! - 2 * padding[axis]! + span);
    });
    return emitter.node("ConvTranspose", inputs, {
      attributes: {
        strides: stride,
        pads: [...padding, ...padding],
        dilations: dilation,
        output_padding: rest,
        group: groups,
      },
    });
  },
  vjp({ inputs: [x, weight] }, [g], { stride, padding, dilation, groups }) {
    const attributes = { stride, padding, dilation, groups };
    return [
      apply(convolutionOperator, [g!, weight!], attributes)[0],
      weightGradient(g!, x!, weight!, attributes),
    ];
  },
});

function transposedConvolution(
  x: Tensor,
  weight: Tensor,
  attributes: ConvolutionAttributes,
  size: readonly [Dimension, Dimension],
): Tensor {
  return apply(transposedConvolutionOperator, [x, weight], { ...attributes, size })[0]!;
}

/**
 * The transpose of `conv2d`: from its results back to images of the given size.
 *
 * @param x `[batch, outputs, rows, columns]`
 * @param weight `[outputs, channels / groups, kernel height, kernel width]`, as `conv2d` takes it
 * @param options `size` is height and width of the result. Default: the least that fits.
 */
export function conv2dTranspose(
  x: Tensor,
  weight: Tensor,
  options: ConvolutionOptions & { size?: readonly [Dimension, Dimension] } = {},
): Tensor {
  const attributes = convolutionAttributes(options);
  const { stride, padding, dilation } = attributes;
  const least = [0, 1].map((axis) =>
    addDimensions(
      multiplyDimensions(stride[axis]!, addDimensions(x.shape[axis + 2]!, -1)),
      spanOfKernel(weight.shape[axis + 2]!, dilation[axis]!),
      -2 * padding[axis]!,
    ),
  ) as [Dimension, Dimension];
  return transposedConvolution(x, weight, attributes, options.size ?? least);
}

interface WindowAttributes {
  size: readonly [number, number];
  stride: readonly [number, number];
  padding: readonly [number, number];
}

function pooledShape(operator: string, x: Tensor, attributes: WindowAttributes): Dimension[] {
  if (x.shape.length !== 4) throw shapeError(operator, [x], "needs images of four axes");
  const { size, padding } = attributes;
  if (size.some((length, axis) => padding[axis]! >= length)) {
    throw shapeError(operator, [x], `a window of [${size}] may lie wholly in [${padding}] zeros`);
  }
  return [...x.shape.slice(0, 2), ...placesOfWindows(operator, [x], size, attributes)];
}

const windowAttributes = ({ size, stride, padding }: WindowAttributes) => ({
  kernel_shape: size,
  strides: stride,
  pads: [...padding, ...padding],
});

const maxPoolOperator: OperatorDefinition<WindowAttributes> = defineOperator({
  name: "maxPool2d",
  infer: ([x], attributes) => [
    { dtype: x!.dtype, shape: pooledShape("maxPool2d", x!, attributes) },
  ],
  emit: (emitter, inputs, attributes) =>
    emitter.node("MaxPool", inputs, { attributes: windowAttributes(attributes) }),
  vjp({ inputs: [x] }, [g], attributes) {
    const count = sizeOfShape(x!.shape);
    const indices = apply(maxPoolIndicesOperator, [x!], attributes)[0]!;
    const flat = scatterAdd(
      fill([count], 0, x!.dtype),
      reshape(indices, [-1]),
      reshape(g!, [-1]),
      0,
    );
    return [reshape(flat, x!.shape)];
  },
});

/** Where in the flattened images the largest elements are: only the gradient asks for that. */
const maxPoolIndicesOperator: OperatorDefinition<WindowAttributes> = defineOperator({
  name: "maxPool2dIndices",
  infer: ([x], attributes) => [{ dtype: "int32", shape: pooledShape("maxPool2d", x!, attributes) }],
  emit(emitter, inputs, attributes) {
    const [, indices] = emitter.node("MaxPool", inputs, {
      attributes: windowAttributes(attributes),
      outputs: 2,
    });
    return emitter.node("Cast", [indices!], { attributes: { to: 6 } });
  },
});

/** Which windows are pooled. */
export interface PoolOptions {
  /** Height and width of a window. */
  size: Extent;
  /** Steps between two windows. Default: `size`. */
  stride?: Extent;
}

/** The largest element of each window; the gradient goes to the first of ties. */
export function maxPool2d(x: Tensor, options: PoolOptions & { padding?: Extent }): Tensor {
  const size = extent(options.size, 1);
  const stride = options.stride === undefined ? size : extent(options.stride, 1);
  return apply(maxPoolOperator, [x], { size, stride, padding: extent(options.padding, 0) })[0]!;
}

const averagePoolOperator: OperatorDefinition<WindowAttributes> = defineOperator({
  name: "averagePool2d",
  infer: ([x], attributes) => [
    { dtype: x!.dtype, shape: pooledShape("averagePool2d", x!, attributes) },
  ],
  emit: (emitter, inputs, attributes) =>
    emitter.node("AveragePool", inputs, { attributes: windowAttributes(attributes) }),
  vjp({ inputs: [x] }, [g], { size, stride, padding }) {
    const channels = x!.shape[1]!;
    if (typeof channels !== "number") {
      throw shapeError("averagePool2d", [x!], "the gradient needs a known number of channels");
    }
    // Each channel by itself: every element of a window gets an equal share.
    const share = fill([channels, 1, ...size], 1 / (size[0] * size[1]), x!.dtype);
    const attributes = { stride, padding, dilation: [1, 1] as const, groups: channels };
    return [transposedConvolution(g!, share, attributes, [x!.shape[2]!, x!.shape[3]!])];
  },
});

/** The mean of each window. */
export function averagePool2d(x: Tensor, options: PoolOptions): Tensor {
  const size = extent(options.size, 1);
  const stride = options.stride === undefined ? size : extent(options.stride, 1);
  return apply(averagePoolOperator, [x], { size, stride, padding: [0, 0] })[0]!;
}

/**
 * Normalizes groups of channels of each image to mean 0 and variance 1 (Wu and He, 2018).
 *
 * @param x `[batch, channels, ...]`
 * @param scale `[channels]`, as `bias`
 */
export function groupNorm(
  x: Tensor,
  scale: Tensor,
  bias: Tensor,
  options: { groups: number; epsilon: number },
): Tensor {
  const [batch, channels, ...rest] = x.shape;
  const { groups, epsilon } = options;
  if (
    typeof channels !== "number" ||
    channels % groups !== 0 ||
    !shapesEqual(scale.shape, [channels]) ||
    !shapesEqual(bias.shape, [channels])
  ) {
    throw shapeError(
      "groupNorm",
      [x, scale, bias],
      `needs channels that fall into ${groups} groups, with a scale and a bias for each channel`,
    );
  }
  const grouped = reshape(x, [batch!, groups, -1]);
  const centred = subtract(grouped, mean(grouped, { axes: [-1], keepAxes: true }));
  const variance = mean(multiply(centred, centred), { axes: [-1], keepAxes: true });
  const normal = reshape(divide(centred, sqrt(add(variance, epsilon))), x.shape);
  const aligned = [channels, ...rest.map(() => 1)];
  return add(multiply(normal, reshape(scale, aligned)), reshape(bias, aligned));
}

/** Repeats every row and column `factor` times. */
export function upsampleNearest2d(x: Tensor, factor: Extent): Tensor {
  const [batch, channels, height, width] = x.shape as [Dimension, Dimension, Dimension, Dimension];
  if (x.shape.length !== 4) {
    throw shapeError("upsampleNearest2d", [x], "needs images of four axes");
  }
  const [down, across] = extent(factor, 1);
  const apart = reshape(x, [batch, channels, height, 1, width, 1]);
  return reshape(broadcastTo(apart, [batch, channels, height, down, width, across]), [
    batch,
    channels,
    multiplyDimensions(height, down),
    multiplyDimensions(width, across),
  ]);
}
