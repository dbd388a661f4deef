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
export { bytesOfToken, readByteToken } from "./decoders.ts";
export {
  type TrainedLibTokenizer,
  type TrainLibTokenizerOptions,
  trainLibTokenizer,
} from "./lib-tokenizer/index.ts";
export { type LoadTokenizerOptions, loadTokenizer } from "./load-tokenizer.ts";
export { type KnownPattern, knownPatterns } from "./scanners.ts";
export { readSentencePieceModel } from "./sentencepiece-model.ts";
export { readTiktokenRanks, type TiktokenEncoding, tiktokenEncodings } from "./tiktoken-ranks.ts";
export {
  assembleTokenizer,
  createTokenizer,
  type DecodeOptions,
  type EncodeIdsOptions,
  type EncodeOptions,
  type Encoding,
  type SpecialTextOptions,
  type StreamDecoder,
  type Tokenizer,
} from "./tokenizer.ts";
export {
  createTokenizerPool,
  type TokenizerPool,
  type TokenizerPoolOptions,
} from "./tokenizer-pool.ts";
export {
  readTokenizerSettings,
  type SettingsFiles,
  type TokenizerSettings,
} from "./tokenizer-settings.ts";
export {
  type TrainableKind,
  type TrainTokenizerOptions,
  type TrainTokenizerProgress,
  trainableKinds,
  trainTokenizer,
} from "./train-any-tokenizer.ts";
export { saveTokenizer, type TrainedTokenizer } from "./training/train-tokenizer.ts";
