/** Which tokens of the vocabulary a text keeps. */
import { JetonError } from "../../../core/index.ts";

/** @throws JetonError `encoder-option-invalid` for anything but a positive whole number */
export function checkTerms(terms: number): void {
  if (Number.isSafeInteger(terms) && terms >= 1) return;
  throw new JetonError(`terms is ${terms}, expected a positive number`, {
    code: "encoder-option-invalid",
    details: { option: "terms", found: terms },
  });
}

/** The largest weights and their places; of equal ones the first. */
export function keepLargest(
  weights: Float32Array,
  count: number,
): { readonly ids: Uint32Array; readonly weights: Float32Array } {
  const order = Uint32Array.from(weights.keys());
  if (count === weights.length) return { ids: order, weights };
  order.sort((a, b) => weights[b]! - weights[a]! || a - b);
  const ids = order.slice(0, count).sort((a, b) => a - b);
  return { ids, weights: Float32Array.from(ids, (id) => weights[id]!) };
}
