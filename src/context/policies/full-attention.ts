/** Attention to all tokens, at true positions: what other policies are compared with, also beyond the trained context. */
import type { ContextPolicy, PolicyProgram } from "../../model/index.ts";
import { definePolicy, type NamedPolicy } from "./define-policy.ts";

/** The policy by its name. */
export const fullAttentionPolicy: NamedPolicy = definePolicy({
  name: "full",
  summary: "all tokens at true positions, as without a policy",
  module: import.meta.url,
  createProgram: createPolicy,
  options: {},
  showsAttended: false,
});

/** Attention to all tokens, of texts beyond the trained context too. */
export function fullAttention(): ContextPolicy {
  return fullAttentionPolicy.create({});
}

/** The policy's program: the model's own. */
export function createPolicy(): PolicyProgram {
  return {};
}
