/**
 * Operators that work element by element: arithmetic with broadcasting, comparisons, choices, casts
 * and the usual functions.
 */
import { type Dimension, shapesEqual } from "../dimension.ts";
import { onnxTypes } from "../emit.ts";
import {
  apply,
  type DataType,
  defineOperator,
  type GraphNode,
  isReplaceable,
  type OperatorDefinition,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { constant, fill, uniformValue } from "./constant.ts";
import { sumTo } from "./reduce.ts";

/** NumPy broadcasting: axes are aligned at the end; sizes are equal or one of them is 1. */
export function broadcastShapes(operator: string, inputs: readonly Tensor[]): readonly Dimension[] {
  const rank = Math.max(...inputs.map((input) => input.shape.length));
  const shape: Dimension[] = new Array(rank).fill(1);
  for (const input of inputs) {
    for (const [index, dimension] of input.shape.entries()) {
      const axis = rank - input.shape.length + index;
      if (shape[axis] === 1) shape[axis] = dimension;
      else if (dimension !== 1 && dimension !== shape[axis]) {
        throw shapeError(
          operator,
          inputs,
          `sizes ${shape[axis]} and ${dimension} do not broadcast`,
        );
      }
    }
  }
  return shape;
}

function requireEqualTypes(operator: string, inputs: readonly Tensor[]): DataType {
  const dtype = inputs[0]!.dtype;
  if (inputs.some((input) => input.dtype !== dtype)) {
    throw shapeError(operator, inputs, "element types must be equal (use cast)");
  }
  return dtype;
}

type BinaryGradient = (
  node: GraphNode,
  gradient: Tensor,
) => readonly [(() => Tensor) | undefined, (() => Tensor) | undefined];

function binary(
  name: string,
  onnx: string,
  gradient?: BinaryGradient,
  result?: DataType,
  accepted: Accepted = "number",
): OperatorDefinition<null> {
  return defineOperator({
    name,
    infer(inputs) {
      const dtype = requireEqualTypes(name, inputs);
      if (!accepts(accepted, dtype)) {
        throw shapeError(name, inputs, `works on elements of type ${accepted}`);
      }
      return [{ dtype: result ?? dtype, shape: broadcastShapes(name, inputs) }];
    },
    emit: (emitter, inputs) => emitter.node(onnx, inputs),
    ...(gradient && {
      vjp(node: GraphNode, [output]: readonly (Tensor | undefined)[]) {
        const parts = gradient(node, output!);
        return parts.map((part, index) => part && sumTo(part(), node.inputs[index]!.shape));
      },
    }),
  });
}

const addOperator = binary("add", "Add", (_node, g) => [() => g, () => g]);
const subtractOperator = binary("subtract", "Sub", (_node, g) => [() => g, () => negate(g)]);
const multiplyOperator = binary("multiply", "Mul", ({ inputs: [a, b] }, g) => [
  () => multiply(g, b!),
  () => multiply(g, a!),
]);
const divideOperator = binary("divide", "Div", ({ inputs: [, b], outputs: [y] }, g) => [
  () => divide(g, b!),
  () => negate(divide(multiply(g, y!), b!)),
]);
/** The gradient of a tie goes to the first argument. */
const maximumOperator = binary("maximum", "Max", ({ inputs: [a, b] }, g) => [
  () => where(greaterOrEqual(a!, b!), g, 0),
  () => where(less(a!, b!), g, 0),
]);
const minimumOperator = binary("minimum", "Min", ({ inputs: [a, b] }, g) => [
  () => where(lessOrEqual(a!, b!), g, 0),
  () => where(greater(a!, b!), g, 0),
]);
const powerOperator = binary("power", "Pow", ({ inputs: [a, b], outputs: [y] }, g) => [
  () => multiply(g, multiply(b!, power(a!, subtract(b!, 1)))),
  () => multiply(g, multiply(y!, log(a!))),
]);
const equalOperator = binary("equal", "Equal", undefined, "bool", "any");
const lessOperator = binary("less", "Less", undefined, "bool");
const lessOrEqualOperator = binary("lessOrEqual", "LessOrEqual", undefined, "bool");
const greaterOperator = binary("greater", "Greater", undefined, "bool");
const greaterOrEqualOperator = binary("greaterOrEqual", "GreaterOrEqual", undefined, "bool");
const andOperator = binary("and", "And", undefined, "bool", "bool");
const orOperator = binary("or", "Or", undefined, "bool", "bool");

/** A tensor, or a number that takes the other operand's element type. */
export type Operand = Tensor | number;

function pair(operator: OperatorDefinition<null>, a: Operand, b: Operand): Tensor {
  return apply(operator, asTensors(a, b), null)[0]!;
}

function asTensors(a: Operand, b: Operand): [Tensor, Tensor] {
  const dtype = typeof a === "object" ? a.dtype : typeof b === "object" ? b.dtype : "float32";
  const tensor = (x: Operand): Tensor => (typeof x === "number" ? constant(x, { dtype }) : x);
  return [tensor(a), tensor(b)];
}

/** Simplification of arithmetic with a constant that is the same for every element. */
interface Arithmetic {
  compute(a: number, b: number): number;
  /** The second operand that changes nothing. */
  readonly neutral: number;
  /** Whether the operands may change places. */
  readonly isSymmetric: boolean;
}

/**
 * Arithmetic that is written down only where it does something. Gradients are full of ones, zeros
 * and repeated scalars: x · 1 is x, x + 0 is x, and a repeated scalar need not be spread out.
 */
function simplified(
  operator: OperatorDefinition<null>,
  a: Operand,
  b: Operand,
  { compute, neutral, isSymmetric }: Arithmetic,
): Tensor {
  const inputs = asTensors(a, b);
  // The shape and type rule runs first, so that simplification hides no error.
  const { dtype, shape } = operator.infer(inputs, null)[0]!;
  if (dtype !== "float32" && dtype !== "float64") return apply(operator, inputs, null)[0]!;
  const [x, y] = inputs.map((input) => spreadScalar(input, shape, inputs)) as [Tensor, Tensor];
  const valueX = typeof a === "number" ? a : uniformValue(x);
  const valueY = typeof b === "number" ? b : uniformValue(y);
  if (valueX !== undefined && valueY !== undefined) {
    return uniform(shape, compute(valueX, valueY), dtype);
  }
  if (valueY === neutral && shapesEqual(x.shape, shape)) return x;
  if (isSymmetric && valueX === neutral && shapesEqual(y.shape, shape)) return y;
  return apply(operator, [x, y], null)[0]!;
}

/** The operand of a broadcast that can be left out, because the other operand has the shape of the result. */
function spreadScalar(x: Tensor, shape: readonly Dimension[], inputs: readonly Tensor[]): Tensor {
  const isNeeded = !inputs.some((other) => other !== x && shapesEqual(other.shape, shape));
  if (isNeeded || !isReplaceable(x)) return x;
  if (x.node.operator.name === "broadcastTo") return x.node.inputs[0]!;
  const value = uniformValue(x);
  return value === undefined ? x : constant(value, { dtype: x.dtype });
}

/** A value that every element has; a scalar where the shape allows it. */
function uniform(shape: readonly Dimension[], value: number, dtype: DataType): Tensor {
  return shape.length === 0 ? constant(value, { dtype }) : fill(shape, value, dtype);
}

/** `a + b`, broadcast. */
export const add = (a: Operand, b: Operand): Tensor =>
  simplified(addOperator, a, b, { compute: (x, y) => x + y, neutral: 0, isSymmetric: true });
/** `a - b`, broadcast. */
export const subtract = (a: Operand, b: Operand): Tensor =>
  simplified(subtractOperator, a, b, { compute: (x, y) => x - y, neutral: 0, isSymmetric: false });
/** `a · b`, broadcast. */
export const multiply = (a: Operand, b: Operand): Tensor =>
  simplified(multiplyOperator, a, b, { compute: (x, y) => x * y, neutral: 1, isSymmetric: true });
/** `a / b`, broadcast; integers are cut towards zero. */
export const divide = (a: Operand, b: Operand): Tensor =>
  simplified(divideOperator, a, b, { compute: (x, y) => x / y, neutral: 1, isSymmetric: false });
/** The larger of `a` and `b`, broadcast. */
export const maximum = (a: Operand, b: Operand): Tensor => pair(maximumOperator, a, b);
/** The smaller of `a` and `b`, broadcast. */
export const minimum = (a: Operand, b: Operand): Tensor => pair(minimumOperator, a, b);
/** `a` to the power `b`; the gradient for `b` needs positive `a`. */
export const power = (a: Operand, b: Operand): Tensor => pair(powerOperator, a, b);
/** Bool: `a = b`, broadcast. */
export const equal = (a: Operand, b: Operand): Tensor => pair(equalOperator, a, b);
/** Bool: `a < b`, broadcast. */
export const less = (a: Operand, b: Operand): Tensor => pair(lessOperator, a, b);
/** Bool: `a ≤ b`, broadcast. */
export const lessOrEqual = (a: Operand, b: Operand): Tensor => pair(lessOrEqualOperator, a, b);
/** Bool: `a > b`, broadcast. */
export const greater = (a: Operand, b: Operand): Tensor => pair(greaterOperator, a, b);
/** Bool: `a ≥ b`, broadcast. */
export const greaterOrEqual = (a: Operand, b: Operand): Tensor =>
  pair(greaterOrEqualOperator, a, b);
/** Bool: both hold, broadcast. */
export const and = (a: Tensor, b: Tensor): Tensor => pair(andOperator, a, b);
/** Bool: at least one holds, broadcast. */
export const or = (a: Tensor, b: Tensor): Tensor => pair(orOperator, a, b);

/** Element types that an operator works on. */
type Accepted = "float" | "number" | "bool" | "any";

function accepts(accepted: Accepted, dtype: DataType): boolean {
  if (accepted === "any") return true;
  if (accepted === "bool") return dtype === "bool";
  return accepted === "float" ? dtype.includes("float") : dtype !== "bool";
}

function unary(
  name: string,
  onnx: string,
  gradient?: (x: Tensor, y: Tensor, g: Tensor) => Tensor,
  accepted: Accepted = "float",
): OperatorDefinition<null> {
  return {
    name,
    infer([x]) {
      if (!accepts(accepted, x!.dtype)) {
        throw shapeError(name, [x!], `works on elements of type ${accepted}`);
      }
      return [{ dtype: x!.dtype, shape: x!.shape }];
    },
    emit: (emitter, inputs) => emitter.node(onnx, inputs),
    ...(gradient && {
      vjp: (node: GraphNode, [g]: readonly (Tensor | undefined)[]) => [
        gradient(node.inputs[0]!, node.outputs[0]!, g!),
      ],
    }),
  };
}

function unaryFunction(definition: OperatorDefinition<null>): (x: Tensor) => Tensor {
  const operator = defineOperator(definition);
  return (x) => apply(operator, [x], null)[0]!;
}

const negateNode: (x: Tensor) => Tensor = unaryFunction(
  unary("negate", "Neg", (_x, _y, g) => negate(g), "number"),
);
/** -x. */
export function negate(x: Tensor): Tensor {
  const value = uniformValue(x);
  return value === undefined || (x.dtype !== "float32" && x.dtype !== "float64")
    ? negateNode(x)
    : uniform(x.shape, -value, x.dtype);
}

/** e to the power x. */
export const exp: (x: Tensor) => Tensor = unaryFunction(
  unary("exp", "Exp", (_x, y, g) => multiply(g, y)),
);
/** The natural logarithm. */
export const log: (x: Tensor) => Tensor = unaryFunction(
  unary("log", "Log", (x, _y, g) => divide(g, x)),
);
/** The square root. */
export const sqrt: (x: Tensor) => Tensor = unaryFunction(
  unary("sqrt", "Sqrt", (_x, y, g) => divide(g, multiply(2, y))),
);
/** 1 / x. */
export const reciprocal: (x: Tensor) => Tensor = unaryFunction(
  unary("reciprocal", "Reciprocal", (_x, y, g) => negate(multiply(g, multiply(y, y)))),
);
/** 1 / (1 + e to the power -x). */
export const sigmoid: (x: Tensor) => Tensor = unaryFunction(
  unary("sigmoid", "Sigmoid", (_x, y, g) => multiply(g, multiply(y, subtract(1, y)))),
);
/** The hyperbolic tangent. */
export const tanh: (x: Tensor) => Tensor = unaryFunction(
  unary("tanh", "Tanh", (_x, y, g) => multiply(g, subtract(1, multiply(y, y)))),
);
/** x where it is positive, otherwise 0. */
export const relu: (x: Tensor) => Tensor = unaryFunction(
  unary("relu", "Relu", (x, _y, g) => where(greater(x, 0), g, 0)),
);
/** The error function. */
export const erf: (x: Tensor) => Tensor = unaryFunction(
  unary("erf", "Erf", (x, _y, g) =>
    multiply(g, multiply(2 / Math.sqrt(Math.PI), exp(negate(multiply(x, x))))),
  ),
);
/** The magnitude; no gradient flows at 0. */
export const abs: (x: Tensor) => Tensor = unaryFunction(
  unary("abs", "Abs", (x, _y, g) => multiply(g, sign(x)), "number"),
);
/** The sine of x in radians. */
export const sine: (x: Tensor) => Tensor = unaryFunction(
  unary("sine", "Sin", (x, _y, g) => multiply(g, cosine(x))),
);
/** The cosine of x in radians. */
export const cosine: (x: Tensor) => Tensor = unaryFunction(
  unary("cosine", "Cos", (x, _y, g) => negate(multiply(g, sine(x)))),
);
/** log(1 + e to the power x), computed stably. */
export const softplus: (x: Tensor) => Tensor = unaryFunction(
  unary("softplus", "Softplus", (x, _y, g) => multiply(g, sigmoid(x))),
);
/** -1, 0 or 1. */
export const sign: (x: Tensor) => Tensor = unaryFunction(
  unary("sign", "Sign", (x) => multiply(x, 0), "number"),
);
/** To the nearest integer, halves to even. Not differentiable. */
export const round: (x: Tensor) => Tensor = unaryFunction(unary("round", "Round"));
/** To the next integer below. Not differentiable. */
export const floor: (x: Tensor) => Tensor = unaryFunction(unary("floor", "Floor"));
/** Bool: does not hold. */
export const not: (x: Tensor) => Tensor = unaryFunction(unary("not", "Not", undefined, "bool"));

/** x · sigmoid(x) (Elfwing et al., 2017), one kernel in ONNX Runtime. */
export const silu: (x: Tensor) => Tensor = unaryFunction({
  ...unary("silu", "", (x, y, g) => {
    const s = sigmoid(x);
    return multiply(g, add(s, multiply(y, subtract(1, s))));
  }),
  emit: (emitter, inputs) =>
    emitter.node("QuickGelu", inputs, {
      attributes: { alpha: { float: 1 } },
      domain: "com.microsoft",
    }),
});

/** The share of a standard normal distribution below x. */
const normalShare = (x: Tensor): Tensor => multiply(0.5, add(1, erf(multiply(x, Math.SQRT1_2))));

const geluNode: (x: Tensor) => Tensor = unaryFunction({
  ...unary("gelu", "", (x, _y, g) => {
    const density = multiply(exp(multiply(multiply(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return multiply(g, add(normalShare(x), multiply(x, density)));
  }),
  emit: (emitter, inputs) => emitter.node("Gelu", inputs, { domain: "com.microsoft" }),
});

/**
 * Gaussian error linear unit (Hendrycks and Gimpel, 2016), exact by the error function: one kernel in ONNX Runtime, which
 * has none for float64.
 */
export function gelu(x: Tensor): Tensor {
  return x.dtype === "float32" ? geluNode(x) : multiply(x, normalShare(x));
}

/** The tanh approximation of the Gaussian error linear unit, as Gemma uses it. */
export function geluTanh(x: Tensor): Tensor {
  const inner = multiply(x, add(multiply(multiply(x, x), 0.044715), 1));
  return multiply(multiply(0.5, x), add(1, tanh(multiply(inner, Math.sqrt(2 / Math.PI)))));
}

/** `x` kept between two bounds; no gradient flows where a bound is reached from outside. */
export function clamp(x: Tensor, low: number, high: number): Tensor {
  return minimum(maximum(x, low), high);
}

/** cap · tanh(x / cap): nearly `x` while small, never beyond ±cap (Gemma 2). */
export function softCap(x: Tensor, cap: number): Tensor {
  return multiply(tanh(multiply(x, 1 / cap)), cap);
}

const castOperator: OperatorDefinition<{ dtype: DataType }> = defineOperator({
  name: "cast",
  infer: ([x], { dtype }) => [{ dtype, shape: x!.shape }],
  emit: (emitter, inputs, { dtype }) =>
    emitter.node("Cast", inputs, { attributes: { to: onnxTypes[dtype] } }),
  vjp: (node, [g]) => {
    const { dtype } = node.inputs[0]!;
    return [dtype.startsWith("float") ? cast(g!, dtype) : undefined];
  },
});

/** Converts elements. Floats to integers are cut towards zero. */
export function cast(x: Tensor, dtype: DataType): Tensor {
  return x.dtype === dtype ? x : apply(castOperator, [x], { dtype })[0]!;
}

const whereOperator: OperatorDefinition<null> = defineOperator({
  name: "where",
  infer(inputs) {
    const [condition, a, b] = inputs;
    if (condition!.dtype !== "bool" || a!.dtype !== b!.dtype) {
      throw shapeError("where", inputs, "needs a bool condition and two tensors of one type");
    }
    return [{ dtype: a!.dtype, shape: broadcastShapes("where", inputs) }];
  },
  emit: (emitter, inputs) => emitter.node("Where", inputs),
  vjp: ({ inputs: [condition, a, b] }, [g]) => [
    undefined,
    sumTo(where(condition!, g!, 0), a!.shape),
    sumTo(where(condition!, 0, g!), b!.shape),
  ],
});

/** `a` where the condition holds, otherwise `b`; all three broadcast. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const dtype = typeof a === "object" ? a.dtype : typeof b === "object" ? b.dtype : "float32";
  const [x, y] = [a, b].map((v) => (typeof v === "number" ? constant(v, { dtype }) : v));
  return apply(whereOperator, [condition, x!, y!], null)[0]!;
}

const stopGradientOperator: OperatorDefinition<null> = defineOperator({
  ...unary("stopGradient", "Identity", undefined, "any"),
  vjp: () => [undefined],
});

/** The same values; no gradient flows through. */
export function stopGradient(x: Tensor): Tensor {
  return apply(stopGradientOperator, [x], null)[0]!;
}

/** True where two tensors have the same type and shape. */
export function sameType(a: Tensor, b: Tensor): boolean {
  return a.dtype === b.dtype && shapesEqual(a.shape, b.shape);
}
