/** Constants, and tensors made from nothing but a shape. */
import { JetonError } from "../../core/index.ts";
import { canonicalDimension, type Dimension, formatShape } from "../dimension.ts";
import { onnxTypes } from "../emit.ts";
import {
  apply,
  type DataType,
  defineOperator,
  isReplaceable,
  type OperatorDefinition,
  type Tensor,
} from "../graph.ts";

interface ConstantAttributes {
  dtype: DataType;
  shape: readonly number[];
  data: ArrayBufferView;
}

const constantOperator: OperatorDefinition<ConstantAttributes> = defineOperator({
  name: "constant",
  infer: (_inputs, { dtype, shape }) => [{ dtype, shape }],
  emit: (emitter, _inputs, { dtype, shape, data }) => [emitter.constant(dtype, shape, data)],
});

const arrays: Readonly<
  Record<DataType, { from(values: ArrayLike<number>): ArrayBufferView } | undefined>
> = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
  int64: { from: (values) => BigInt64Array.from(Array.from(values), BigInt) },
  float16: undefined,
  bfloat16: undefined,
};

/**
 * A constant tensor. A single number makes a scalar; an array needs its shape (default: a vector).
 * Values are rounded to `dtype` (default float32).
 */
export function constant(
  values: number | ArrayLike<number>,
  options: { shape?: readonly number[]; dtype?: DataType } = {},
): Tensor {
  const dtype = options.dtype ?? "float32";
  const array = arrays[dtype];
  if (!array) {
    throw new JetonError(`constants of type ${dtype} cannot be written; use float32 and cast`, {
      code: "tensor-constant-type",
      details: { dtype },
    });
  }
  const list = typeof values === "number" ? [values] : values;
  const shape = options.shape ?? (typeof values === "number" ? [] : [list.length]);
  if (shape.reduce((a, b) => a * b, 1) !== list.length) {
    throw new JetonError(
      `constant: ${list.length} values do not fill the shape ${formatShape(shape)}`,
      { code: "tensor-shape", details: { shape, values: list.length } },
    );
  }
  return apply(constantOperator, [], { dtype, shape, data: array.from(list) })[0]!;
}

interface FillAttributes {
  value: number;
  dtype: DataType;
  shape: readonly Dimension[];
}

const fillOperator: OperatorDefinition<FillAttributes> = defineOperator({
  name: "fill",
  infer: (_inputs, { dtype, shape }) => [{ dtype, shape }],
  emit(emitter, _inputs, { value, dtype, shape }) {
    const array = arrays[dtype];
    // JavaScript cannot write the elements of a half: the runtime converts them.
    const scalar = array
      ? emitter.constant(dtype, [], array.from([value]))
      : emitter.one("Cast", [emitter.scalar(value)], { attributes: { to: onnxTypes[dtype] } });
    return emitter.node("Expand", [scalar, emitter.shape(shape)]);
  },
});

/** A tensor of one repeated value; sizes may be named. */
export function fill(
  shape: readonly Dimension[],
  value: number,
  dtype: DataType = "float32",
): Tensor {
  if (arrays[dtype] && shape.every((dimension) => dimension === 1)) {
    return constant([value], { shape: shape.map(() => 1), dtype });
  }
  return apply(fillOperator, [], { value, dtype, shape: shape.map(canonicalDimension) })[0]!;
}

/**
 * The value that every element of a tensor has, where the graph alone says so and the tensor may
 * vanish (see `isReplaceable`).
 */
export function uniformValue(tensor: Tensor): number | undefined {
  return isReplaceable(tensor) ? repeatedValue(tensor) : undefined;
}

function repeatedValue({ node, shape }: Tensor): number | undefined {
  if (node.operator.name === "fill") return (node.attributes as FillAttributes).value;
  if (node.operator.name !== "constant" || shape.some((dimension) => dimension !== 1)) {
    return undefined;
  }
  const { data } = node.attributes as ConstantAttributes;
  return Number((data as unknown as ArrayLike<number | bigint>)[0]);
}

const sizeOperator: OperatorDefinition<{ dimension: Dimension }> = defineOperator({
  name: "size",
  infer: () => [{ dtype: "int32", shape: [] }],
  emit(emitter, _inputs, { dimension }) {
    const value = emitter.one("Cast", [emitter.dimension(dimension)], { attributes: { to: 6 } });
    return emitter.node("Squeeze", [value, emitter.integers([0])]);
  },
});

/** The value of a (named) size as an int32 scalar. */
export function sizeValue(dimension: Dimension): Tensor {
  return apply(sizeOperator, [], { dimension: canonicalDimension(dimension) })[0]!;
}

const rangeOperator: OperatorDefinition<{ count: Dimension }> = defineOperator({
  name: "range",
  infer: (_inputs, { count }) => [{ dtype: "int32", shape: [count] }],
  emit(emitter, _inputs, { count }) {
    const scalar = emitter.one("Squeeze", [emitter.dimension(count), emitter.integers([0])]);
    const end = emitter.one("Cast", [scalar], { attributes: { to: 6 } });
    const zero = emitter.constant("int32", [], Int32Array.of(0));
    const one = emitter.constant("int32", [], Int32Array.of(1));
    return emitter.node("Range", [zero, end, one]);
  },
});

/** 0, 1, …, count - 1 as int32. */
export function range(count: Dimension): Tensor {
  return apply(rangeOperator, [], { count: canonicalDimension(count) })[0]!;
}
