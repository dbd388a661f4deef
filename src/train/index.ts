/**
 * Training: objectives with their gradients, optimizers as chains of transforms, and a trainer that
 * owns parameters in a worker thread.
 *
 * @module train
 */

export { type Corpus, type DocumentPart, readDocuments } from "./corpus.ts";
export { describeCorpusName, listCorpusFiles } from "./corpus-files.ts";
export { type ExportModelOptions, exportModel } from "./export-model.ts";
export {
  ignoredTarget,
  type LanguageModelBatch,
  type LanguageModelGraphOptions,
  languageModelGraph,
  languageModelInputs,
  softPromptName,
} from "./language-model-graph.ts";
export { renderLossCurve } from "./loss-curve.ts";
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
} from "./optimizer.ts";
export {
  decoderParameterShapes,
  type InitializationOptions,
  initializeDecoder,
  type ParameterValue,
} from "./parameters.ts";
export {
  makeRecallTask,
  type RecallQuestion,
  type RecallTask,
  type RecallTaskKind,
  type RecallTaskOptions,
  recallTaskKinds,
} from "./recall-tasks.ts";
export {
  type LogEntry,
  type OpenRunFolderOptions,
  openRunFolder,
  type RunFolder,
  readRunConfiguration,
} from "./run-folder.ts";
export { learningRateAt, type Schedule } from "./schedule.ts";
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
} from "./token-store.ts";
export {
  formatTrainingProgress,
  readRunOptions,
  type TrainedLanguageModel,
  type TrainingProgress,
  type TrainLanguageModelOptions,
  trainLanguageModel,
} from "./train-language-model.ts";
export {
  formatTokenizerTrainingProgress,
  type TokenizerTraining,
  type TokenizerTrainingProgress,
  type TrainedTokenizerFolder,
  type TrainTokenizerFolderOptions,
  trainTokenizerFolder,
} from "./train-tokenizer.ts";
export { openTrainer, type Trainer, type TrainerOptions } from "./trainer.ts";
export { type Objective, objectiveGraph, type TrainingGraph } from "./training-graph.ts";
export type {
  InputGradients,
  StepReport,
  TrainingInputs,
  TrainingParts,
  TrainingService,
} from "./training-service.ts";
