/** Cases that a family of operators shares. */

import type { Tensor } from "../../tensor/index.ts";
import * as t from "../../tensor/index.ts";
import { CaseRandom, type OperatorCase, type ValueOptions } from "./random-example.ts";

export function binaryCase(
  name: string,
  operator: (a: Tensor, b: Tensor) => Tensor,
  options: { a?: ValueOptions; b?: ValueOptions } = {},
): OperatorCase {
  return {
    operators: [name],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(0, 3);
      draw.input("a", draw.narrowed(axes), options.a);
      draw.input("b", draw.isTrue() ? axes : draw.narrowed(axes), options.b);
      return draw.done(({ a, b }) => [operator(a!, b!)]);
    },
  };
}

export function unaryCase(
  name: string,
  operator: (x: Tensor) => Tensor,
  options: ValueOptions = {},
): OperatorCase {
  return {
    operators: [name],
    example(seed) {
      const draw = new CaseRandom(seed);
      draw.input("x", draw.axes(0, 3), options);
      return draw.done(({ x }) => [operator(x!)]);
    },
  };
}

export function reduceCase(name: string, operator: typeof t.sum): OperatorCase {
  return {
    operators: [name],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 4);
      draw.input("x", axes);
      const chosen = axes.flatMap((_, axis) =>
        draw.isTrue() ? [draw.isTrue() ? axis : axis - axes.length] : [],
      );
      const options = {
        ...(draw.integer(0, 3) > 0 && { axes: chosen }),
        keepAxes: draw.isTrue(),
      };
      // Reducing no axis at all is the tensor itself.
      return draw.done(({ x }) => [operator(t.add(x!, 0.5), options)]);
    },
  };
}

export function alongCase(
  name: string,
  operator: (x: Tensor, axis: number) => Tensor,
): OperatorCase {
  return {
    operators: [name],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 3);
      draw.input("x", axes);
      const axis = draw.integer(-axes.length, axes.length - 1);
      return draw.done(({ x }) => [operator(x!, axis)]);
    },
  };
}
