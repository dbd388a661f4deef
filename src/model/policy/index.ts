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
  InsertedToken,
  PassPlace,
  PassTensors,
  PolicyAttention,
  PolicyDrafting,
  PolicyInput,
  PolicyOptions,
  PolicyOutput,
  PolicyPassRules,
  PolicyProgram,
  PolicyReference,
  PolicySizes,
  PolicyState,
} from "./context-policy.ts";
export {
  asCached,
  cappedScores,
  forGroups,
  inGroups,
  isWithin,
  largestPlaces,
  lastGroup,
  markLargest,
  markPlaces,
  never,
  nowhere,
  pickRows,
  type RowSource,
  scoreKeys,
  seenTokens,
} from "./pass-tensors.ts";
export { underContextPolicy } from "./policy-view.ts";
export { rowByRow, rowsWithin } from "./row-by-row.ts";
export { refuseLearnedPositions, refuseScaledRotations } from "./scaled-rotations.ts";
