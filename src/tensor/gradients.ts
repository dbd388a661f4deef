/**
 * Reverse-mode differentiation of a traced graph, symbolically: the gradients are more nodes.
 */
import { JetonError } from "../core/index.ts";
import { formatShape } from "./dimension.ts";
import { deriving, type GraphNode, reachableNodes, type Tensor } from "./graph.ts";
import { fill } from "./operators/constant.ts";
import { add } from "./operators/elementwise.ts";

/**
 * Gradients of a scalar with respect to any tensors of the same trace: parameters, inputs,
 * embeddings, or values in between.
 *
 * @param loss float scalar
 * @param targets what to differentiate with respect to
 * @returns one gradient for each target, of its shape; zeros where the loss does not depend on it
 */
export function gradients(loss: Tensor, targets: readonly Tensor[]): Tensor[] {
  if (loss.shape.length !== 0 || !loss.dtype.startsWith("float")) {
    throw new JetonError(
      `the loss is a float scalar, not ${loss.dtype}${formatShape(loss.shape)}`,
      { code: "tensor-loss-not-scalar", details: { shape: loss.shape } },
    );
  }
  return deriving(() => derive(loss, targets));
}

function derive(loss: Tensor, targets: readonly Tensor[]): Tensor[] {
  const nodes = reachableNodes([loss]);
  const wanted = new Set(targets);
  // Only nodes on a path from a target to the loss carry gradients.
  const carrying = new Set<GraphNode>();
  for (const node of nodes) {
    if (node.outputs.some((output) => wanted.has(output))) carrying.add(node);
    else if (node.inputs.some((input) => carrying.has(input.node))) carrying.add(node);
  }
  const flowing = new Map<Tensor, Tensor>([[loss, fill([], 1, loss.dtype)]]);
  for (const node of nodes.reverse()) {
    if (!carrying.has(node) || !node.inputs.some((input) => carrying.has(input.node))) continue;
    const incoming = node.outputs.map((output) => flowing.get(output));
    if (incoming.every((gradient) => gradient === undefined)) continue;
    const rule = node.operator.vjp;
    if (!rule) {
      throw new JetonError(`${node.operator.name} is not differentiable`, {
        code: "tensor-not-differentiable",
        details: { operator: node.operator.name, label: node.label },
      });
    }
    const outgoing = rule.call(node.operator, node, incoming, node.attributes as never);
    for (const [index, gradient] of outgoing.entries()) {
      const input = node.inputs[index]!;
      if (!gradient || !carrying.has(input.node)) continue;
      const known = flowing.get(input);
      flowing.set(input, known ? add(known, gradient) : gradient);
    }
  }
  return targets.map((target) => flowing.get(target) ?? fill(target.shape, 0, target.dtype));
}
