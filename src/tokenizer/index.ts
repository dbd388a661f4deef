/**
 * Text ⇄ ids: tokenizers of every published family, loaded as they lie on disk.
 *
 * @module tokenizer
 */
export type { AddedToken } from "./added-tokens.ts";
export {
  type ChatMessage,
  type ChatTokenizer,
  hasChatTemplate,
  type RenderChatOptions,
  renderChat,
} from "./chat-template.ts";
export {
  type CategoryShare,
  type InferMixtureOptions,
  type InferredMixture,
  inferMixture,
  loadMergeList,
  type MergeList,
  type MixtureCategory,
  readMergeList,
  readSampleFolder,
} from "./data-mixture-inference/index.ts";
export { bytesOfToken, readByteToken } from "./decoders/decoders.ts";
export { byT5TokenizerFiles } from "./formats/byt5-tokenizer.ts";
export { type LoadTokenizerOptions, loadTokenizer } from "./formats/load-tokenizer.ts";
export { readSentencePieceModel } from "./formats/sentencepiece-model.ts";
export {
  readTiktokenRanks,
  type TiktokenEncoding,
  tiktokenEncodings,
} from "./formats/tiktoken-ranks.ts";
export {
  copyTokenizer,
  findTokenizerFiles,
  type TokenizerFile,
} from "./formats/tokenizer-files.ts";
export {
  readTokenizerSettings,
  type SettingsFiles,
  type TokenizerSettings,
} from "./formats/tokenizer-settings.ts";
export {
  type TrainedLibTokenizer,
  type TrainLibTokenizerOptions,
  trainLibTokenizer,
} from "./lib-tokenizer/index.ts";
export {
  createTokenizerPool,
  type TokenizerPool,
  type TokenizerPoolOptions,
} from "./pool/tokenizer-pool.ts";
export { type KnownPattern, knownPatterns } from "./pre-tokenizers/scanners.ts";
export { createTokenTexts, type DescribeToken, type TokenText } from "./token-text.ts";
export { assembleTokenizer, createTokenizer } from "./tokenizer.ts";
export type {
  DecodeOptions,
  EncodeIdsOptions,
  EncodeOptions,
  Encoding,
  SpecialTextOptions,
  StreamDecoder,
  Tokenizer,
} from "./tokenizer-interface.ts";
export {
  type TrainableKind,
  type TrainTokenizerOptions,
  type TrainTokenizerProgress,
  trainableKinds,
  trainTokenizer,
} from "./training/train-any-tokenizer.ts";
export { saveTokenizer } from "./training/train-tokenizer.ts";
export type { TrainedTokenizer } from "./training/training-options.ts";
