/**
 * Random examples of every operator of the tensor room: shapes (some of their sizes named), values
 * and a use. Tests run them through the reference, ONNX Runtime and finite differences.
 */
import { createRandom, type Random } from "../core/index.ts";
import * as t from "../tensor/index.ts";
import {
  type DataType,
  type Dimension,
  evaluateDimension,
  type Tensor,
  type TensorType,
  tensorType,
} from "../tensor/index.ts";

/** One use of operators with concrete values. */
export interface OperatorExample {
  readonly types: Readonly<Record<string, TensorType>>;
  readonly values: Readonly<Record<string, { data: Float64Array; shape: readonly number[] }>>;
  /** Inputs that the first result is differentiated by. */
  readonly differentiable: readonly string[];
  build(inputs: Readonly<Record<string, Tensor>>): readonly Tensor[];
}

/** A family of examples. */
export interface OperatorCase {
  /** Operators that every example holds. */
  readonly operators: readonly string[];
  /** Largest allowed difference from the reference, relative to the largest element. Default 2e-5. */
  readonly tolerance?: number;
  example(seed: number): OperatorExample;
}

interface Axis {
  readonly dimension: Dimension;
  readonly size: number;
}

/** How values of an input are drawn; default: normal. */
interface ValueOptions {
  dtype?: DataType;
  value?: (random: Random) => number;
  /** Default: true for float32. */
  differentiable?: boolean;
}

class CaseRandom {
  readonly random: Random;
  readonly types: Record<string, TensorType> = {};
  readonly values: Record<string, { data: Float64Array; shape: readonly number[] }> = {};
  readonly differentiable: string[] = [];
  #names = 0;

  constructor(seed: number) {
    this.random = createRandom(seed, "operator-cases");
  }

  integer(low: number, high: number): number {
    return low + this.random.integer(high - low + 1);
  }

  isTrue(): boolean {
    return this.random.integer(2) === 1;
  }

  pick<T>(...choices: readonly T[]): T {
    return choices[this.random.integer(choices.length)]!;
  }

  /** An axis of random size whose name is known half of the time. */
  axis(low = 1, high = 4): Axis {
    const size = this.integer(low, high);
    return { size, dimension: this.isTrue() ? `d${this.#names++}` : size };
  }

  axes(low: number, high: number): Axis[] {
    return Array.from({ length: this.integer(low, high) }, () => this.axis());
  }

  input(name: string, axes: readonly (Axis | number)[], options: ValueOptions = {}): void {
    const { dtype = "float32", value = (random) => random.normal() } = options;
    const list = axes.map((axis) =>
      typeof axis === "number" ? { dimension: axis, size: axis } : axis,
    );
    const shape = list.map(({ size }) => size);
    const data = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      dtype === "float32" ? Math.fround(value(this.random)) : value(this.random),
    );
    this.types[name] = tensorType(
      dtype,
      list.map(({ dimension }) => dimension),
    );
    this.values[name] = { data, shape };
    if (options.differentiable ?? dtype === "float32") this.differentiable.push(name);
  }

  /** Some axes become 1, some leading ones vanish. */
  narrowed(axes: readonly Axis[]): (Axis | number)[] {
    return axes
      .map((axis) => (this.integer(0, 3) === 0 ? 1 : axis))
      .slice(this.integer(0, 3) === 0 ? this.integer(0, axes.length) : 0);
  }

  done(build: OperatorExample["build"]): OperatorExample {
    const { types, values, differentiable } = this;
    return { types, values, differentiable, build };
  }
}

const away =
  (least: number) =>
  (random: Random): number => {
    const value = random.normal();
    return value + Math.sign(value) * least;
  };
const between =
  (low: number, high: number) =>
  (random: Random): number =>
    low + (high - low) * random.uniform();
const integers =
  (low: number, high: number) =>
  (random: Random): number =>
    low + random.integer(high - low + 1);

function binaryCase(
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

function unaryCase(
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

function reduceCase(name: string, operator: typeof t.sum): OperatorCase {
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

function alongCase(name: string, operator: (x: Tensor, axis: number) => Tensor): OperatorCase {
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

const whole: ValueOptions = { value: integers(-2, 2), differentiable: false };
const truth: ValueOptions = { dtype: "bool", value: integers(0, 1) };
const positive: ValueOptions = { value: between(0.3, 3) };

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

const matmulCase: OperatorCase = {
  operators: ["matmul"],
  example(seed) {
    const draw = new CaseRandom(seed);
    const [rows, inner, columns] = [draw.axis(), draw.axis(), draw.axis()];
    const stack = draw.axes(0, 2);
    const [transposeA, transposeB] = [draw.isTrue(), draw.isTrue()];
    const a = transposeA ? [inner, rows] : [rows, inner];
    const b = transposeB ? [columns, inner] : [inner, columns];
    const alpha = draw.pick(1, 0.5);
    draw.input("a", [...draw.narrowed(stack), ...a]);
    draw.input("b", [...(draw.isTrue() ? [] : draw.narrowed(stack)), ...b]);
    return draw.done(({ a: left, b: right }) => [
      t.matmul(left!, right!, { transposeA, transposeB, alpha }),
    ]);
  },
};

const convolutionCase: OperatorCase = {
  operators: ["conv2d"],
  example(seed) {
    const draw = new CaseRandom(seed);
    const groups = draw.integer(1, 2);
    const [inputs, outputs] = [draw.integer(1, 2), draw.integer(1, 2)];
    const kernel = [draw.integer(1, 3), draw.integer(1, 3)] as const;
    const stride = [draw.integer(1, 2), draw.integer(1, 2)] as const;
    const dilation = [draw.integer(1, 2), draw.integer(1, 2)] as const;
    const padding = [draw.integer(0, 1), draw.integer(0, 2)] as const;
    const size = (axis: 0 | 1): Axis | number => {
      const least = (kernel[axis] - 1) * dilation[axis] + 1;
      const length = least + draw.integer(0, 4);
      return stride[axis] === 1 ? draw.axis(least, least + 3) : length;
    };
    draw.input("x", [draw.axis(1, 2), groups * inputs, size(0), size(1)]);
    draw.input("weight", [groups * outputs, inputs, ...kernel]);
    if (draw.isTrue()) draw.input("bias", [groups * outputs]);
    return draw.done(({ x, weight, bias }) => [
      t.conv2d(x!, weight!, { stride, dilation, padding, groups, ...(bias && { bias }) }),
    ]);
  },
};

const transposedConvolutionCase: OperatorCase = {
  operators: ["conv2dTranspose"],
  example(seed) {
    const draw = new CaseRandom(seed);
    const groups = draw.integer(1, 2);
    const [inputs, outputs] = [draw.integer(1, 2), draw.integer(1, 2)];
    const kernel = [draw.integer(1, 3), draw.integer(1, 3)] as const;
    const stride = [draw.integer(1, 2), draw.integer(1, 3)] as const;
    const padding = [kernel[0] > 1 ? draw.integer(0, 1) : 0, 0] as const;
    const places = [draw.integer(2, 3), draw.integer(2, 3)] as const;
    draw.input("x", [draw.axis(1, 2), groups * inputs, ...places]);
    draw.input("weight", [groups * inputs, outputs, ...kernel]);
    const least = [0, 1].map(
      (axis) => (places[axis]! - 1) * stride[axis]! + kernel[axis]! - 2 * padding[axis]!,
    );
    const size = least.map((length, axis) => length + draw.integer(0, stride[axis]! - 1)) as [
      number,
      number,
    ];
    const options = { stride, padding, groups, ...(draw.isTrue() && { size }) };
    return draw.done(({ x, weight }) => [t.conv2dTranspose(x!, weight!, options)]);
  },
};

function poolCase(kind: "max" | "average"): OperatorCase {
  return {
    operators: [kind === "max" ? "maxPool2d" : "averagePool2d"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const size = [draw.integer(1, 3), draw.integer(1, 3)] as const;
      const stride = [draw.integer(1, 3), draw.integer(1, 3)] as const;
      const padding = [size[0] > 1 ? draw.integer(0, 1) : 0, 0] as const;
      draw.input("x", [
        draw.axis(1, 2),
        draw.integer(1, 3),
        size[0] + draw.integer(0, 4),
        size[1] + draw.integer(0, 4),
      ]);
      return draw.done(({ x }) => [
        kind === "max"
          ? t.maxPool2d(x!, { size, stride, padding })
          : t.averagePool2d(x!, { size, stride }),
      ]);
    },
  };
}

/** Examples of every operator (but `conditional`, whose tests stand alone). */
export const operatorCases: readonly OperatorCase[] = [
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
  unaryCase("multiply", t.gelu),
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
  matmulCase,
  {
    operators: ["rotary"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const [batch, time] = [draw.axis(1, 2), draw.axis()];
      const heads = draw.integer(1, 3);
      const half = 4 * draw.integer(1, 2);
      const rest = draw.pick(0, 8);
      draw.input("x", [batch, heads, time, 2 * half + rest]);
      draw.input("positions", [batch, time], { dtype: "int32", value: integers(0, 6) });
      draw.input("cos", [7, half], { differentiable: false });
      draw.input("sin", [7, half], { differentiable: false });
      return draw.done(({ x, positions, cos, sin }) => [t.rotary(x!, positions!, cos!, sin!)]);
    },
  },
  convolutionCase,
  transposedConvolutionCase,
  poolCase("max"),
  poolCase("average"),
  {
    operators: ["mean"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const groups = draw.integer(1, 2);
      const channels = groups * draw.integer(1, 2);
      draw.input("x", [draw.axis(1, 2), channels, draw.axis(1, 3), draw.axis(1, 3)]);
      draw.input("scale", [channels]);
      draw.input("bias", [channels]);
      return draw.done(({ x, scale, bias }) => [
        t.groupNorm(x!, scale!, bias!, { groups, epsilon: 1e-2 }),
      ]);
    },
  },
  {
    operators: ["broadcastTo"],
    example(seed) {
      const draw = new CaseRandom(seed);
      draw.input("x", [draw.axis(1, 2), draw.axis(1, 2), draw.axis(1, 3), draw.axis(1, 3)]);
      const factor = [draw.integer(2, 3), draw.integer(1, 3)] as const;
      return draw.done(({ x }) => [t.upsampleNearest2d(x!, factor)]);
    },
  },
  {
    operators: ["matmulChannelQuantized"],
    tolerance: 1e-2,
    example(seed) {
      const draw = new CaseRandom(seed);
      const [inputs, outputs] = [draw.integer(1, 40), draw.integer(1, 9)];
      draw.input("x", [...draw.axes(1, 2), inputs], { differentiable: false });
      draw.input("codes", [inputs, outputs], { dtype: "int8", value: integers(-127, 127) });
      draw.input("scales", [outputs], { value: between(0.001, 0.01), differentiable: false });
      return draw.done(({ x, codes, scales }) => [t.matmulChannelQuantized(x!, codes!, scales!)]);
    },
  },
];

const arrays = {
  float32: Float32Array,
  int32: Int32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

/** Values of an example as a program takes them. */
export function programInputs(
  example: OperatorExample,
): Record<string, { data: t.TensorValueData; shape: readonly number[] }> {
  return Object.fromEntries(
    Object.entries(example.values).map(([name, { data, shape }]) => {
      const array = arrays[example.types[name]!.dtype as keyof typeof arrays];
      return [name, { data: array.from(data), shape }];
    }),
  );
}

/** What the named sizes of an example are. */
export function exampleSizes(example: OperatorExample): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const [name, { shape }] of Object.entries(example.types)) {
    for (const [axis, dimension] of shape.entries()) {
      if (typeof dimension === "string") sizes.set(dimension, example.values[name]!.shape[axis]!);
    }
  }
  return sizes;
}

/** A shape in numbers. */
export function concreteShape(example: OperatorExample, shape: readonly Dimension[]): number[] {
  const sizes = exampleSizes(example);
  return shape.map((dimension) => evaluateDimension(dimension, sizes));
}
