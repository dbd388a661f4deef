/** Values of the reference and how their elements are read and made. */
import type { Dimension } from "../dimension.ts";
import type { GraphNode, Scope, Tensor } from "../graph.ts";

/** Elements of any type in row-major order; booleans are 0 and 1. */
export interface ReferenceValue {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export interface ReferenceContext {
  size(dimension: Dimension): number;
  branch(scope: Scope, outputs: readonly Tensor[]): ReferenceValue[];
  readonly node: GraphNode;
}

export type ReferenceOperator = (
  inputs: readonly ReferenceValue[],
  attributes: never,
  context: ReferenceContext,
) => ReferenceValue[];

export function scalar(value: number): ReferenceValue {
  return { shape: [], data: Float64Array.of(value) };
}

export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Makes a value from a function of the indices. The array of indices is reused: do not keep it. */
export function build(
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

export function offsetOf(shape: readonly number[], index: readonly number[]): number {
  let offset = 0;
  for (const [axis, length] of shape.entries()) offset = offset * length + index[axis]!;
  return offset;
}

export function at(x: ReferenceValue, index: readonly number[]): number {
  return x.data[offsetOf(x.shape, index)]!;
}

/** The element of a value that is broadcast to more or longer axes. */
export function atBroadcast(x: ReferenceValue, index: readonly number[]): number {
  const lead = index.length - x.shape.length;
  return at(
    x,
    x.shape.map((length, axis) => (length === 1 ? 0 : index[axis + lead]!)),
  );
}

export function broadcast(...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const lengths = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return lengths.find((length) => length !== 1) ?? 1;
  });
}

export function typed<Attributes>(
  operator: (
    inputs: readonly ReferenceValue[],
    attributes: Attributes,
    context: ReferenceContext,
  ) => ReferenceValue[],
): ReferenceOperator {
  return operator as unknown as ReferenceOperator;
}

/** Shape of the (only or first) output, in numbers. */
export function outputShape({ node, size }: ReferenceContext): number[] {
  return node.outputs[0]!.shape.map(size);
}
