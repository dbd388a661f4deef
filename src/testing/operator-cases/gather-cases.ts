/** Operators that choose elements by index. */
import * as t from "../../tensor/index.ts";
import { CaseRandom, integers, type OperatorCase, truth, whole } from "./random-example.ts";

/** Operators that choose elements by index. */
export const gatherCases: readonly OperatorCase[] = [
  {
    operators: ["gather"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 3);
      const axis = draw.integer(0, axes.length - 1);
      draw.input("x", axes);
      draw.input("indices", draw.axes(0, 2), {
        dtype: "int32",
        value: integers(0, axes[axis]!.size - 1),
      });
      return draw.done(({ x, indices }) => [t.gather(x!, indices!, axis)]);
    },
  },
  {
    operators: ["matmul"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const rows = draw.integer(1, 5);
      draw.input("table", [rows, draw.axis()]);
      draw.input("indices", draw.axes(1, 2), { dtype: "int32", value: integers(0, rows - 1) });
      return draw.done(({ table, indices }) => [t.gatherByProduct(table!, indices!)]);
    },
  },
  {
    operators: ["gatherElements"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 3);
      const axis = draw.integer(0, axes.length - 1);
      draw.input("x", axes);
      draw.input("indices", axes.with(axis, draw.axis(1, 6)), {
        dtype: "int32",
        value: integers(0, axes[axis]!.size - 1),
      });
      return draw.done(({ x, indices }) => [t.gatherElements(x!, indices!, axis)]);
    },
  },
  {
    operators: ["overwrite"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = [draw.axis(1, 3), ...draw.axes(1, 3)];
      const axis = draw.integer(1, axes.length - 1);
      const length = axes[axis]!.size;
      const written = draw.integer(1, length);
      draw.input("x", axes);
      draw.input("update", axes.with(axis, draw.axis(written, written)));
      draw.input("starts", [axes[0]!], { dtype: "int32", value: integers(0, length - written) });
      return draw.done(({ x, update, starts }) => [t.overwrite(x!, update!, starts!, axis)]);
    },
  },
  {
    operators: ["sliceBetween"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 3);
      const start = draw.integer(0, axes[0]!.size - 1);
      const end = draw.integer(start + 1, axes[0]!.size);
      draw.input("x", axes, { differentiable: false });
      draw.input("start", [1], { dtype: "int32", value: () => start });
      draw.input("end", [1], { dtype: "int32", value: () => end });
      return draw.done(({ x, start: first, end: last }) => {
        const rows = t.sliceBetween(x!, first!, last!);
        // The fresh size takes part in what follows.
        return [rows, t.range(rows.shape[0]!)];
      });
    },
  },
  {
    operators: ["splitBySizes"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 3);
      const { size } = axes[0]!;
      const first = draw.integer(0, size);
      const second = draw.integer(0, size - first);
      const sizes = [first, second, size - first - second];
      draw.input("x", axes, { differentiable: false });
      let at = 0;
      draw.input("sizes", [3], { dtype: "int32", value: () => sizes[at++]! });
      return draw.done(({ x, sizes: own }) => {
        const parts = t.splitBySizes(x!, t.cast(own!, "int64"));
        // A part may be empty: they are joined again, in another order.
        return [t.concat(parts.toReversed(), 0)];
      });
    },
  },
  {
    operators: ["scatterAdd"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 3);
      const axis = draw.integer(0, axes.length - 1);
      const changed = axes.with(axis, draw.axis(1, 6));
      draw.input("x", axes);
      draw.input("updates", changed);
      draw.input("indices", changed, {
        dtype: "int32",
        value: integers(0, axes[axis]!.size - 1),
      });
      return draw.done(({ x, indices, updates }) => [t.scatterAdd(x!, indices!, updates!, axis)]);
    },
  },
  {
    operators: ["topK"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 3);
      const axis = draw.integer(0, axes.length - 1);
      const { size, dimension } = axes[axis]!;
      draw.input("x", axes);
      const count = draw.isTrue() ? draw.integer(1, size) : dimension;
      return draw.done(({ x }) => {
        const { values, indices } = t.topK(x!, count, axis);
        return [values, indices];
      });
    },
  },
  {
    operators: ["topK"],
    example(seed) {
      const draw = new CaseRandom(seed);
      draw.input("x", [draw.integer(3, 6)], whole);
      return draw.done(({ x }) => Object.values(t.topK(x!, 3)));
    },
  },
  {
    operators: ["nonZero"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const isEmpty = draw.integer(0, 3) === 0;
      draw.input("x", draw.axes(1, 3), {
        ...truth,
        value: (random) => (isEmpty ? 0 : random.integer(2)),
      });
      draw.input("table", [64, 2]);
      return draw.done(({ x, table }) => {
        const { indices, count } = t.nonZero(x!);
        // The fresh size takes part in what follows.
        const rows = t.gather(table!, indices);
        const best = t.topK(t.matmul(rows, rows, { transposeB: true }), 1);
        return [t.sum(rows, { axes: [0] }), indices, count, best.values, t.mean(rows)];
      });
    },
  },
  {
    operators: ["size", "range", "lessOrEqual"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const [past, time] = [draw.axis(), draw.axis()];
      draw.input("x", [past, time], { differentiable: false });
      const keys = t.addDimensions(past.dimension, time.dimension);
      return draw.done(() => [
        t.causalMask(time.dimension, keys),
        t.causalMask(time.dimension, keys, { window: 2 }),
        t.oneHot(t.range(time.dimension), 4),
      ]);
    },
  },
];
