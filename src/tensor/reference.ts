/**
 * Evaluates a traced graph in float64, slowly and plainly: the oracle of every fast path.
 *
 * One function for each operator, written from its definition and not from its emission. Integers and
 * booleans are exact in float64; casts between float types keep all digits. After every operator the
 * shape of the result is compared with the one that the shape rule promised.
 */
import { JetonError } from "../core/index.ts";
import { type Dimension, evaluateDimension, formatShape } from "./dimension.ts";
import {
  type DataType,
  type Graph,
  type GraphNode,
  leafName,
  reachableNodes,
  type Scope,
  type Tensor,
} from "./graph.ts";

/** Elements of any type in row-major order; booleans are 0 and 1. */
export interface ReferenceValue {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** What a run of the reference takes: elements with a shape, or a number for a scalar. */
export type ReferenceInput =
  | { readonly data: ArrayLike<number>; readonly shape: readonly number[] }
  | number
  | boolean;

interface ReferenceContext {
  size(dimension: Dimension): number;
  branch(scope: Scope, outputs: readonly Tensor[]): ReferenceValue[];
  readonly node: GraphNode;
}

type ReferenceOperator = (
  inputs: readonly ReferenceValue[],
  attributes: never,
  context: ReferenceContext,
) => ReferenceValue[];

/**
 * Evaluates a graph in float64.
 *
 * @param inputs inputs and parameters by their names
 * @returns the outputs by their names
 */
export function evaluateReference<Outputs extends string>(
  graph: Graph & { readonly outputs: Readonly<Record<Outputs, Tensor>> },
  inputs: Readonly<Record<string, ReferenceInput>>,
): Record<Outputs, ReferenceValue> {
  const values = new Map<Tensor, ReferenceValue>();
  const sizes = new Map<string, number>();

  const size = (dimension: Dimension): number => {
    if (typeof dimension === "number") return dimension;
    for (const [name, source] of graph.sizes) {
      const known = values.get(source.tensor);
      if (known && !sizes.has(name)) sizes.set(name, known.shape[source.axis]!);
    }
    return evaluateDimension(dimension, sizes);
  };

  const evaluate = (scope: Scope | undefined, targets: readonly Tensor[]): ReferenceValue[] => {
    for (const node of reachableNodes(targets, scope)) {
      if (values.has(node.outputs[0]!)) continue;
      const rule = referenceOperators[node.operator.name];
      if (!rule) {
        throw new JetonError(`the reference does not know the operator ${node.operator.name}`, {
          code: "tensor-reference-operator",
          details: { operator: node.operator.name },
        });
      }
      const context: ReferenceContext = { size, branch: evaluate, node };
      const operands = node.inputs.map((tensor) => values.get(tensor)!);
      const results = rule(operands, node.attributes as never, context);
      for (const [index, tensor] of node.outputs.entries()) values.set(tensor, results[index]!);
      for (const [index, tensor] of node.outputs.entries()) {
        const got = results[index]!.shape;
        // What a conditional computes depends on its branch; everything else keeps its promise.
        if (node.operator.name === "conditional") continue;
        if (formatShape(tensor.shape.map(size)) !== formatShape(got)) {
          throw new JetonError(
            `${node.operator.name} promised ${formatShape(tensor.shape)} and gave ${formatShape(got)}`,
            { code: "tensor-reference-shape", details: { operator: node.operator.name, got } },
          );
        }
      }
    }
    return targets.map((tensor) => values.get(tensor)!);
  };

  const leaves = [...Object.values<Tensor>(graph.inputs), ...graph.parameters.values()];
  for (const tensor of leaves) {
    const name = leafName(tensor);
    const input = inputs[name];
    if (input === undefined) {
      throw new JetonError(`the reference needs a value for "${name}"`, {
        code: "tensor-input",
        details: { name },
      });
    }
    values.set(
      tensor,
      typeof input === "object"
        ? { shape: input.shape, data: Float64Array.from(input.data) }
        : scalar(Number(input)),
    );
  }
  const names = Object.keys(graph.outputs) as Outputs[];
  const targets = names.map((name) => graph.outputs[name]);
  const results = evaluate(targets[0]?.node.scope, targets);
  return Object.fromEntries(names.map((name, index) => [name, results[index]!])) as Record<
    Outputs,
    ReferenceValue
  >;
}

/** True where the reference can evaluate an operator. */
export function hasReference(operator: string): boolean {
  return operator in referenceOperators;
}

// Elements by their indices.

function scalar(value: number): ReferenceValue {
  return { shape: [], data: Float64Array.of(value) };
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Makes a value from a function of the indices. The array of indices is reused: do not keep it. */
function build(
  shape: readonly number[],
  element: (index: readonly number[]) => number,
): ReferenceValue {
  const data = new Float64Array(countOf(shape));
  const index = new Array<number>(shape.length).fill(0);
  for (let at = 0; at < data.length; at++) {
    data[at] = element(index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
  return { shape, data };
}

function offsetOf(shape: readonly number[], index: readonly number[]): number {
  let offset = 0;
  for (const [axis, length] of shape.entries()) offset = offset * length + index[axis]!;
  return offset;
}

function at(x: ReferenceValue, index: readonly number[]): number {
  return x.data[offsetOf(x.shape, index)]!;
}

/** The element of a value that is broadcast to more or longer axes. */
function atBroadcast(x: ReferenceValue, index: readonly number[]): number {
  const lead = index.length - x.shape.length;
  return at(
    x,
    x.shape.map((length, axis) => (length === 1 ? 0 : index[axis + lead]!)),
  );
}

function broadcast(...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const lengths = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return lengths.find((length) => length !== 1) ?? 1;
  });
}

// Families of operators.

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

/** A function of all elements along some axes. */
function fold(f: (elements: readonly number[]) => number): ReferenceOperator {
  return ([x], { axes, keepAxes }: { axes: readonly number[]; keepAxes: boolean }) => {
    const kept = x!.shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
    const reduced = x!.shape.map((length, axis) => (axes.includes(axis) ? length : 1));
    const folded = build(kept, (outer) => {
      const elements: number[] = [];
      build(reduced, (inner) => {
        elements.push(
          at(
            x!,
            outer.map((value, axis) => value + inner[axis]!),
          ),
        );
        return 0;
      });
      return f(elements);
    });
    const shape = keepAxes ? kept : x!.shape.filter((_, axis) => !axes.includes(axis));
    return [{ shape, data: folded.data }];
  };
}

/** A function of each vector along one axis. */
function along(f: (vector: readonly number[]) => readonly number[]) {
  return (x: ReferenceValue, axis: number): ReferenceValue => {
    const data = new Float64Array(x.data.length);
    const length = x.shape[axis]!;
    const inner = countOf(x.shape.slice(axis + 1));
    for (let start = 0; start < x.data.length; start++) {
      if (Math.floor(start / inner) % length !== 0) continue;
      const vector = Array.from({ length }, (_, i) => x.data[start + i * inner]!);
      for (const [i, value] of f(vector).entries()) data[start + i * inner] = value;
    }
    return { shape: x.shape, data };
  };
}

const total = (elements: readonly number[]): number => elements.reduce((a, b) => a + b, 0);
const average = (elements: readonly number[]): number => total(elements) / elements.length;
const logSumExp = (elements: readonly number[]): number => {
  const largest = Math.max(...elements);
  return largest + Math.log(total(elements.map((x) => Math.exp(x - largest))));
};
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const halvesToEven = (x: number): number => {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
};

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

interface Window2d {
  size: readonly [number, number];
  stride: readonly [number, number];
  padding: readonly [number, number];
}

interface Convolution {
  stride: readonly [number, number];
  padding: readonly [number, number];
  dilation: readonly [number, number];
  groups: number;
}

/** Row and column of the input that a window element of an output position reads. */
function windowPosition(
  out: readonly number[],
  inside: readonly number[],
  { stride, padding, dilation }: Omit<Convolution, "groups">,
): [number, number] {
  return [
    out[0]! * stride[0] - padding[0] + inside[0]! * dilation[0],
    out[1]! * stride[1] - padding[1] + inside[1]! * dilation[1],
  ];
}

/** Where the largest element of each window is: flat index into x, the first of ties. */
function maxInWindows(x: ReferenceValue, window: Window2d, shape: readonly number[]): number[] {
  const found: number[] = [];
  build(shape, ([n, c, row, column]) => {
    let best = -1;
    for (let i = 0; i < window.size[0]; i++) {
      for (let j = 0; j < window.size[1]; j++) {
        const [r, s] = windowPosition([row!, column!], [i, j], { ...window, dilation: [1, 1] });
        if (r < 0 || s < 0 || r >= x.shape[2]! || s >= x.shape[3]!) continue;
        const flat = offsetOf(x.shape, [n!, c!, r, s]);
        if (best < 0 || x.data[flat]! > x.data[best]!) best = flat;
      }
    }
    found.push(best);
    return 0;
  });
  return found;
}

function typed<Attributes>(
  operator: (
    inputs: readonly ReferenceValue[],
    attributes: Attributes,
    context: ReferenceContext,
  ) => ReferenceValue[],
): ReferenceOperator {
  return operator as unknown as ReferenceOperator;
}

/** Shape of the (only or first) output, in numbers. */
function outputShape({ node, size }: ReferenceContext): number[] {
  return node.outputs[0]!.shape.map(size);
}

const referenceOperators: Readonly<Record<string, ReferenceOperator>> = {
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
  abs: map(Math.abs),
  sine: map(Math.sin),
  cosine: map(Math.cos),
  softplus: map((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  sign: map(Math.sign),
  round: map(halvesToEven),
  floor: map(Math.floor),
  not: map((x) => (x === 0 ? 1 : 0)),
  silu: map((x) => x * sigmoid(x)),
  stopGradient: map((x) => x),
  cast: typed<{ dtype: DataType }>(([x], { dtype }) => [
    { shape: x!.shape, data: x!.data.map((value) => castTo(value, dtype)) },
  ]),
  where: ([condition, a, b]) => [
    build(broadcast(condition!.shape, a!.shape, b!.shape), (index) =>
      atBroadcast(condition!, index) !== 0 ? atBroadcast(a!, index) : atBroadcast(b!, index),
    ),
  ],

  sum: fold(total),
  mean: fold(average),
  max: fold((elements) => Math.max(...elements)),
  min: fold((elements) => Math.min(...elements)),
  logSumExp: fold(logSumExp),
  softmax: typed<{ axis: number }>(([x], { axis }) => [
    along((vector) => {
      const bound = logSumExp(vector);
      return vector.map((value) => Math.exp(value - bound));
    })(x!, axis),
  ]),
  logSoftmax: typed<{ axis: number }>(([x], { axis }) => [
    along((vector) => {
      const bound = logSumExp(vector);
      return vector.map((value) => value - bound);
    })(x!, axis),
  ]),
  rmsNorm: typed<{ epsilon: number }>(([x, scale], { epsilon }) => [
    along((vector) => {
      const root = Math.sqrt(average(vector.map((value) => value * value)) + epsilon);
      return vector.map((value, i) => (value / root) * scale!.data[i]!);
    })(x!, x!.shape.length - 1),
  ]),
  layerNorm: typed<{ epsilon: number }>(([x, scale, bias], { epsilon }) => [
    along((vector) => {
      const centre = average(vector);
      const root = Math.sqrt(average(vector.map((value) => (value - centre) ** 2)) + epsilon);
      return vector.map((value, i) => ((value - centre) / root) * scale!.data[i]! + bias!.data[i]!);
    })(x!, x!.shape.length - 1),
  ]),
  crossEntropyRows: ([logits, targets]) => {
    const axis = logits!.shape.length - 1;
    const logProbabilities = along((vector) => {
      const bound = logSumExp(vector);
      return vector.map((value) => value - bound);
    })(logits!, axis);
    const rows = build(
      targets!.shape,
      (index) => -at(logProbabilities, [...index, at(targets!, index)]),
    );
    return [rows, logProbabilities];
  },

  reshape: ([x], _attributes, context) => [{ shape: outputShape(context), data: x!.data }],
  transpose: typed<{ order: readonly number[] }>(([x], { order }) => [
    build(
      order.map((axis) => x!.shape[axis]!),
      (index) =>
        at(
          x!,
          order.map((_, axis) => index[order.indexOf(axis)]!),
        ),
    ),
  ]),
  broadcastTo: ([x], _attributes, context) => [
    build(outputShape(context), (index) => atBroadcast(x!, index)),
  ],
  concat: typed<{ axis: number }>((inputs, { axis }) => {
    const lengths = inputs.map((input) => input.shape[axis]!);
    return [
      build(inputs[0]!.shape.with(axis, total(lengths)), (index) => {
        let position = index[axis]!;
        let part = 0;
        while (position >= lengths[part]!) position -= lengths[part++]!;
        return at(inputs[part]!, index.with(axis, position));
      }),
    ];
  }),
  split: typed<{ sizes: readonly Dimension[]; axis: number }>(([x], { sizes, axis }, { size }) => {
    let start = 0;
    return sizes.map((dimension) => {
      const from = start;
      const length = size(dimension);
      start += length;
      return build(x!.shape.with(axis, length), (index) =>
        at(x!, index.with(axis, from + index[axis]!)),
      );
    });
  }),
  slice: typed<{ axis: number; start: Dimension; end: Dimension }>(
    ([x], { axis, start, end }, { size }) => {
      const from = size(start);
      return [
        build(x!.shape.with(axis, size(end) - from), (index) =>
          at(x!, index.with(axis, from + index[axis]!)),
        ),
      ];
    },
  ),
  pad: typed<{ axis: number; before: Dimension; after: Dimension }>(
    ([x], { axis, before, after }, { size }) => {
      const length = x!.shape[axis]!;
      return [
        build(x!.shape.with(axis, size(before) + length + size(after)), (index) => {
          const position = index[axis]! - size(before);
          return position < 0 || position >= length ? 0 : at(x!, index.with(axis, position));
        }),
      ];
    },
  ),
  flip: typed<{ axis: number }>(([x], { axis }) => [
    along((vector) => [...vector].reverse())(x!, axis),
  ]),

  gather: typed<{ axis: number }>(([x, indices], { axis }, context) => [
    build(outputShape(context), (index) => {
      const rank = indices!.shape.length;
      const chosen = at(indices!, index.slice(axis, axis + rank));
      return at(x!, [...index.slice(0, axis), chosen, ...index.slice(axis + rank)]);
    }),
  ]),
  gatherElements: typed<{ axis: number }>(([x, indices], { axis }) => [
    build(indices!.shape, (index) => at(x!, index.with(axis, at(indices!, index)))),
  ]),
  overwrite: typed<{ axis: number }>(([x, update, starts], { axis }) => [
    build(x!.shape, (index) => {
      const place = index[axis]! - starts!.data[index[0]!]!;
      const isWritten = place >= 0 && place < update!.shape[axis]!;
      return isWritten ? at(update!, index.with(axis, place)) : at(x!, index);
    }),
  ]),
  scatterAdd: typed<{ axis: number }>(([x, indices, updates], { axis }) => {
    const data = x!.data.slice();
    build(indices!.shape, (index) => {
      const target = offsetOf(x!.shape, index.with(axis, at(indices!, index)));
      data[target]! += at(updates!, index);
      return 0;
    });
    return [{ shape: x!.shape, data }];
  }),
  topK: typed<{ axis: number; count: Dimension }>(([x], { axis, count }, { size }) => {
    const order = along((vector) =>
      vector.map((_, i) => i).sort((a, b) => vector[b]! - vector[a]! || a - b),
    )(x!, axis);
    const shape = x!.shape.with(axis, size(count));
    const indices = build(shape, (index) => at(order, index));
    return [build(shape, (index) => at(x!, index.with(axis, at(indices, index)))), indices];
  }),
  argmax: typed<{ axis: number }>(([x], { axis }) => {
    const kept = build(x!.shape.with(axis, 1), (index) => {
      let best = 0;
      for (let i = 1; i < x!.shape[axis]!; i++) {
        if (at(x!, index.with(axis, i)) > at(x!, index.with(axis, best))) best = i;
      }
      return best;
    });
    return [{ shape: x!.shape.toSpliced(axis, 1), data: kept.data }];
  }),
  cumulativeSum: typed<{ axis: number; reverse: boolean }>(([x], { axis, reverse }) => [
    along((vector) => {
      const summed = reverse ? [...vector].reverse() : [...vector];
      for (let i = 1; i < summed.length; i++) summed[i]! += summed[i - 1]!;
      return reverse ? summed.reverse() : summed;
    })(x!, axis),
  ]),
  nonZero: ([x]) => {
    const found = [...x!.data.keys()].filter((flat) => x!.data[flat] !== 0);
    const indices = Float64Array.from(found.length > 0 ? found : [0]);
    return [{ shape: [indices.length], data: indices }, scalar(found.length)];
  },

  matmul: typed<{ transposeA: boolean; transposeB: boolean; alpha: number }>(
    ([a, b], { transposeA, transposeB, alpha }, context) => {
      const shape = outputShape(context);
      const inner = a!.shape.at(transposeA ? -2 : -1)!;
      const stackA: ReferenceValue = { shape: a!.shape.slice(0, -2), data: new Float64Array() };
      const stackB: ReferenceValue = { shape: b!.shape.slice(0, -2), data: new Float64Array() };
      const pick = ({ shape: stack }: ReferenceValue, index: readonly number[]): number[] =>
        stack.map((length, axis) =>
          length === 1 ? 0 : index[index.length - 2 - stack.length + axis]!,
        );
      return [
        build(shape, (index) => {
          const [row, column] = index.slice(-2) as [number, number];
          const fromA = pick(stackA, index);
          const fromB = pick(stackB, index);
          let sum = 0;
          for (let i = 0; i < inner; i++) {
            const left = at(a!, [...fromA, ...(transposeA ? [i, row] : [row, i])]);
            const right = at(b!, [...fromB, ...(transposeB ? [column, i] : [i, column])]);
            sum += left * right;
          }
          return alpha * sum;
        }),
      ];
    },
  ),
  matmulBlockQuantized: typed<{ bits: 4 | 8; blockSize: number; rows: number; columns: number }>(
    ([x, codes, scales, zeros], { bits, blockSize, rows, columns }) => {
      const blocks = Math.ceil(columns / blockSize);
      const perByte = 8 / bits;
      const codeOf = (byte: number, place: number): number =>
        Math.floor(byte / 2 ** (bits * (place % perByte))) % 2 ** bits;
      const zeroBytes = Math.ceil(blocks / perByte);
      const weight = (row: number, column: number): number => {
        const block = Math.floor(column / blockSize);
        const inside = column % blockSize;
        const byte = at(codes!, [row, block, Math.floor(inside / perByte)]);
        const zero = zeros
          ? codeOf(zeros.data[row * zeroBytes + Math.floor(block / perByte)]!, block)
          : 2 ** (bits - 1);
        return (codeOf(byte, inside) - zero) * scales!.data[row * blocks + block]!;
      };
      return [
        build([...x!.shape.slice(0, -1), rows], (index) => {
          let sum = 0;
          for (let i = 0; i < columns; i++) {
            sum += at(x!, index.with(-1, i)) * weight(index.at(-1)!, i);
          }
          return sum;
        }),
      ];
    },
  ),
  matmulChannelQuantized: ([x, codes, scales]) => {
    const [inputs, outputs] = codes!.shape as [number, number];
    const rounded = along((vector) => {
      const step = Math.max(...vector.map(Math.abs), 1e-30) / 127;
      return vector.map((value) => halvesToEven(value / step) * step);
    })(x!, x!.shape.length - 1);
    return [
      build([...x!.shape.slice(0, -1), outputs], (index) => {
        const column = index.at(-1)!;
        let sum = 0;
        for (let i = 0; i < inputs; i++)
          sum += at(rounded, index.with(-1, i)) * at(codes!, [i, column]);
        return sum * scales!.data[column]!;
      }),
    ];
  },

  rotary: ([x, positions, cos, sin]) => {
    const half = cos!.shape[1]!;
    return [
      build(x!.shape, (index) => {
        const [batch, , time, feature] = index as [number, number, number, number];
        const own = at(x!, index);
        if (feature >= 2 * half) return own;
        const row = at(positions!, [batch, time]);
        const cosine = at(cos!, [row, feature % half]);
        const sine = at(sin!, [row, feature % half]);
        const isFirst = feature < half;
        const other = at(x!, index.with(3, isFirst ? feature + half : feature - half));
        return isFirst ? own * cosine - other * sine : own * cosine + other * sine;
      }),
    ];
  },

  conditional: typed<{ branches: readonly { scope: Scope; outputs: readonly Tensor[] }[] }>(
    ([condition], { branches }, { branch }) => {
      const taken = branches[condition!.data[0] !== 0 ? 0 : 1]!;
      return branch(taken.scope, taken.outputs);
    },
  ),

  conv2d: typed<Convolution>(([x, weight, bias], attributes, context) => {
    const [, perGroup, height, width] = weight!.shape as [number, number, number, number];
    const shape = outputShape(context);
    const outPerGroup = shape[1]! / attributes.groups;
    return [
      build(shape, ([n, channel, row, column]) => {
        const first = Math.floor(channel! / outPerGroup) * perGroup;
        let sum = bias ? bias.data[channel!]! : 0;
        for (let i = 0; i < height; i++) {
          for (let j = 0; j < width; j++) {
            const [r, s] = windowPosition([row!, column!], [i, j], attributes);
            if (r < 0 || s < 0 || r >= x!.shape[2]! || s >= x!.shape[3]!) continue;
            for (let c = 0; c < perGroup; c++) {
              sum += at(x!, [n!, first + c, r, s]) * at(weight!, [channel!, c, i, j]);
            }
          }
        }
        return sum;
      }),
    ];
  }),
  conv2dTranspose: typed<Convolution>(([x, weight], attributes, context) => {
    const [, perGroup, height, width] = weight!.shape as [number, number, number, number];
    const shape = outputShape(context);
    const data = new Float64Array(countOf(shape));
    const inPerGroup = x!.shape[1]! / attributes.groups;
    // What conv2d reads, its transpose writes.
    build(x!.shape, (index) => {
      const [n, channel, row, column] = index as [number, number, number, number];
      const first = Math.floor(channel / inPerGroup) * perGroup;
      for (let i = 0; i < height; i++) {
        for (let j = 0; j < width; j++) {
          const [r, s] = windowPosition([row, column], [i, j], attributes);
          if (r < 0 || s < 0 || r >= shape[2]! || s >= shape[3]!) continue;
          for (let c = 0; c < perGroup; c++) {
            data[offsetOf(shape, [n, first + c, r, s])]! +=
              at(x!, index) * at(weight!, [channel, c, i, j]);
          }
        }
      }
      return 0;
    });
    return [{ shape, data }];
  }),
  maxPool2d: typed<Window2d>(([x], attributes, context) => {
    const shape = outputShape(context);
    const found = maxInWindows(x!, attributes, shape);
    return [{ shape, data: Float64Array.from(found, (flat) => x!.data[flat]!) }];
  }),
  maxPool2dIndices: typed<Window2d>(([x], attributes, context) => {
    const shape = outputShape(context);
    return [{ shape, data: Float64Array.from(maxInWindows(x!, attributes, shape)) }];
  }),
  averagePool2d: typed<Window2d>(([x], { size, stride }, context) => [
    build(outputShape(context), ([n, c, row, column]) => {
      let sum = 0;
      for (let i = 0; i < size[0]; i++) {
        for (let j = 0; j < size[1]; j++) {
          sum += at(x!, [n!, c!, row! * stride[0] + i, column! * stride[1] + j]);
        }
      }
      return sum / (size[0] * size[1]);
    }),
  ]),
};
