/**
 * Context policies by name, and the baselines that systems are compared with.
 *
 * @module context/policies
 */
export {
  type BlockSelectionOptions,
  blockSelection,
  blockSelectionPolicy,
} from "./block-selection.ts";
export {
  definePolicy,
  type NamedPolicy,
  optionError,
  type PolicyDefinition,
  type PolicyOption,
  type PolicyOptionTable,
  type PolicyOptionValues,
} from "./define-policy.ts";
export { policiesOfBudget } from "./equal-budget.ts";
export { fullAttention, fullAttentionPolicy } from "./full-attention.ts";
export { type H2oOptions, h2o, h2oPolicy } from "./h2o.ts";
export {
  contextPolicies,
  createContextPolicy,
  formatContextPolicy,
  parseContextPolicy,
} from "./named-policies.ts";
export { type NtkRopeOptions, ntkRope, ntkRopePolicy } from "./ntk-rope.ts";
export { type SinksWindowOptions, sinksWindow, sinksWindowPolicy } from "./sinks-window.ts";
export { type SnapKvOptions, snapKv, snapKvPolicy } from "./snapkv.ts";
export {
  type TopKAttentionOptions,
  topKAttention,
  topKAttentionPolicy,
} from "./top-k-attention.ts";
export { type TruncateOptions, truncate, truncatePolicy } from "./truncate.ts";
