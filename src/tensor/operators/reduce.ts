/** Sums, means, extremes and softmax over axes. */
import { type Dimension, shapesEqual, sizeOfShape } from "../dimension.ts";
import {
  apply,
  defineOperator,
  type OperatorDefinition,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { sizeValue } from "./constant.ts";
import { cast, divide, equal, exp, multiply, subtract } from "./elementwise.ts";
import { broadcastTo, reshape } from "./shape.ts";

/** What is reduced. */
export interface ReduceOptions {
  /** Axes to reduce, negative ones from the end. Default: all. */
  axes?: readonly number[];
  /** Keep reduced axes with size 1. Default false. */
  keepAxes?: boolean;
}

interface ReduceAttributes {
  axes: readonly number[];
  keepAxes: boolean;
}

/** Makes axes non-negative and checks them. */
export function normalizeAxis(operator: string, input: Tensor, axis: number): number {
  const rank = input.shape.length;
  const positive = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= rank) {
    throw shapeError(operator, [input], `axis ${axis} does not exist`);
  }
  return positive;
}

function reducedShape(shape: readonly Dimension[], { axes, keepAxes }: ReduceAttributes) {
  return keepAxes
    ? shape.map((dimension, axis) => (axes.includes(axis) ? 1 : dimension))
    : shape.filter((_dimension, axis) => !axes.includes(axis));
}

function reducer(
  name: string,
  onnx: string,
  gradient: (x: Tensor, y: Tensor, g: Tensor, axes: readonly number[]) => Tensor,
): OperatorDefinition<ReduceAttributes> {
  return defineOperator({
    name,
    infer: ([x], attributes) => [{ dtype: x!.dtype, shape: reducedShape(x!.shape, attributes) }],
    emit: (emitter, [x], { axes, keepAxes }) =>
      emitter.node(onnx, [x!, emitter.integers(axes)], {
        attributes: { keepdims: keepAxes ? 1 : 0 },
      }),
    vjp(node, [g], { axes }) {
      const [x] = node.inputs;
      const kept = reducedShape(x!.shape, { axes, keepAxes: true });
      return [gradient(x!, reshape(node.outputs[0]!, kept), reshape(g!, kept), axes)];
    },
  });
}

const sumOperator = reducer("sum", "ReduceSum", (x, _y, g) => broadcastTo(g, x.shape));
const meanOperator = reducer("mean", "ReduceMean", (x, _y, g, axes) => {
  const count = sizeOfShape(axes.map((axis) => x.shape[axis]!));
  const divisor = typeof count === "number" ? count : cast(sizeValue(count), x.dtype);
  return broadcastTo(divide(g, divisor), x.shape);
});
/** The gradient of a maximum is shared equally among ties. */
const sharedExtreme = (x: Tensor, y: Tensor, g: Tensor, axes: readonly number[]): Tensor => {
  const ties = cast(equal(x, y), x.dtype);
  return multiply(divide(ties, sum(ties, { axes, keepAxes: true })), g);
};
const maxOperator = reducer("max", "ReduceMax", sharedExtreme);
const minOperator = reducer("min", "ReduceMin", sharedExtreme);
/** In single steps: the one kernel for it, ReduceLogSumExp, was measured twenty times slower. */
const logSumExpOperator: OperatorDefinition<ReduceAttributes> = defineOperator({
  ...reducer("logSumExp", "", (x, y, g) => multiply(g, exp(subtract(x, y)))),
  emit(emitter, [x], { axes, keepAxes }) {
    const over = emitter.integers(axes);
    const attributes = { keepdims: 1 };
    const largest = emitter.one("ReduceMax", [x!, over], { attributes });
    // Finite, so that a row of nothing but -infinity gives that and not NaN.
    const least = emitter.one("CastLike", [emitter.scalar(-3e38), largest]);
    const bound = emitter.one("Max", [largest, least]);
    const powers = emitter.one("Exp", [emitter.one("Sub", [x!, bound])]);
    const total = emitter.one("ReduceSum", [powers, over], { attributes });
    const kept = emitter.one("Add", [emitter.one("Log", [total]), bound]);
    return keepAxes ? [kept] : emitter.node("Squeeze", [kept, over]);
  },
});

function reduce(
  operator: OperatorDefinition<ReduceAttributes>,
  x: Tensor,
  options: ReduceOptions,
): Tensor {
  const axes = (options.axes ?? x.shape.map((_, axis) => axis)).map((axis) =>
    normalizeAxis(operator.name, x, axis),
  );
  if (axes.length === 0) return x;
  return apply(operator, [x], { axes, keepAxes: options.keepAxes ?? false })[0]!;
}

/** Sum of elements. */
export const sum = (x: Tensor, options: ReduceOptions = {}): Tensor =>
  reduce(sumOperator, x, options);
/** Mean of elements. */
export const mean = (x: Tensor, options: ReduceOptions = {}): Tensor =>
  reduce(meanOperator, x, options);
/** Largest element; the gradient is shared equally among ties. */
export const max = (x: Tensor, options: ReduceOptions = {}): Tensor =>
  reduce(maxOperator, x, options);
/** Smallest element; the gradient is shared equally among ties. */
export const min = (x: Tensor, options: ReduceOptions = {}): Tensor =>
  reduce(minOperator, x, options);
/** Log of the sum of exponentials, computed stably. */
export const logSumExp = (x: Tensor, options: ReduceOptions = {}): Tensor =>
  reduce(logSumExpOperator, x, options);

/** Sums a gradient over the axes along which a shape was broadcast. */
export function sumTo(x: Tensor, shape: readonly Dimension[]): Tensor {
  if (shapesEqual(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((dimension, axis) =>
    axis < lead || (shape[axis - lead] === 1 && dimension !== 1) ? [axis] : [],
  );
  if (axes.length > 0 && axes.length === lead) return sum(x, { axes });
  return reshape(axes.length > 0 ? sum(x, { axes, keepAxes: true }) : x, shape);
}

const softmaxOperator: OperatorDefinition<{ axis: number }> = defineOperator({
  name: "softmax",
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  emit: (emitter, inputs, { axis }) => emitter.node("Softmax", inputs, { attributes: { axis } }),
  vjp({ outputs: [y] }, [g], { axis }) {
    const weighted = sum(multiply(g!, y!), { axes: [axis], keepAxes: true });
    return [multiply(y!, subtract(g!, weighted))];
  },
});

/** exp(x) / sum(exp(x)) along an axis (default: the last). */
export function softmax(x: Tensor, axis = -1): Tensor {
  return apply(softmaxOperator, [x], { axis: normalizeAxis("softmax", x, axis) })[0]!;
}

const logSoftmaxOperator: OperatorDefinition<{ axis: number }> = defineOperator({
  name: "logSoftmax",
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  emit: (emitter, inputs, { axis }) => emitter.node("LogSoftmax", inputs, { attributes: { axis } }),
  vjp({ outputs: [y] }, [g], { axis }) {
    return [subtract(g!, multiply(exp(y!), sum(g!, { axes: [axis], keepAxes: true })))];
  },
});

/** Logarithm of the softmax along an axis (default: the last), computed stably. */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  return apply(logSoftmaxOperator, [x], { axis: normalizeAxis("logSoftmax", x, axis) })[0]!;
}
