/** Operators that work element by element, and constants. */
import * as t from "../../tensor/index.ts";
import { binaryCase, unaryCase } from "./operator-families.ts";
import {
  away,
  CaseRandom,
  integers,
  type OperatorCase,
  positive,
  truth,
  whole,
} from "./random-example.ts";

const comparisons: readonly OperatorCase[] = (
  [
    ["equal", t.equal],
    ["less", t.less],
    ["lessOrEqual", t.lessOrEqual],
    ["greater", t.greater],
    ["greaterOrEqual", t.greaterOrEqual],
  ] as const
).flatMap(([name, operator]) => [
  binaryCase(name, operator, { a: whole, b: whole }),
  binaryCase(name, operator, {
    a: { ...whole, dtype: "int32" },
    b: { ...whole, dtype: "int32" },
  }),
]);

/** Operators that work element by element, and constants. */
export const elementwiseCases: readonly OperatorCase[] = [
  binaryCase("add", t.add),
  binaryCase("subtract", t.subtract),
  binaryCase("multiply", t.multiply),
  binaryCase("divide", t.divide, { b: { value: away(0.5) } }),
  binaryCase("maximum", t.maximum),
  binaryCase("minimum", t.minimum),
  binaryCase("power", t.power, { a: positive }),
  binaryCase("add", t.add, {
    a: { dtype: "int32", value: integers(-9, 9) },
    b: { dtype: "int32", value: integers(-9, 9) },
  }),
  binaryCase("divide", t.divide, {
    a: { dtype: "int32", value: integers(-9, 9) },
    b: { dtype: "int32", value: integers(1, 4) },
  }),
  ...comparisons,
  binaryCase("and", t.and, { a: truth, b: truth }),
  binaryCase("or", t.or, { a: truth, b: truth }),
  unaryCase("negate", t.negate),
  unaryCase("exp", t.exp),
  unaryCase("log", t.log, positive),
  unaryCase("sqrt", t.sqrt, positive),
  unaryCase("reciprocal", t.reciprocal, { value: away(0.5) }),
  unaryCase("sigmoid", t.sigmoid),
  unaryCase("tanh", t.tanh),
  unaryCase("relu", t.relu, { value: away(0.01) }),
  unaryCase("erf", t.erf),
  unaryCase("abs", t.abs, { value: away(0.01) }),
  unaryCase("sine", t.sine),
  unaryCase("cosine", t.cosine),
  unaryCase("softplus", t.softplus, { value: (random) => 8 * random.normal() }),
  unaryCase("sign", t.sign, { value: away(0.01) }),
  unaryCase("round", t.round, { value: (r) => r.integer(13) / 2 - 3, differentiable: false }),
  unaryCase("floor", t.floor, { value: (r) => 3 * r.normal(), differentiable: false }),
  unaryCase("not", t.not, truth),
  unaryCase("silu", t.silu),
  unaryCase("gelu", t.gelu),
  unaryCase("multiply", t.geluTanh),
  unaryCase("stopGradient", t.stopGradient, { differentiable: false }),
  unaryCase("minimum", (x) => t.clamp(x, -0.7, 0.6)),
  unaryCase("tanh", (x) => t.softCap(x, 1.5)),
  unaryCase("cast", (x) => t.cast(x, "int32"), {
    value: (r) => 4 * r.normal(),
    differentiable: false,
  }),
  unaryCase("cast", (x) => t.cast(t.multiply(t.cast(x, "float64"), 2), "float32")),
  unaryCase("cast", (x) => t.cast(x, "bool"), whole),
  {
    operators: ["where"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(0, 3);
      draw.input("condition", draw.narrowed(axes), truth);
      draw.input("a", draw.narrowed(axes));
      draw.input("b", draw.narrowed(axes));
      return draw.done(({ condition, a, b }) => [t.where(condition!, a!, b!)]);
    },
  },
  {
    operators: ["constant", "fill", "size", "range"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const [a, b] = [draw.axis(), draw.axis()];
      const data = Array.from({ length: a.size * b.size }, () => draw.random.normal());
      const value = draw.random.normal();
      draw.input("x", [a, b], { differentiable: false });
      return draw.done(() => [
        t.constant(data, { shape: [a.size, b.size] }),
        t.constant(data, { shape: [b.size, a.size], dtype: "float64" }),
        t.fill([b.dimension, a.dimension], value),
        t.fill([2, t.addDimensions(a.dimension, b.dimension)], 3, "int32"),
        t.sizeValue(t.addDimensions(t.multiplyDimensions(a.dimension, b.dimension), 7)),
        t.range(t.addDimensions(t.multiplyDimensions(a.dimension, 3), b.dimension)),
      ]);
    },
  },
];
