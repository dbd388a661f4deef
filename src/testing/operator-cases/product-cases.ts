/** Matrix products, rotations, convolutions and pools. */
import * as t from "../../tensor/index.ts";
import { type Axis, between, CaseRandom, integers, type OperatorCase } from "./random-example.ts";

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

/** Matrix products, rotations, convolutions and pools. */
export const productCases: readonly OperatorCase[] = [
  matmulCase,
  {
    operators: ["softmaxProduct"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const stack = draw.axes(0, 2);
      const [rows, columns] = [draw.axis(), draw.axis()];
      draw.input("scores", [...stack, rows, columns]);
      draw.input("values", [...stack, columns, draw.integer(1, 4)]);
      return draw.done(({ scores, values }) => [t.softmaxProduct(scores!, values!)]);
    },
  },
  {
    operators: ["siluGate"],
    example(seed) {
      const draw = new CaseRandom(seed);
      const axes = draw.axes(0, 3);
      draw.input("gate", axes);
      draw.input("x", axes);
      return draw.done(({ gate, x }) => [t.siluGate(gate!, x!)]);
    },
  },
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
