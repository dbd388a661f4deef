/**
 * The vocabulary as something to choose: models moved to other tokenizers.
 *
 * @module vocabulary
 */
export { lexicalOverlap, meanOfSubtokens, mixtureMethod, randomRows } from "./baselines.ts";
export * from "./dynamic-tokenization/index.ts";
export { type FocusOptions, focus } from "./focus.ts";
export {
  type Hypernetwork,
  type HypernetworkConfig,
  hypernetworkConfig,
  type OpenPredictorOptions,
  openPredictor,
  type Predictor,
  spellTokens,
} from "./hypernetwork.ts";
export {
  readHypernetwork,
  type WriteHypernetworkOptions,
  writeHypernetwork,
} from "./hypernetwork-file.ts";
export {
  mixTables,
  type TokenMixture,
  type UnknownRows,
  type VocabularyMixture,
  type VocabularyTables,
} from "./mixture.ts";
export { type NearRow, nearestRows } from "./nearest-rows.ts";
export { type NearestTokensOptions, nearestTokens } from "./nearest-tokens.ts";
export { readParallelText, readTexts, type SentencePair } from "./read-text.ts";
export { scoreWithTables } from "./score-with-tables.ts";
export { matchSpecialTokens } from "./special-tokens.ts";
export type { CutText, CutTexts, TextCutter } from "./text-cutter.ts";
export {
  decompose,
  readTokenForms,
  type TokenForms,
  type TokenStyle,
  textOfForm,
} from "./token-forms.ts";
export * from "./trans-tokenization/index.ts";
export {
  type PredictOptions,
  predictTables,
  readSource,
  type SourceModel,
  type TransferMethod,
  type TransferOptions,
  type Transferred,
  type TransferTask,
  transfer,
} from "./transfer.ts";
export { type ModelFiles, readModelFiles, withTables } from "./whole-model.ts";
export * from "./zett/index.ts";
