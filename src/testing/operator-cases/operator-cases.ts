/** Cases of every operator: run through the reference, ONNX Runtime and finite differences. */
import { type Dimension, evaluateDimension, type TensorValueData } from "../../tensor/index.ts";
import { elementwiseCases } from "./elementwise-cases.ts";
import { fourierCases } from "./fourier-cases.ts";
import { gatherCases } from "./gather-cases.ts";
import { productCases } from "./product-cases.ts";
import type { OperatorCase, OperatorExample } from "./random-example.ts";
import { reductionCases } from "./reduction-cases.ts";
import { shapeCases } from "./shape-cases.ts";

/** Examples of every operator (but `conditional`, whose tests stand alone). */
export const operatorCases: readonly OperatorCase[] = [
  ...elementwiseCases,
  ...reductionCases,
  ...shapeCases,
  ...gatherCases,
  ...productCases,
  ...fourierCases,
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
): Record<string, { data: TensorValueData; shape: readonly number[] }> {
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
