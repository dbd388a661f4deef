/**
 * Context policies: which cached tokens each layer attends to, and the traced functions that they share.
 *
 * @module model/policy
 */
export { attendChosen, type ChosenRows } from "./attend-chosen.ts";
export {
  attendMasked,
  type MaskedAttention,
  type ScoredRows,
  scoreRotated,
} from "./attend-masked.ts";
export type {
  ChoosePrompt,
  ContextPolicy,
  CreatePolicyProgram,
  PassPlace,
  PassTensors,
  PolicyAttention,
  PolicyDrafting,
  PolicyInput,
  PolicyOptions,
  PolicyOutput,
  PolicyProgram,
  PolicyReference,
  PolicySizes,
  PolicyState,
} from "./context-policy.ts";
export {
  asCached,
  forGroups,
  inGroups,
  isWithin,
  largestPlaces,
  markLargest,
  never,
  nowhere,
  pickRows,
  type RowSource,
  scoreKeys,
  seenTokens,
} from "./pass-tensors.ts";
export { underContextPolicy } from "./policy-view.ts";
export { refuseScaledRotations } from "./scaled-rotations.ts";
