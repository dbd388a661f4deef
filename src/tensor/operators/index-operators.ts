/** Operators that choose elements by index: gather, scatter, top-k, cumulative sums, one-hot. */
import {
  canonicalDimension,
  type Dimension,
  shapesEqual,
  subtractDimensions,
} from "../dimension.ts";
import {
  apply,
  defineOperator,
  freshSize,
  nameSize,
  type OperatorDefinition,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { constant, fill, range, sizeValue } from "./constant.ts";
import { add, and, cast, equal, greater, lessOrEqual, subtract } from "./elementwise.ts";
import { matmul } from "./matmul.ts";
import { normalizeAxis } from "./reduce.ts";
import { broadcastTo, reshape } from "./shape.ts";

const gatherOperator: OperatorDefinition<{ axis: number }> = defineOperator({
  name: "gather",
  infer(inputs, { axis }) {
    const [x, indices] = inputs;
    if (indices!.dtype !== "int32" && indices!.dtype !== "int64") {
      throw shapeError("gather", inputs, "indices must be int32");
    }
    const shape = [...x!.shape.slice(0, axis), ...indices!.shape, ...x!.shape.slice(axis + 1)];
    return [{ dtype: x!.dtype, shape }];
  },
  emit: (emitter, inputs, { axis }) => emitter.node("Gather", inputs, { attributes: { axis } }),
  vjp({ inputs: [x, indices] }, [g], { axis }) {
    return [gatherGradient(x!, indices!, g!, axis), undefined];
  },
});

/** Rows of a table get the sum of the gradients of their uses. */
function gatherGradient(x: Tensor, indices: Tensor, g: Tensor, axis: number): Tensor {
  const shape = x.shape;
  const outer = shape.slice(0, axis);
  const inner = shape.slice(axis + 1);
  const flat = reshape(indices, [-1]);
  const count = flat.shape[0]!;
  const updates = reshape(g, [...outer, count, ...inner]);
  const aligned = reshape(flat, [...outer.map(() => 1), count, ...inner.map(() => 1)]);
  const spread = broadcastTo(aligned, [...outer, count, ...inner]);
  return scatterAdd(fill(shape, 0, x.dtype), spread, updates, axis);
}

/** Slices of `x` along an axis, at `indices` (any shape, int32, in range). */
export function gather(x: Tensor, indices: Tensor, axis = 0): Tensor {
  return apply(gatherOperator, [x, indices], { axis: normalizeAxis("gather", x, axis) })[0]!;
}

const gatherElementsOperator: OperatorDefinition<{ axis: number }> = defineOperator({
  name: "gatherElements",
  infer(inputs) {
    const [x, indices] = inputs;
    if (x!.shape.length !== indices!.shape.length) {
      throw shapeError("gatherElements", inputs, "data and indices have equally many axes");
    }
    return [{ dtype: x!.dtype, shape: indices!.shape }];
  },
  emit: (emitter, inputs, { axis }) =>
    emitter.node("GatherElements", inputs, { attributes: { axis } }),
  vjp({ inputs: [x, indices] }, [g], { axis }) {
    return [scatterAdd(fill(x!.shape, 0, x!.dtype), indices!, g!, axis), undefined];
  },
});

/** `result[..., i, ...] = x[..., indices[..., i, ...], ...]` along an axis. */
export function gatherElements(x: Tensor, indices: Tensor, axis: number): Tensor {
  const at = normalizeAxis("gatherElements", x, axis);
  return apply(gatherElementsOperator, [x, indices], { axis: at })[0]!;
}

const scatterAddOperator: OperatorDefinition<{ axis: number }> = defineOperator({
  name: "scatterAdd",
  infer(inputs) {
    const [x, indices, updates] = inputs;
    if (!shapesEqual(indices!.shape, updates!.shape) || x!.dtype !== updates!.dtype) {
      throw shapeError("scatterAdd", inputs, "indices and updates have equal shapes");
    }
    return [{ dtype: x!.dtype, shape: x!.shape }];
  },
  emit: (emitter, inputs, { axis }) =>
    emitter.node("ScatterElements", inputs, { attributes: { axis, reduction: "add" } }),
  vjp: ({ inputs: [, indices] }, [g], { axis }) => [
    g,
    undefined,
    gatherElements(g!, indices!, axis),
  ],
});

/**
 * Adds `updates` into `x` at `indices` along an axis; repeated indices add up. Uses ScatterElements,
 * which, unlike ScatterND, does not race on repeated indices with several threads.
 */
export function scatterAdd(x: Tensor, indices: Tensor, updates: Tensor, axis: number): Tensor {
  const at = normalizeAxis("scatterAdd", x, axis);
  return apply(scatterAddOperator, [x, indices, updates], { axis: at })[0]!;
}

/** 1 at each index, 0 elsewhere: `[..., depth]`. */
export function oneHot(indices: Tensor, depth: number): Tensor {
  const at = reshape(indices, [...indices.shape, 1]);
  return cast(equal(at, constantRange(depth)), "float32");
}

function constantRange(count: number): Tensor {
  return constant(
    Array.from({ length: count }, (_, index) => index),
    { dtype: "int32" },
  );
}

/**
 * Rows of a small table by a one-hot product; its gradient is a matrix product too. From a few hundred
 * rows on `gather`, whose gradient is scattered, was measured faster.
 */
export function gatherByProduct(table: Tensor, indices: Tensor): Tensor {
  return matmul(oneHot(indices, table.shape[0] as number), table);
}

interface TopKAttributes {
  readonly axis: number;
  readonly count: Dimension;
  readonly sorted: boolean;
}

const topKOperator: OperatorDefinition<TopKAttributes> = defineOperator({
  name: "topK",
  infer(inputs, { axis, count }) {
    const [x] = inputs;
    const shape = x!.shape.with(axis, count);
    const beyond = subtractDimensions(x!.shape[axis]!, count);
    if (typeof beyond === "number" && beyond < 0) {
      throw shapeError("topK", inputs, `axis ${axis} has no ${count} elements`);
    }
    return [
      { dtype: x!.dtype, shape },
      { dtype: "int32", shape },
    ];
  },
  emit(emitter, [x], { axis, count, sorted }) {
    const [values, indices] = emitter.node("TopK", [x!, emitter.dimension(count)], {
      attributes: { axis, largest: 1, sorted: Number(sorted) },
      outputs: 2,
    });
    return [values!, emitter.one("Cast", [indices!], { attributes: { to: 6 } })];
  },
  vjp({ inputs: [x], outputs: [, indices] }, [g], { axis }) {
    return [g && scatterAdd(fill(x!.shape, 0, x!.dtype), indices!, g, axis)];
  },
});

/**
 * The `count` largest elements along an axis, in descending order, ties by lower index, and their
 * int32 indices. The axis must not be empty at run time: ONNX Runtime would end the process.
 *
 * @param options `sorted`: whether their order matters. Default true.
 */
export function topK(
  x: Tensor,
  count: Dimension,
  axis = -1,
  { sorted = true }: { readonly sorted?: boolean } = {},
): { values: Tensor; indices: Tensor } {
  const at = normalizeAxis("topK", x, axis);
  const [values, indices] = apply(topKOperator, [x], {
    axis: at,
    count: canonicalDimension(count),
    sorted,
  });
  return { values: values!, indices: indices! };
}

const argmaxOperator: OperatorDefinition<{ axis: number }> = defineOperator({
  name: "argmax",
  infer: ([x], { axis }) => [{ dtype: "int32", shape: x!.shape.toSpliced(axis, 1) }],
  emit(emitter, inputs, { axis }) {
    const found = emitter.one("ArgMax", inputs, { attributes: { axis, keepdims: 0 } });
    return emitter.node("Cast", [found], { attributes: { to: 6 } });
  },
});

/** Index of the largest element along an axis (the first of ties), int32. */
export function argmax(x: Tensor, axis = -1): Tensor {
  return apply(argmaxOperator, [x], { axis: normalizeAxis("argmax", x, axis) })[0]!;
}

const cumulativeSumOperator: OperatorDefinition<{ axis: number; reverse: boolean }> =
  defineOperator({
    name: "cumulativeSum",
    infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
    emit: (emitter, [x], { axis, reverse }) =>
      emitter.node("CumSum", [x!, emitter.constant("int32", [], Int32Array.of(axis))], {
        attributes: { reverse: reverse ? 1 : 0 },
      }),
    vjp: (_node, [g], { axis, reverse }) => [cumulativeSum(g!, axis, { reverse: !reverse })],
  });

/** Running sum along an axis, from the end where `reverse` is set. */
export function cumulativeSum(
  x: Tensor,
  axis: number,
  options: { reverse?: boolean } = {},
): Tensor {
  return apply(cumulativeSumOperator, [x], {
    axis: normalizeAxis("cumulativeSum", x, axis),
    reverse: options.reverse ?? false,
  })[0]!;
}

const overwriteOperator: OperatorDefinition<{ axis: number }> = defineOperator({
  name: "overwrite",
  infer(inputs, { axis }) {
    const [x, update, starts] = inputs;
    const written = update!.shape[axis];
    if (
      axis === 0 ||
      written === undefined ||
      update!.dtype !== x!.dtype ||
      !shapesEqual(update!.shape, x!.shape.with(axis, written)) ||
      starts!.dtype !== "int32" ||
      !shapesEqual(starts!.shape, [x!.shape[0]!])
    ) {
      throw shapeError(
        "overwrite",
        inputs,
        `needs x [batch, …], an update that differs from it in axis ${axis} alone, and int32 starts [batch]`,
      );
    }
    return [{ dtype: x!.dtype, shape: x!.shape }];
  },
  emit: (emitter, [x, update, starts], { axis }) =>
    emitter.node("TensorScatter", [x!, update!, emitter.widened(starts!)], {
      attributes: { axis },
    }),
  vjp({ inputs: [x, update, starts] }, [g], { axis }) {
    const { shape, dtype } = update!;
    const [batch] = x!.shape;
    const other = shape.map(() => 1 as Dimension);
    const first = reshape(starts!, other.with(0, batch!));
    const offsets = reshape(range(shape[axis]!), other.with(axis, shape[axis]!));
    const places = broadcastTo(add(first, offsets), shape);
    return [
      overwrite(g!, fill(shape, 0, dtype), starts!, axis),
      gatherElements(g!, places, axis),
      undefined,
    ];
  },
});

/**
 * `x` with a run of its elements along an axis replaced: `update[b]` stands from `starts[b]` on. Where
 * `x` has no other consumer, nothing is copied.
 *
 * @param x `[batch, …]`
 * @param update as `x`, but shorter along `axis`; must end within `x`
 * @param starts int32 `[batch]`
 * @param axis not the first
 */
export function overwrite(x: Tensor, update: Tensor, starts: Tensor, axis: number): Tensor {
  const place = normalizeAxis("overwrite", x, axis);
  return apply(overwriteOperator, [x, update, starts], { axis: place })[0]!;
}

const sliceBetweenOperator: OperatorDefinition<{ size: string }> = defineOperator({
  name: "sliceBetween",
  infer(inputs, { size }) {
    const [x, start, end] = inputs;
    const isBound = ({ dtype, shape }: Tensor) => dtype === "int32" && shapesEqual(shape, [1]);
    if (x!.shape.length === 0 || !isBound(start!) || !isBound(end!)) {
      throw shapeError("sliceBetween", inputs, "needs x and two int32 bounds of one element");
    }
    return [{ dtype: x!.dtype, shape: x!.shape.with(0, size) }];
  },
  emit: (emitter, [x, start, end]) =>
    emitter.node("Slice", [x!, start!, end!, emitter.constant("int32", [1], Int32Array.of(0))]),
});

/**
 * Elements `start` to `end` (exclusive) of the first axis, of a fresh size: bounds that only the running
 * program knows.
 *
 * @param start int32 `[1]`, from 0 to `end`
 * @param end int32 `[1]`, at most the length of the axis
 */
export function sliceBetween(x: Tensor, start: Tensor, end: Tensor): Tensor {
  const size = freshSize("between");
  const result = apply(sliceBetweenOperator, [x, start, end], { size })[0]!;
  nameSize(size, result, 0);
  return result;
}

const splitBySizesOperator: OperatorDefinition<{ names: readonly string[] }> = defineOperator({
  name: "splitBySizes",
  infer(inputs, { names }) {
    const [x, sizes] = inputs;
    const fits = sizes!.dtype === "int64" && shapesEqual(sizes!.shape, [names.length]);
    if (x!.shape.length === 0 || !fits) {
      throw shapeError("splitBySizes", inputs, "needs x and an int64 vector of sizes");
    }
    return names.map((size) => ({ dtype: x!.dtype, shape: x!.shape.with(0, size) }));
  },
  emit: (emitter, [x, sizes], { names }) =>
    emitter.node("Split", [x!, sizes!], { attributes: { axis: 0 }, outputs: names.length }),
});

/**
 * Cuts the first axis into consecutive parts of fresh sizes that only the running program knows; a part may
 * be empty.
 *
 * @param sizes int64 `[parts]`; they add up to the length of the axis
 */
export function splitBySizes(x: Tensor, sizes: Tensor): readonly Tensor[] {
  const count = sizes.shape[0] as number;
  const names = Array.from({ length: count }, () => freshSize("part"));
  const parts = apply(splitBySizesOperator, [x, sizes], { names });
  for (const [index, name] of names.entries()) nameSize(name, parts[index]!, 0);
  return parts;
}

const nonZeroOperator: OperatorDefinition<{ size: string }> = defineOperator({
  name: "nonZero",
  infer: (_inputs, { size }) => [
    { dtype: "int32", shape: [size] },
    { dtype: "int32", shape: [] },
  ],
  emit(emitter, [x]) {
    const flat = emitter.one("Reshape", [x!, emitter.integers([-1])]);
    const found = emitter.one("NonZero", [flat]);
    const indices = emitter.one("Cast", [emitter.one("Squeeze", [found, emitter.integers([0])])], {
      attributes: { to: 6 },
    });
    // One dummy index where nothing was found.
    const count = emitter.one("Shape", [indices]);
    const missing = emitter.one("Sub", [emitter.integers([1]), count]);
    const zero = emitter.integers([0]);
    const after = emitter.one("Max", [missing, zero]);
    const around = emitter.one("Concat", [zero, after], { attributes: { axis: 0 } });
    const scalar = emitter.one("Squeeze", [count, zero]);
    return [
      emitter.one("Pad", [indices, around]),
      emitter.one("Cast", [scalar], { attributes: { to: 6 } }),
    ];
  },
});

/**
 * Where the elements of `x` are not zero (or true): flat row-major int32 indices in ascending order,
 * of a fresh size. Because an empty tensor must not reach a top-k or a product, there is at least one
 * index: 0 where nothing was found. `count` (an int32 scalar) says how many were found.
 */
export function nonZero(x: Tensor): { indices: Tensor; count: Tensor } {
  const size = freshSize("found");
  const [indices, count] = apply(nonZeroOperator, [x], { size });
  nameSize(size, indices!, 0);
  return { indices: indices!, count: count! };
}

/**
 * Which keys each query may see: bool `[queries, keys]`, true for the keys up to its own place. The
 * last query sees the last key, so earlier keys are the past.
 *
 * @param options `window`: only the last so many keys, its own included. Default: all.
 */
export function causalMask(
  queries: Dimension,
  keys: Dimension,
  options: { window?: number } = {},
): Tensor {
  const past = sizeValue(subtractDimensions(keys, queries));
  const own = reshape(add(range(queries), past), [queries, 1]);
  const seen = lessOrEqual(range(keys), own);
  const { window } = options;
  return window === undefined ? seen : and(seen, greater(range(keys), subtract(own, window)));
}
