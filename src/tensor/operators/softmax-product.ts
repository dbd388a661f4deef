/** Attention's mixing of values as one operator, whose gradient is cheaper than those of its two steps. */
import { shapesEqual } from "../dimension.ts";
import {
  apply,
  defineOperator,
  type OperatorDefinition,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { multiply, subtract } from "./elementwise.ts";
import { matmul } from "./matmul.ts";
import { sum } from "./reduce.ts";

/** Second output: the weights, which the gradient reads. */
const softmaxProductOperator: OperatorDefinition<null> = defineOperator({
  name: "softmaxProduct",
  infer(inputs) {
    const [scores, values] = inputs;
    const [stack, rows] = [scores!.shape.slice(0, -2), scores!.shape.at(-2)];
    if (
      scores!.shape.length < 2 ||
      scores!.dtype !== values!.dtype ||
      !shapesEqual(values!.shape.slice(0, -1), [...stack, scores!.shape.at(-1)!])
    ) {
      throw shapeError(
        "softmaxProduct",
        inputs,
        "needs scores [..., rows, columns] and values [..., columns, width]",
      );
    }
    const mixed = { dtype: scores!.dtype, shape: [...stack, rows!, values!.shape.at(-1)!] };
    return [mixed, { dtype: scores!.dtype, shape: scores!.shape }];
  },
  emit(emitter, [scores, values]) {
    const weights = emitter.one("Softmax", [scores!], { attributes: { axis: -1 } });
    return [emitter.one("MatMul", [weights, values!]), weights];
  },
  vjp({ inputs: [, values], outputs: [mixed, weights] }, [g]) {
    const forWeights = matmul(g!, values!, { transposeB: true });
    // A row's weights times their gradients sum to its result times that one's: as wide as a value, not as
    // long as the text (Dao et al., 2022).
    const inner = sum(multiply(g!, mixed!), { axes: [-1], keepAxes: true });
    return [
      multiply(weights!, subtract(forWeights, inner)),
      matmul(weights!, g!, { transposeA: true }),
    ];
  },
});

/**
 * softmax(scores) · values over the last axis of the scores.
 *
 * @param scores `[..., rows, columns]`
 * @param values `[..., columns, width]`, the same leading axes
 * @returns `[..., rows, width]`
 */
export function softmaxProduct(scores: Tensor, values: Tensor): Tensor {
  return apply(softmaxProductOperator, [scores, values], null)[0]!;
}
