/** byte2word: an encoder over words that are made of bytes. */
export {
  byte2WordParameterShapes,
  classifyStates,
  encodeWordStates,
  type ParameterReport,
  poolWords,
  predictPieces,
  reportParameters,
  specialWords,
  textUnits,
  type WordBytes,
} from "./byte2word.ts";
export { type Byte2WordConfig, byte2WordConfig, isByte2Word } from "./config.ts";
export {
  type Byte2WordModel,
  type ClassifiedWords,
  type LoadByte2WordOptions,
  loadByte2Word,
  type PredictedWord,
  wordBuckets,
  wordBucketTypes,
} from "./load-byte2word.ts";
export {
  basicWords,
  layOutTexts,
  targetPieces,
  type WordUnits,
  wordParts,
  wordUnits,
} from "./word-texts.ts";
