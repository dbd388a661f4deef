/** Losses over logits. */
import { shapesEqual } from "../dimension.ts";
import {
  apply,
  defineOperator,
  type OperatorDefinition,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { cast, divide, equal, exp, maximum, multiply, negate, not, where } from "./elementwise.ts";
import { scatterAdd } from "./index-operators.ts";
import { mean, sum } from "./reduce.ts";
import { reshape } from "./shape.ts";

/**
 * Second output: the logarithms of all probabilities, from which the gradient is computed, so that
 * the softmax is computed once.
 */
const crossEntropyOperator: OperatorDefinition<null> = defineOperator({
  name: "crossEntropyRows",
  infer(inputs) {
    const [logits, targets] = inputs;
    const rows = logits!.shape.slice(0, -1);
    if (
      logits!.shape.length === 0 ||
      targets!.dtype !== "int32" ||
      !shapesEqual(rows, targets!.shape)
    ) {
      throw shapeError(
        "crossEntropy",
        inputs,
        "needs logits [..., classes] and int32 targets [...]",
      );
    }
    return [{ dtype: logits!.dtype, shape: rows }, logits!];
  },
  emit(emitter, [logits, targets]) {
    const all = emitter.one("LogSoftmax", [logits!], { attributes: { axis: -1 } });
    const at = emitter.one("Unsqueeze", [targets!, emitter.integers([-1])]);
    const chosen = emitter.one("GatherElements", [all, at], { attributes: { axis: -1 } });
    const rows = emitter.one("Squeeze", [chosen, emitter.integers([-1])]);
    return [emitter.one("Neg", [rows]), all];
  },
  vjp({ inputs: [, targets], outputs: [, logProbabilities] }, [g]) {
    // Softmax minus one at the target, for each row as much as its loss counts.
    const share = reshape(g!, [...g!.shape, 1]);
    const spread = multiply(exp(logProbabilities!), share);
    const at = reshape(targets!, [...targets!.shape, 1]);
    return [scatterAdd(spread, at, negate(share), -1), undefined];
  },
});

/**
 * -log p(target) of each row, computed stably.
 *
 * @param logits `[..., classes]`
 * @param targets int32 `[...]`, each in range
 * @returns `[...]` in nats
 */
export function crossEntropyRows(logits: Tensor, targets: Tensor): Tensor {
  return apply(crossEntropyOperator, [logits, targets], null)[0]!;
}

/**
 * Mean of -log p(target) over all rows but those whose target is `ignoreIndex`.
 *
 * @param logits `[..., classes]`
 * @param targets int32 `[...]`
 * @returns a scalar in nats; 0 where every row is ignored
 */
export function crossEntropy(
  logits: Tensor,
  targets: Tensor,
  options: { ignoreIndex?: number } = {},
): Tensor {
  const { ignoreIndex } = options;
  if (ignoreIndex === undefined) return mean(crossEntropyRows(logits, targets));
  const isIgnored = equal(targets, ignoreIndex);
  const rows = crossEntropyRows(logits, where(isIgnored, 0, targets));
  const counts = cast(not(isIgnored), logits.dtype);
  return divide(sum(multiply(rows, counts)), maximum(sum(counts), 1));
}
