/** Fourier transforms and the long convolutions that are computed by them. */
import * as t from "../../tensor/index.ts";
import { CaseRandom, type OperatorCase } from "./random-example.ts";

/** Transforms, alone and as long convolutions. */
export const fourierCases: readonly OperatorCase[] = [
  {
    operators: ["dft"],
    example(seed) {
      const draw = new CaseRandom(seed);
      draw.input("x", [...draw.axes(0, 2), draw.axis(1, 12), 2]);
      const inverse = draw.isTrue();
      return draw.done(({ x }) => [t.dft(x!, { inverse })]);
    },
  },
  {
    operators: ["matmul"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const sizes = { rows: draw.integer(1, 4), columns: draw.integer(1, 3) };
      const half = sizes.rows * sizes.columns;
      const channels = draw.integer(1, 2);
      draw.input("x", [...draw.axes(0, 1), draw.integer(1, half), channels]);
      draw.input("kernel", [draw.integer(1, 2 * half), channels]);
      return draw.done(({ x, kernel }) => [t.longConvolution(x!, kernel!, t.monarchTables(sizes))]);
    },
  },
];
