/** Optional parts of a graph: computed only where a boolean input says so. */

import type { Dimension } from "../dimension.ts";
import {
  apply,
  defineOperator,
  inBranch,
  type OperatorDefinition,
  reachableNodes,
  type Scope,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { fill } from "./constant.ts";

interface ConditionalAttributes {
  branches: readonly { scope: Scope; outputs: readonly Tensor[] }[];
}

const conditionalOperator: OperatorDefinition<ConditionalAttributes> = defineOperator({
  name: "conditional",
  infer: (_inputs, { branches }) =>
    branches[0]!.outputs.map(({ dtype, shape }) => ({ dtype, shape })),
  emit(emitter, [condition], { branches }) {
    const [whenTrue, whenFalse] = branches.map(({ scope, outputs }, index) =>
      emitter.branch(index === 0 ? "then" : "else", scope, outputs),
    );
    return emitter.node("If", [condition!], {
      attributes: { then_branch: { graph: whenTrue! }, else_branch: { graph: whenFalse! } },
      outputs: branches[0]!.outputs.length,
    });
  },
});

/** Outer tensors that the nodes of a branch use. */
function capturedTensors(scope: Scope, outputs: readonly Tensor[]): Tensor[] {
  const captured = new Set<Tensor>();
  for (const output of outputs) if (output.node.scope !== scope) captured.add(output);
  for (const node of reachableNodes(outputs, scope)) {
    for (const input of node.inputs) if (input.node.scope !== scope) captured.add(input);
  }
  return [...captured];
}

/**
 * Computes `whenTrue` only where the bool `condition` of one element holds; otherwise `whenFalse`, whose
 * results must have the same names, element types and ranks. Shapes are taken from `whenTrue`: where
 * the other branch gives others, nothing that depends on them may be computed from the results.
 * Becomes an ONNX `If`; not differentiable.
 */
export function conditional<Names extends string>(
  condition: Tensor,
  whenTrue: () => Readonly<Record<Names, Tensor>>,
  whenFalse: () => Readonly<Record<Names, Tensor>>,
): Readonly<Record<Names, Tensor>> {
  if (condition.dtype !== "bool" || condition.shape.some((size) => size !== 1)) {
    throw shapeError("conditional", [condition], "the condition is one bool");
  }
  const first = inBranch(whenTrue);
  const names = Object.keys(first.result) as Names[];
  const second = inBranch(whenFalse);
  const branches = [first, second].map(({ scope, result }) => ({
    scope,
    outputs: names.map((name) => result[name]),
  }));
  for (const name of names) {
    const [taken, other] = [first.result[name], second.result[name]];
    if (
      other === undefined ||
      taken.dtype !== other.dtype ||
      taken.shape.length !== other.shape.length
    ) {
      throw shapeError(
        "conditional",
        other === undefined ? [taken] : [taken, other],
        `both branches give "${name}", of one element type and rank`,
      );
    }
  }
  const captured = branches.flatMap(({ scope, outputs }) => capturedTensors(scope, outputs));
  const inputs = [condition, ...new Set(captured)];
  const outputs = apply(conditionalOperator, inputs, { branches });
  return Object.fromEntries(names.map((name, index) => [name, outputs[index]!])) as Record<
    Names,
    Tensor
  >;
}

/**
 * A part that is computed only on request; where it is not, each result is a single zero of the same
 * rank, which the caller ignores.
 */
export function optional<Names extends string>(
  condition: Tensor,
  body: () => Readonly<Record<Names, Tensor>>,
): Readonly<Record<Names, Tensor>> {
  return otherwiseZero(condition, body, (shape) => shape.map(() => 1));
}

/** A part that is computed only on request; where it is not, each result is zeros of its shape. */
export function optionalTerm<Names extends string>(
  condition: Tensor,
  body: () => Readonly<Record<Names, Tensor>>,
): Readonly<Record<Names, Tensor>> {
  return otherwiseZero(condition, body, (shape) => shape);
}

function otherwiseZero<Names extends string>(
  condition: Tensor,
  body: () => Readonly<Record<Names, Tensor>>,
  zeroShape: (shape: readonly Dimension[]) => readonly Dimension[],
): Readonly<Record<Names, Tensor>> {
  const types: [Names, Tensor][] = [];
  return conditional(
    condition,
    () => {
      const result = body();
      types.push(...(Object.entries(result) as [Names, Tensor][]));
      return result;
    },
    () =>
      Object.fromEntries(
        types.map(([name, { dtype, shape }]) => [name, fill(zeroShape(shape), 0, dtype)]),
      ) as Record<Names, Tensor>,
  );
}
