/**
 * The largest attention weights of each head and token at true positions: an upper bound for methods that choose
 * tokens within the trained window. It saves nothing, since all weights must be known first.
 */
import {
  attendMasked,
  type ContextPolicy,
  markLargest,
  never,
  type PolicyOptions,
  type PolicyProgram,
  scoreRotated,
} from "../../model/index.ts";
import { greater, where } from "../../tensor/index.ts";
import { definePolicy, type NamedPolicy, type PolicyOptionValues } from "./define-policy.ts";

const options = {
  k: { kind: "integer", default: 1024, min: 1, help: "keys that each head and token attends to" },
} as const;

/** Options of `topKAttention`. */
export type TopKAttentionOptions = Partial<PolicyOptionValues<typeof options>>;

/** The policy by its name. */
export const topKAttentionPolicy: NamedPolicy = definePolicy({
  name: "top-k",
  summary: "the keys of largest weight, per head and token: an upper bound that saves nothing",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
});

/** Attention to the `k` keys of largest weight (default 1,024). */
export function topKAttention(given: TopKAttentionOptions = {}): ContextPolicy {
  return topKAttentionPolicy.create(given as PolicyOptions);
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  const { k } = given as PolicyOptionValues<typeof options>;
  return {
    attention: {
      keys: "rotated",
      sizes: { best: k },
      attend(input) {
        const scored = scoreRotated(input);
        const listed = markLargest(where(scored.visible, scored.scores, never), "best");
        return attendMasked(input, scored, greater(listed, 0.5));
      },
    },
  };
}
