/** Operators that move elements. */

import type { Dimension } from "../../tensor/index.ts";
import * as t from "../../tensor/index.ts";
import { CaseRandom, type OperatorCase } from "./random-example.ts";

/** Operators that move elements. */
export const shapeCases: readonly OperatorCase[] = [
  {
    operators: ["reshape"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const [a, b, c] = [draw.axis(), draw.axis(), draw.integer(1, 3)];
      draw.input("x", [a, b, 2 * c]);
      const product = t.multiplyDimensions(a.dimension, b.dimension);
      const shape = draw.pick<readonly Dimension[]>(
        [-1],
        [product, 2, c],
        [a.dimension, t.multiplyDimensions(b.dimension, 2), -1],
        [c, -1, 2],
        [b.dimension, a.dimension, 2, c],
        [t.multiplyDimensions(b.dimension, c), 2, a.dimension],
        [a.dimension, 1, b.dimension, 1, -1],
      );
      return draw.done(({ x }) => [t.multiply(t.reshape(t.exp(x!), shape), 2)]);
    },
  },
  {
    operators: ["transpose"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(2, 4);
      draw.input("x", axes);
      const order = draw.random.shuffle(axes.map((_, axis) => axis));
      return draw.done(({ x }) => [
        t.transpose(t.transpose(x!, order), axes.map((_, axis) => axis).reverse()),
      ]);
    },
  },
  {
    operators: ["broadcastTo"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 3);
      draw.input("like", axes, { differentiable: false });
      draw.input("x", draw.narrowed(axes));
      const shape = [2, ...axes.map(({ dimension }) => dimension)];
      return draw.done(({ x }) => [t.broadcastTo(x!, shape)]);
    },
  },
  {
    operators: ["concat"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 3);
      const axis = draw.integer(0, axes.length - 1);
      const names = ["a", "b", "c"].slice(0, draw.integer(2, 3));
      const written = draw.isTrue() ? axis : axis - axes.length;
      for (const name of names) draw.input(name, axes.with(axis, draw.axis()));
      return draw.done((inputs) => [
        t.concat(
          names.map((name) => inputs[name]!),
          written,
        ),
      ]);
    },
  },
  {
    operators: ["split"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const [a, b, c] = [draw.axis(), draw.axis(), draw.axis()];
      draw.input("x", [a, b]);
      draw.input("y", [a, c]);
      const used = draw.integer(0, 1);
      return draw.done(({ x, y }) => {
        const parts = t.split(t.concat([x!, y!], 1), [b.dimension, c.dimension], 1);
        return [t.exp(parts[used]!), ...parts];
      });
    },
  },
  {
    operators: ["slice"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const [a, b] = [draw.axis(), draw.axis()];
      draw.input("x", [a, b, 5]);
      draw.input("y", [a, draw.axis(), 5]);
      const start = draw.integer(0, 4);
      const end = draw.integer(start + 1, 5);
      return draw.done(({ x, y }) => {
        // A cut at a named size: the second of two joined parts.
        const joined = t.concat([x!, y!], 1);
        return [
          t.slice(t.slice(joined, { axis: 1, start: b.dimension }), { axis: -1, start, end }),
        ];
      });
    },
  },
  {
    operators: ["pad"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const [a, b] = [draw.axis(), draw.axis()];
      draw.input("x", [a, b]);
      const before = draw.pick<Dimension>(0, 2, a.dimension);
      const after = draw.pick<Dimension>(1, b.dimension);
      const axis = draw.integer(-2, 1);
      return draw.done(({ x }) => [t.pad(x!, { axis, before, after })]);
    },
  },
  {
    operators: ["concat"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 2);
      draw.input("a", axes);
      draw.input("b", axes);
      const axis = draw.integer(-axes.length - 1, axes.length);
      return draw.done(({ a, b }) => [
        t.multiply(t.stack([a!, t.squeeze(t.unsqueeze(b!, 0), 0)], axis), 3),
      ]);
    },
  },
];
