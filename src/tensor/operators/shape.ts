/** Operators that move elements without computing: reshape, transpose, slices, padding, joining. */
import {
  addDimensions,
  canonicalDimension,
  type Dimension,
  divideDimensions,
  formatShape,
  shapesEqual,
  sizeOfShape,
  subtractDimensions,
} from "../dimension.ts";
import {
  apply,
  defineOperator,
  isReplaceable,
  type OperatorDefinition,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { fill, uniformValue } from "./constant.ts";
import { normalizeAxis, sumTo } from "./reduce.ts";

interface ShapeAttributes {
  shape: readonly Dimension[];
}

const reshapeOperator: OperatorDefinition<ShapeAttributes> = defineOperator({
  name: "reshape",
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  emit(emitter, [x], { shape }, node) {
    // Constant shapes are cheapest: 0 copies an axis, one -1 is inferred.
    const from = node.inputs[0]!.shape;
    const plain = shape.map((dimension, axis) =>
      typeof dimension === "number" ? dimension : dimension === from[axis] ? 0 : -1,
    );
    if (plain.filter((value) => value === -1).length <= 1 && !shape.includes(0)) {
      return emitter.node("Reshape", [x!, emitter.integers(plain)]);
    }
    return emitter.node("Reshape", [x!, emitter.shape(shape)]);
  },
  vjp: ({ inputs: [x] }, [g]) => [reshape(g!, x!.shape)],
});

/** The same elements in another shape. One size may be -1: it is inferred. */
export function reshape(x: Tensor, shape: readonly Dimension[]): Tensor {
  const total = sizeOfShape(x.shape);
  const open = shape.indexOf(-1);
  let target = shape.map((dimension) => (dimension === -1 ? 1 : canonicalDimension(dimension)));
  if (open >= 0) {
    const inferred = divideDimensions(total, sizeOfShape(target));
    if (inferred === undefined) {
      throw shapeError("reshape", [x], `does not divide into ${formatShape(shape)}`);
    }
    target = target.with(open, inferred);
  }
  if (sizeOfShape(target) !== total) {
    throw shapeError("reshape", [x], `has not as many elements as ${formatShape(target)}`);
  }
  // One reshape after another: only the last one counts.
  let source = x;
  while (source.node.operator.name === "reshape" && isReplaceable(source)) {
    source = source.node.inputs[0]!;
  }
  if (shapesEqual(target, source.shape)) return source;
  const value = uniformValue(source);
  if (value !== undefined) return fill(target, value, source.dtype);
  return apply(reshapeOperator, [source], { shape: target })[0]!;
}

const transposeOperator: OperatorDefinition<{ order: readonly number[] }> = defineOperator({
  name: "transpose",
  infer: ([x], { order }) => [{ dtype: x!.dtype, shape: order.map((axis) => x!.shape[axis]!) }],
  emit: (emitter, inputs, { order }) =>
    emitter.node("Transpose", inputs, { attributes: { perm: order } }),
  vjp: (_node, [g], { order }) => [
    transpose(
      g!,
      order.map((_, axis) => order.indexOf(axis)),
    ),
  ],
});

/** Reorders axes: axis i of the result is axis `order[i]` of `x`. */
export function transpose(x: Tensor, order: readonly number[]): Tensor {
  if (
    order.length !== x.shape.length ||
    [...order].sort((a, b) => a - b).some((axis, i) => axis !== i)
  ) {
    throw shapeError("transpose", [x], `[${order}] is not an order of its axes`);
  }
  if (order.every((axis, index) => axis === index)) return x;
  return apply(transposeOperator, [x], { order })[0]!;
}

const broadcastOperator: OperatorDefinition<ShapeAttributes> = defineOperator({
  name: "broadcastTo",
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  emit: (emitter, [x], { shape }) => emitter.node("Expand", [x!, emitter.shape(shape)]),
  vjp: ({ inputs: [x] }, [g]) => [sumTo(g!, x!.shape)],
});

/** Repeats axes of size 1 (and missing leading axes) until the shape is reached. */
export function broadcastTo(x: Tensor, shape: readonly Dimension[]): Tensor {
  const target = shape.map(canonicalDimension);
  const lead = target.length - x.shape.length;
  const fits =
    lead >= 0 &&
    x.shape.every((dimension, axis) => dimension === 1 || dimension === target[axis + lead]);
  if (!fits) throw shapeError("broadcastTo", [x], `does not broadcast to ${formatShape(target)}`);
  if (shapesEqual(target, x.shape)) return x;
  const value = uniformValue(x);
  if (value !== undefined) return fill(target, value, x.dtype);
  return apply(broadcastOperator, [x], { shape: target })[0]!;
}

const concatOperator: OperatorDefinition<{ axis: number }> = defineOperator({
  name: "concat",
  infer(inputs, { axis }) {
    const first = inputs[0]!;
    for (const input of inputs) {
      const fits =
        input.dtype === first.dtype &&
        input.shape.length === first.shape.length &&
        input.shape.every((dimension, i) => i === axis || dimension === first.shape[i]);
      if (!fits) throw shapeError("concat", inputs, `must agree except on axis ${axis}`);
    }
    const joined = addDimensions(...inputs.map((input) => input.shape[axis]!));
    return [{ dtype: first.dtype, shape: first.shape.with(axis, joined) }];
  },
  emit: (emitter, inputs, { axis }) => emitter.node("Concat", inputs, { attributes: { axis } }),
  vjp({ inputs }, [g], { axis }) {
    return split(
      g!,
      inputs.map((input) => input.shape[axis]!),
      axis,
    );
  },
});

/** Joins tensors along an axis. */
export function concat(inputs: readonly Tensor[], axis: number): Tensor {
  if (inputs.length === 1) return inputs[0]!;
  return apply(concatOperator, inputs, { axis: normalizeAxis("concat", inputs[0]!, axis) })[0]!;
}

const splitOperator: OperatorDefinition<{ sizes: readonly Dimension[]; axis: number }> =
  defineOperator({
    name: "split",
    infer: ([x], { sizes, axis }) =>
      sizes.map((size) => ({ dtype: x!.dtype, shape: x!.shape.with(axis, size) })),
    emit: (emitter, [x], { sizes, axis }) =>
      emitter.node("Split", [x!, emitter.shape(sizes)], {
        attributes: { axis },
        outputs: sizes.length,
      }),
    vjp({ outputs }, gradients, { axis }) {
      return [
        concat(
          gradients.map((g, index) => g ?? zerosLike(outputs[index]!)),
          axis,
        ),
      ];
    },
  });

/** Cuts an axis into consecutive parts of the given sizes. */
export function split(x: Tensor, sizes: readonly Dimension[], axis: number): readonly Tensor[] {
  const at = normalizeAxis("split", x, axis);
  const parts = sizes.map(canonicalDimension);
  if (addDimensions(...parts) !== x.shape[at]) {
    throw shapeError("split", [x], `axis ${at} is not ${parts.join(" + ")} long`);
  }
  return parts.length === 1 ? [x] : apply(splitOperator, [x], { sizes: parts, axis: at });
}

interface SliceAttributes {
  axis: number;
  start: Dimension;
  end: Dimension;
}

const sliceOperator: OperatorDefinition<SliceAttributes> = defineOperator({
  name: "slice",
  infer: ([x], { axis, start, end }) => [
    { dtype: x!.dtype, shape: x!.shape.with(axis, subtractDimensions(end, start)) },
  ],
  emit: (emitter, [x], { axis, start, end }) =>
    emitter.node("Slice", [
      x!,
      emitter.dimension(start),
      emitter.dimension(end),
      emitter.integers([axis]),
    ]),
  vjp({ inputs: [x] }, [g], { axis, start, end }) {
    const after = subtractDimensions(x!.shape[axis]!, end);
    return [pad(g!, { axis, before: start, after })];
  },
});

/** Elements `start` to `end` (exclusive) of an axis. */
export function slice(
  x: Tensor,
  options: { axis: number; start?: Dimension; end?: Dimension },
): Tensor {
  const axis = normalizeAxis("slice", x, options.axis);
  const size = x.shape[axis]!;
  const start = canonicalDimension(options.start ?? 0);
  const end = canonicalDimension(options.end ?? size);
  const length = subtractDimensions(end, start);
  const beyond = subtractDimensions(size, end);
  if ([length, beyond].some((value) => typeof value === "number" && value < 0)) {
    throw shapeError("slice", [x], `axis ${axis} has no elements ${start} to ${end}`);
  }
  return start === 0 && end === size ? x : apply(sliceOperator, [x], { axis, start, end })[0]!;
}

interface PadAttributes {
  axis: number;
  before: Dimension;
  after: Dimension;
}

const padOperator: OperatorDefinition<PadAttributes> = defineOperator({
  name: "pad",
  infer: ([x], { axis, before, after }) => [
    {
      dtype: x!.dtype,
      shape: x!.shape.with(axis, addDimensions(before, x!.shape[axis]!, after)),
    },
  ],
  emit: (emitter, [x], { axis, before, after }) =>
    emitter.node("Pad", [x!, emitter.shape([before, after]), "", emitter.integers([axis])]),
  vjp({ inputs: [x] }, [g], { axis, before }) {
    return [slice(g!, { axis, start: before, end: addDimensions(before, x!.shape[axis]!) })];
  },
});

/** Zeros before and after an axis. */
export function pad(
  x: Tensor,
  options: { axis: number; before?: Dimension; after?: Dimension },
): Tensor {
  const axis = normalizeAxis("pad", x, options.axis);
  const before = canonicalDimension(options.before ?? 0);
  const after = canonicalDimension(options.after ?? 0);
  if (before === 0 && after === 0) return x;
  return apply(padOperator, [x], { axis, before, after })[0]!;
}

const flipOperator: OperatorDefinition<{ axis: number }> = defineOperator({
  name: "flip",
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  emit: (emitter, [x], { axis }) =>
    emitter.node("Slice", [
      x!,
      emitter.integers([-1]),
      emitter.integers([-(2 ** 53 - 1)]),
      emitter.integers([axis]),
      emitter.integers([-1]),
    ]),
  vjp: (_node, [g], { axis }) => [flip(g!, axis)],
});

/** The elements of an axis in reverse order. */
export function flip(x: Tensor, axis: number): Tensor {
  return apply(flipOperator, [x], { axis: normalizeAxis("flip", x, axis) })[0]!;
}

/** Adds an axis of size 1, so that it becomes axis `axis` of the result (negative: from its end). */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const rank = x.shape.length + 1;
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || at < 0 || at >= rank) {
    throw shapeError("unsqueeze", [x], `the result has no axis ${axis}`);
  }
  return reshape(x, x.shape.toSpliced(at, 0, 1));
}

/** Removes an axis of size 1. */
export function squeeze(x: Tensor, axis: number): Tensor {
  const at = normalizeAxis("squeeze", x, axis);
  if (x.shape[at] !== 1) throw shapeError("squeeze", [x], `axis ${axis} is not of size 1`);
  return reshape(x, x.shape.toSpliced(at, 1));
}

/** Joins tensors of one shape along a new axis. */
export function stack(inputs: readonly Tensor[], axis: number): Tensor {
  return concat(
    inputs.map((input) => unsqueeze(input, axis)),
    axis,
  );
}

function zerosLike(x: Tensor): Tensor {
  return fill(x.shape, 0, x.dtype);
}
