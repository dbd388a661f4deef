/** The gate of a gated feed-forward layer as one operator, whose gradient is cheaper than those of its two steps. */
import { shapesEqual } from "../dimension.ts";
import {
  apply,
  defineOperator,
  type OperatorDefinition,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { add, multiply, sigmoid, subtract } from "./elementwise.ts";

/** Second output: silu of the gate, which the gradient reads. */
const siluGateOperator: OperatorDefinition<null> = defineOperator({
  name: "siluGate",
  infer(inputs) {
    const [gate, x] = inputs;
    if (
      !gate!.dtype.includes("float") ||
      gate!.dtype !== x!.dtype ||
      !shapesEqual(gate!.shape, x!.shape)
    ) {
      throw shapeError("siluGate", inputs, "needs two float tensors of one type and shape");
    }
    return [gate!, gate!].map(({ dtype, shape }) => ({ dtype, shape }));
  },
  emit(emitter, [gate, x]) {
    const attributes = { alpha: { float: 1 } };
    const open = emitter.one("QuickGelu", [gate!], { attributes, domain: "com.microsoft" });
    return [emitter.one("Mul", [open, x!]), open];
  },
  vjp({ inputs: [gate, x], outputs: [gated, open] }, [g]) {
    // h = gate·s·x with s = sigmoid(gate):  dh/dgate = x·(s + gate·s·(1 - s)) = h + s·(x - h).
    const slope = add(gated!, multiply(sigmoid(gate!), subtract(x!, gated!)));
    return [multiply(g!, slope), multiply(g!, open!)];
  },
});

/**
 * silu(gate) · x, element by element (Shazeer, 2020).
 *
 * @param gate of the shape of `x`
 */
export function siluGate(gate: Tensor, x: Tensor): Tensor {
  return apply(siluGateOperator, [gate, x], null)[0]!;
}
