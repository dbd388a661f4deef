/** Checks of the numbers that a forward pass is asked with. */
import { JetonError } from "../../../core/index.ts";

/** @throws JetonError `model-context-exceeded` for more tokens than the model takes */
export function checkLength({ length }: ArrayLike<number>, contextLength: number): void {
  if (length <= contextLength) return;
  throw new JetonError(`a text of ${length} tokens exceeds the context of ${contextLength}`, {
    code: "model-context-exceeded",
    details: { length, contextLength },
  });
}

/** @throws JetonError `model-token-unknown` for values that are no whole numbers below `limit` */
export function checkIndices(what: string, values: ArrayLike<number>, limit: number): void {
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!;
    if (Number.isInteger(value) && value >= 0 && value < limit) continue;
    throw new JetonError(`there is no ${what} ${value}, expected 0 to ${limit - 1}`, {
      code: "model-token-unknown",
      details: { what, found: value, limit },
    });
  }
}
