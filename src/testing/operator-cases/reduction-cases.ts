/** Reductions, softmax, norms and losses. */
import * as t from "../../tensor/index.ts";
import { alongCase, reduceCase } from "./operator-families.ts";
import { CaseRandom, integers, type OperatorCase, whole } from "./random-example.ts";

/** Reductions, softmax, norms and losses. */
export const reductionCases: readonly OperatorCase[] = [
  reduceCase("sum", t.sum),
  reduceCase("mean", t.mean),
  reduceCase("max", t.max),
  reduceCase("min", t.min),
  reduceCase("logSumExp", t.logSumExp),
  alongCase("softmax", t.softmax),
  alongCase("logSoftmax", t.logSoftmax),
  alongCase("cumulativeSum", (x, axis) => t.cumulativeSum(x, axis)),
  alongCase("cumulativeSum", (x, axis) => t.cumulativeSum(x, axis, { reverse: true })),
  alongCase("flip", t.flip),
  {
    operators: ["argmax"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(1, 3);
      draw.input("x", axes, whole);
      const axis = draw.integer(-axes.length, axes.length - 1);
      return draw.done(({ x }) => [t.argmax(x!, axis)]);
    },
  },
  {
    operators: ["rmsNorm"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const width = draw.integer(1, 5);
      draw.input("x", [...draw.axes(0, 2), width]);
      draw.input("scale", [width]);
      return draw.done(({ x, scale }) => [t.rmsNorm(x!, scale!, { epsilon: 1e-2 })]);
    },
  },
  {
    operators: ["layerNorm"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const width = draw.integer(1, 5);
      draw.input("x", [...draw.axes(0, 2), width]);
      draw.input("scale", [width]);
      draw.input("bias", [width]);
      return draw.done(({ x, scale, bias }) => [t.layerNorm(x!, scale!, bias!, { epsilon: 1e-2 })]);
    },
  },
  {
    operators: ["crossEntropyRows"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(0, 2);
      const classes = draw.integer(1, 5);
      draw.input("logits", [...axes, classes], { value: (random) => 3 * random.normal() });
      draw.input("targets", axes, { dtype: "int32", value: integers(0, classes - 1) });
      const isWhole = draw.isTrue();
      return draw.done(({ logits, targets }) => [
        isWhole
          ? t.crossEntropyRows(logits!, targets!)
          : t.crossEntropy(logits!, targets!, { ignoreIndex: 0 }),
      ]);
    },
  },
];
