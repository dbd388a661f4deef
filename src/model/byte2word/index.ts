/** byte2word: an encoder over words that are made of bytes. */
export {
  byte2WordParameterShapes,
  byteRows,
  classifyStates,
  encodeWordStates,
  type ParameterReport,
  poolWords,
  predictPieces,
  reportParameters,
  specialWords,
  type WordBytes,
} from "./byte2word.ts";
export { type Byte2WordConfig, byte2WordConfig, isByte2Word } from "./config.ts";
export {
  type Byte2WordModel,
  type ClassifiedWords,
  type LoadByte2WordOptions,
  loadByte2Word,
  type PredictedWord,
  targetPieces,
  wordBuckets,
  wordBucketTypes,
} from "./load-byte2word.ts";
export { basicWords, layOutTexts, specialWord, wordParts } from "./word-texts.ts";
