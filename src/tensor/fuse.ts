/** Neighbouring nodes that one kernel computes together. */
import { shapesEqual } from "./dimension.ts";
import type { GraphNode } from "./graph.ts";

/**
 * Residual sums that the norm after them may compute along: a kernel gives both results. By norm.
 *
 * @param nodes of one scope, in order of creation; a sum is left out where another node uses it before
 *   the norm
 */
export function sumsBeforeNorms(nodes: readonly GraphNode[]): Map<GraphNode, GraphNode> {
  const first = new Map<GraphNode, GraphNode>();
  for (const node of nodes) {
    for (const { node: source } of node.inputs) if (!first.has(source)) first.set(source, node);
  }
  const sums = new Map<GraphNode, GraphNode>();
  for (const norm of nodes) {
    if (norm.operator.name !== "rmsNorm") continue;
    const [x] = norm.inputs;
    const sum = x!.node;
    const [a, b] = sum.inputs;
    if (
      sum.operator.name === "add" &&
      sum.scope === norm.scope &&
      first.get(sum) === norm &&
      norm.inputs[1]!.node !== sum &&
      x!.dtype === "float32" &&
      // Types and axes that the kernel supports.
      (x!.shape.length === 2 || x!.shape.length === 3) &&
      shapesEqual(a!.shape, x!.shape) &&
      shapesEqual(b!.shape, x!.shape)
    ) {
      sums.set(norm, sum);
    }
  }
  return sums;
}
