/** Models that read bytes: vocabulary, words, and the parts over them. */
export {
  type ByteTokenizerFiles,
  byteTokenizerFiles,
  byteVocabSize,
  documentId,
  wordEndId,
} from "./byte-vocabulary.ts";
export { type DecodedKinds, decodeKinds, sequenceLength } from "./decode-kinds.ts";
export {
  type NoiseKind,
  noiseKinds,
  type PerturbTextOptions,
  perturbText,
} from "./perturb-text.ts";
export { type SplitWordsOptions, splitWords, type WordRule } from "./split-words.ts";
export {
  type ByteBatch,
  bucketInput,
  bucketLengths,
  ignoredByte,
  layOutWords,
  type PlacedWord,
  placeWords,
} from "./word-batch.ts";
export {
  isWordModel,
  type WordFamily,
  type WordModelConfig,
  wordFamilies,
  wordModelConfig,
} from "./word-config.ts";
export {
  predictWords,
  type WordBucketTensors,
  type WordSequenceTensors,
} from "./word-layers.ts";
export {
  type WordStack,
  wordMatrixGroups,
  wordParameterNames,
  wordParameterShapes,
  wordStacks,
} from "./word-parameters.ts";
