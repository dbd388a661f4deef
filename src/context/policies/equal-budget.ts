/** All policies at one budget of attended tokens, to be compared with each other. */
import { JetonError } from "../../core/index.ts";

const sinks = 16;
const unit = 16;

/**
 * Policies by their line for `parseContextPolicy`, each of whose tokens attends to at most `budget` others in a layer and
 * head: the last tokens alone, sinks and a window, blocks, token-select, longheads, gemfilter, SnapKV, H2O, and the
 * `budget` best keys of each head, which no method can know beforehand. Two that attend to everything stand beside them: `full`
 * and `ntk`.
 *
 * @param budget tokens, a multiple of 16, at least 64
 * @throws JetonError `option-invalid`
 */
export function policiesOfBudget(budget: number): string[] {
  if (!(Number.isSafeInteger(budget) && budget >= 4 * unit && budget % unit === 0)) {
    const expected = `a multiple of ${unit}, at least ${4 * unit}`;
    throw new JetonError(`budget is ${budget}, expected ${expected}`, {
      code: "option-invalid",
      details: { option: "budget", found: budget, expected },
    });
  }
  // Latest tokens take a third, which is more than a question needs.
  const local = unit * Math.max(1, Math.round(budget / 3 / unit));
  const chosen = budget - sinks - local;
  return [
    "full",
    "ntk:scale=8",
    `truncate:k=${budget}`,
    `sinks-window:sinks=${sinks},window=${budget - sinks}`,
    `block-selection:init=${sinks},local=${local},block=${unit},blocks=${chosen / unit}`,
    `token-select:init=${sinks},local=${local},k=${chosen}`,
    `longheads:chunk=${unit},length=${budget}`,
    `gemfilter:k=${budget}`,
    `snapkv:k=${budget},window=${2 * unit}`,
    `h2o:k=${budget},recent=${2 * unit}`,
    `top-k:k=${budget}`,
  ];
}
