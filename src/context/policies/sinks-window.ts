/**
 * Sinks and a window (StreamingLLM, Xiao et al., 2024): every token sees the first ones of the text and the
 * latest ones, at positions that are renumbered for each.
 */
import {
  attendChosen,
  type ContextPolicy,
  type PolicyOptions,
  type PolicyProgram,
} from "../../model/index.ts";
import {
  add,
  and,
  broadcastTo,
  concat,
  greaterOrEqual,
  lessOrEqual,
  range,
  reshape,
  subtract,
} from "../../tensor/index.ts";
import { definePolicy, type NamedPolicy, type PolicyOptionValues } from "./define-policy.ts";
import { rowByRow, rowsWithin } from "./row-by-row.ts";

const options = {
  sinks: { kind: "integer", default: 4, min: 0, help: "first tokens that stay visible" },
  window: { kind: "integer", default: 512, min: 1, help: "latest tokens that are visible" },
  selfInWindow: {
    kind: "flag",
    default: true,
    help: "whether the window counts the token itself, else it lies before it",
  },
} as const;

/** Options of `sinksWindow`. */
export type SinksWindowOptions = Partial<PolicyOptionValues<typeof options>>;

/** The policy by its name. */
export const sinksWindowPolicy: NamedPolicy = definePolicy({
  name: "sinks-window",
  summary: "the first tokens and the latest ones, renumbered",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
});

/** Attention to `sinks` first tokens (default 4) and the `window` latest ones (default 512). */
export function sinksWindow(given: SinksWindowOptions = {}): ContextPolicy {
  return sinksWindowPolicy.create(given as PolicyOptions);
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  const { sinks, window, selfInWindow } = given as PolicyOptionValues<typeof options>;
  const latest = selfInWindow ? window : window + 1;
  const budget = sinks + latest;
  return {
    attention: {
      keys: "raw",
      positions: budget,
      maxRows: () => rowsWithin(budget),
      attend(input) {
        const { places: own, time } = input.pass;
        const shape = [time, 1, budget] as const;
        const at = reshape(own, [time, 1]);
        const first = broadcastTo(reshape(range(sinks), [1, sinks]), [time, sinks]);
        const last = add(subtract(at, latest - 1), reshape(range(latest), [1, latest]));
        const places = sinks === 0 ? last : concat([first, last], 1);
        // Sinks that the window holds already are listed there.
        const isSink = lessOrEqual(first, subtract(at, latest));
        const valid = greaterOrEqual(last, 0);
        const all = sinks === 0 ? valid : concat([isSink, valid], 1);
        return attendChosen(rowByRow(input), {
          places: reshape(places, shape),
          valid: reshape(and(all, lessOrEqual(places, at)), shape),
        });
      },
    },
  };
}
