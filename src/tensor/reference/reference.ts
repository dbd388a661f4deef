/**
 * Evaluates a traced graph in float64, slowly and plainly: the oracle of every fast path.
 *
 * One function for each operator, written from its definition and not from its emission. Integers and
 * booleans are exact in float64; casts between float types keep all digits. After every operator the
 * shape of the result is compared with the one that the shape rule promised.
 */
import { JetonError } from "../../core/index.ts";
import { type Dimension, evaluateDimension, formatShape } from "../dimension.ts";
import { type Graph, leafName, reachableNodes, type Scope, type Tensor } from "../graph.ts";
import { elementwiseReference } from "./elementwise.ts";
import { fourierReference } from "./fourier.ts";
import { imageReference } from "./images.ts";
import { productReference } from "./products.ts";
import { reductionReference } from "./reductions.ts";
import { shapeReference } from "./shapes.ts";
import {
  type ReferenceContext,
  type ReferenceOperator,
  type ReferenceValue,
  scalar,
} from "./values.ts";

/** What a run of the reference takes: elements with a shape, or a number for a scalar. */
export type ReferenceInput =
  | { readonly data: ArrayLike<number>; readonly shape: readonly number[] }
  | number
  | boolean;

const referenceOperators: Readonly<Record<string, ReferenceOperator>> = {
  ...elementwiseReference,
  ...reductionReference,
  ...shapeReference,
  ...productReference,
  ...imageReference,
  ...fourierReference,
};

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
        // Shapes of a conditional depend on the branch taken and are not checked.
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
