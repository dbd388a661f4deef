/**
 * Generation: the decoding loop, sampling, speculative decoding, scoring.
 *
 * @module generate
 */
export { type Adaptation, type AdedOptions, createAdedDrafter } from "./aded/index.ts";
export {
  type ByteDistribution,
  type BytePrefillOptions,
  byteOutcomes,
  endOutcome,
} from "./bytes/byte-distribution.ts";
export { type ByteEnsembleOptions, createByteEnsemble } from "./bytes/byte-ensemble.ts";
export { type ByteTrie, createByteTrie, type TrieNode } from "./bytes/byte-trie.ts";
export {
  completeBytes,
  type GenerateBytesOptions,
  type GenerateBytesResult,
  type GeneratedByte,
  generateBytes,
} from "./bytes/generate-bytes.ts";
export { type ByteScore, type ScoreBytesOptions, scoreBytes } from "./bytes/score-bytes.ts";
export {
  openModelRows,
  type TokenRow,
  type TokenRows,
  type TokenTree,
} from "./bytes/token-rows.ts";
export { openWordBytes } from "./bytes/word-bytes.ts";
export {
  createDyspecDrafter,
  type DraftSource,
  type DyspecOptions,
  modelDraft,
  NgramModel,
  type NgramModelOptions,
} from "./dyspec/index.ts";
export * from "./exact-byte-probabilities/index.ts";
export { complete, generate } from "./generate.ts";
export {
  completeFrom,
  type GenerateFromOptions,
  type GenerateFromResult,
  generateFrom,
} from "./generate-from.ts";
export {
  type Branching,
  type BranchOrder,
  createLookaheadDrafter,
  type Lookahead,
  type LookaheadOptions,
} from "./lookahead/index.ts";
export {
  type DrafterOpener,
  type GenerateOptions as NamedGenerateOptions,
  type NamedGeneration,
  withNamedDrafters,
} from "./named-drafters.ts";
export { promptIds } from "./prompt.ts";
export type { LogitsProcessor, LogitsRow } from "./sampling/logits-processors.ts";
export { checkOptions, resolveMaxTokens, resolveSampling } from "./sampling/options.ts";
export { penalizeRepetition, type TokenCounts } from "./sampling/penalties.ts";
export {
  argmaxLogit,
  chooseToken,
  isGreedy,
  pickToken,
  type RowSampling,
  rowDistribution,
  rowRequest,
  type Sampling,
  type TokenDistribution,
  tokenDistribution,
  uniformFor,
} from "./sampling/sampler.ts";
export { createStopText, type StopText, type StopTextResult } from "./sampling/stop-text.ts";
export { type ScoreOptions, score } from "./score.ts";
export {
  type ContinuationScore,
  type ScoreContinuationsOptions,
  scoreContinuations,
} from "./score-continuations.ts";
export { type AutoDrafterOptions, createAutoDrafter } from "./speculative/auto.ts";
export { checkTree } from "./speculative/check-tree.ts";
export { createDrafter } from "./speculative/create-drafter.ts";
export { createDraftModelDrafter, type DraftModelOptions } from "./speculative/draft-model.ts";
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
} from "./speculative/drafter.ts";
export { loadDrafter, saveDrafter } from "./speculative/drafter-file.ts";
export {
  type DrafterChoice,
  type DrafterName,
  drafterChoices,
  drafterNames,
  drafterUnder,
  usesDraftModel,
} from "./speculative/drafter-names.ts";
export { type OpenDrafterOptions, openDrafter } from "./speculative/open-drafter.ts";
export {
  createPromptLookupDrafter,
  type PromptLookupOptions,
} from "./speculative/prompt-lookup.ts";
export type { DepthStatistics, DrafterShare, DraftStatistics } from "./speculative/statistics.ts";
export {
  type SampledTarget,
  type SyncSampledTarget,
  type Verification,
  verifyExactMatch,
  verifyRejectionSampling,
} from "./speculative/verify.ts";
export {
  createTemplate,
  createTokenRecyclingDrafter,
  type DraftTemplate,
  type TokenRecycling,
  type TokenRecyclingOptions,
} from "./token-recycling/index.ts";
export type {
  AttendedContext,
  Conversation,
  FinishReason,
  Generate,
  GeneratedContext,
  GeneratedToken,
  GenerateOptions,
  GenerateResult,
  Prompt,
  SamplingOptions,
  ScoredToken,
  ScoreResult,
  TokenConstraints,
  TokenOrigin,
} from "./types.ts";
