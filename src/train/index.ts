/**
 * Training: objectives with their gradients, optimizers as chains of transforms, and a trainer that
 * owns parameters in a worker thread.
 *
 * @module train
 */

export { type Architecture, openArchitecture } from "./architectures.ts";
export { type Corpus, type DocumentPart, readDocuments } from "./data/corpus.ts";
export { describeCorpusName, listCorpusFiles } from "./data/corpus-files.ts";
export {
  type BatchSource,
  type BatchSourceOptions,
  type DataPosition,
  type DocumentTokens,
  documentTokens,
  openBatchSource,
  type PrepareTokensOptions,
  prepareTokens,
  type TokenStore,
} from "./data/token-store.ts";
export {
  type DuplexMaskOptions,
  type DuplexMasks,
  sampleDuplexMasks,
} from "./encoder/duplex/duplex-masks.ts";
export type {
  EncoderObjective,
  TrainEncoderOptions,
  TrainedEncoder,
} from "./encoder/encoder-options.ts";
export { readEncoderRunOptions, trainEncoder } from "./encoder/train-encoder.ts";
export {
  type Byte2WordGraphOptions,
  byte2WordGraph,
  byte2WordInputs,
  type ClassifiedText,
  classifiedInputs,
} from "./graph/byte2word-graph.ts";
export {
  ignoredTarget,
  type LanguageModelBatch,
  type LanguageModelGraphOptions,
  languageModelGraph,
  languageModelInputs,
  softPromptName,
} from "./graph/language-model-graph.ts";
export {
  decoderParameterShapes,
  type InitializationOptions,
  initializeByte2Word,
  initializeDecoder,
  initializeWordModel,
  type ParameterValue,
} from "./graph/parameters.ts";
export {
  type DeletionOptions,
  initializeSeq2Seq,
  seq2seqDeviation,
  spanCorruptionGraph,
  spanCorruptionInputs,
} from "./graph/span-corruption-graph.ts";
export { type Objective, objectiveGraph, type TrainingGraph } from "./graph/training-graph.ts";
export {
  type WordModelGraphOptions,
  wordModelGraph,
  wordModelInputs,
} from "./graph/word-model-graph.ts";
export {
  formatTrainingProgress,
  type TrainedLanguageModel,
  type TrainingProgress,
  type TrainLanguageModelOptions,
} from "./language-model-options.ts";
export {
  adafactor,
  adamW,
  addWeightDecay,
  clipByGlobalNorm,
  createOptimizer,
  decayMatricesOnly,
  momentum,
  type Optimizer,
  type ParameterGroup,
  scaleByAdam,
  scaleByFactoredMoment,
  sgd,
  type TrainedParameter,
  type Transform,
} from "./optimizer/optimizer.ts";
export { learningRateAt, type Schedule } from "./optimizer/schedule.ts";
export { type ExportModelOptions, exportModel } from "./run/export-model.ts";
export { renderLossCurve } from "./run/loss-curve.ts";
export {
  type LogEntry,
  type OpenRunFolderOptions,
  openRunFolder,
  type RunFolder,
  readRunConfiguration,
} from "./run/run-folder.ts";
export { readRunOptions } from "./run/run-settings.ts";
export { openTrainer, type Trainer, type TrainerOptions } from "./run/trainer.ts";
export type {
  InputGradients,
  StepReport,
  TrainingInputs,
  TrainingParts,
  TrainingService,
} from "./run/training-interface.ts";
export { trainLanguageModel } from "./train-language-model.ts";
export {
  formatTokenizerTrainingProgress,
  type TokenizerTraining,
  type TokenizerTrainingProgress,
  type TrainedTokenizerFolder,
  type TrainTokenizerFolderOptions,
  trainTokenizerFolder,
} from "./train-tokenizer.ts";
