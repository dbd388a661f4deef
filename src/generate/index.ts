/**
 * Generation: the decoding loop, samplers, scoring.
 *
 * @module generate
 */
export { type Adaptation, type AdedOptions, createAdedDrafter } from "./aded/index.ts";
export { type AutoDrafterOptions, createAutoDrafter } from "./auto.ts";
export { createDraftModelDrafter, type DraftModelOptions } from "./draft-model.ts";
export {
  type DraftContext,
  type Drafter,
  type DraftOutcome,
  type DraftRequest,
  type DraftSequence,
  type DraftTree,
  type DraftVerdict,
  draftRandom,
  emptyTree,
  type VerifiedRows,
} from "./drafter.ts";
export { loadDrafter, saveDrafter } from "./drafter-file.ts";
export {
  type DrafterChoice,
  type DrafterName,
  drafterChoices,
  drafterNames,
} from "./drafter-names.ts";
export {
  createDyspecDrafter,
  type DraftSource,
  type DyspecOptions,
  modelDraft,
  NgramModel,
  type NgramModelOptions,
} from "./dyspec/index.ts";
export { complete, generate } from "./generate.ts";
export {
  type Branching,
  type BranchOrder,
  createLookahead,
  type Lookahead,
  type LookaheadOptions,
} from "./lookahead/index.ts";
export { type OpenDrafterOptions, openDrafter } from "./open-drafter.ts";
export { checkOptions, promptIds, resolveMaxTokens, resolveSampling } from "./options.ts";
export { createPromptLookup, type PromptLookupOptions } from "./prompt-lookup.ts";
export {
  chooseToken,
  isGreedy,
  largestLogit,
  penalizeRepetition,
  pickToken,
  rowDistribution,
  rowRequest,
  type Sampling,
  type TokenDistribution,
  tokenDistribution,
  uniformFor,
} from "./sampler.ts";
export { type ScoreOptions, score } from "./score.ts";
export type { DepthStatistics, DrafterShare, DraftStatistics } from "./statistics.ts";
export { createStopText, type StopText, type StopTextResult } from "./stop-text.ts";
export {
  createTemplate,
  createTokenRecycling,
  type DraftTemplate,
  type TokenRecycling,
  type TokenRecyclingOptions,
} from "./token-recycling/index.ts";
export type {
  FinishReason,
  Generate,
  GeneratedToken,
  GenerateOptions,
  GenerateResult,
  Prompt,
  SamplingOptions,
  ScoredToken,
  ScoreResult,
  TokenOrigin,
} from "./types.ts";
export {
  checkTree,
  type SampledTarget,
  type Verification,
  verifyExactMatch,
  verifyRejectionSampling,
} from "./verify.ts";
