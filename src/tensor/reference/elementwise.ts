/** Operators of the reference that work element by element, and constants. */
import type { Dimension } from "../dimension.ts";
import type { DataType } from "../graph.ts";
import { halvesToEven } from "./arithmetic.ts";
import {
  atBroadcast,
  broadcast,
  build,
  outputShape,
  type ReferenceOperator,
  scalar,
  typed,
} from "./values.ts";

function map(f: (x: number) => number): ReferenceOperator {
  return ([x]) => [{ shape: x!.shape, data: x!.data.map((value) => f(value)) }];
}

function zip(f: (a: number, b: number) => number): ReferenceOperator {
  return ([a, b]) => [
    build(broadcast(a!.shape, b!.shape), (index) =>
      f(atBroadcast(a!, index), atBroadcast(b!, index)),
    ),
  ];
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
/** The error function by its series (small arguments) and its continued fraction (large ones). */
function errorFunction(x: number): number {
  if (x < 0) return -errorFunction(-x);
  if (x > 6) return 1;
  if (x < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 120; n > 0; n--) fraction = n / 2 / (x + fraction);
  return 1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}

function castTo(value: number, dtype: DataType): number {
  if (dtype.includes("float")) return value;
  if (dtype === "bool") return value === 0 ? 0 : 1;
  return Math.trunc(value);
}

export const elementwiseReference: Readonly<Record<string, ReferenceOperator>> = {
  constant: typed<{ shape: readonly number[]; data: ArrayLike<number | bigint> }>(
    (_inputs, { shape, data }) => [{ shape, data: Float64Array.from(Array.from(data, Number)) }],
  ),
  fill: typed<{ value: number; shape: readonly Dimension[] }>((_inputs, { value }, context) => [
    build(outputShape(context), () => value),
  ]),
  size: typed<{ dimension: Dimension }>((_inputs, { dimension }, { size }) => [
    scalar(size(dimension)),
  ]),
  range: typed<{ count: Dimension }>((_inputs, { count }, { size }) => [
    build([size(count)], ([i]) => i!),
  ]),

  add: zip((a, b) => a + b),
  subtract: zip((a, b) => a - b),
  multiply: zip((a, b) => a * b),
  divide: (inputs, attributes, context) => {
    const isInteger = !context.node.outputs[0]!.dtype.includes("float");
    return zip((a, b) => (isInteger ? Math.trunc(a / b) : a / b))(inputs, attributes, context);
  },
  maximum: zip(Math.max),
  minimum: zip(Math.min),
  power: zip((a, b) => a ** b),
  equal: zip((a, b) => Number(a === b)),
  less: zip((a, b) => Number(a < b)),
  lessOrEqual: zip((a, b) => Number(a <= b)),
  greater: zip((a, b) => Number(a > b)),
  greaterOrEqual: zip((a, b) => Number(a >= b)),
  and: zip((a, b) => Number(a !== 0 && b !== 0)),
  or: zip((a, b) => Number(a !== 0 || b !== 0)),

  negate: map((x) => -x),
  exp: map(Math.exp),
  log: map(Math.log),
  sqrt: map(Math.sqrt),
  reciprocal: map((x) => 1 / x),
  sigmoid: map(sigmoid),
  tanh: map(Math.tanh),
  relu: map((x) => Math.max(x, 0)),
  erf: map(errorFunction),
  gelu: map((x) => 0.5 * x * (1 + errorFunction(x * Math.SQRT1_2))),
  abs: map(Math.abs),
  sine: map(Math.sin),
  cosine: map(Math.cos),
  softplus: map((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  sign: map(Math.sign),
  round: map(halvesToEven),
  floor: map(Math.floor),
  not: map((x) => (x === 0 ? 1 : 0)),
  silu: map((x) => x * sigmoid(x)),
  siluGate: ([gate, x]) => {
    const open = gate!.data.map((value) => value * sigmoid(value));
    const { shape } = gate!;
    return [
      { shape, data: open.map((value, i) => value * x!.data[i]!) },
      { shape, data: open },
    ];
  },
  stopGradient: map((x) => x),
  cast: typed<{ dtype: DataType }>(([x], { dtype }) => [
    { shape: x!.shape, data: x!.data.map((value) => castTo(value, dtype)) },
  ]),
  where: ([condition, a, b]) => [
    build(broadcast(condition!.shape, a!.shape, b!.shape), (index) =>
      atBroadcast(condition!, index) !== 0 ? atBroadcast(a!, index) : atBroadcast(b!, index),
    ),
  ],
};
