/**
 * Training: objectives with their gradients, optimizers as chains of transforms, and a trainer that
 * owns parameters in a worker thread.
 *
 * @module train
 */
export {
  ignoredTarget,
  type LanguageModelBatch,
  type LanguageModelGraphOptions,
  languageModelGraph,
  languageModelInputs,
  softPromptName,
} from "./language-model-graph.ts";
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
export { decoderParameterShapes, initializeDecoder, type ParameterValue } from "./parameters.ts";
export { learningRateAt, type Schedule } from "./schedule.ts";
export { openTrainer, type Trainer, type TrainerOptions } from "./trainer.ts";
export { type Objective, objectiveGraph, type TrainingGraph } from "./training-graph.ts";
export type { StepReport, TrainingInputs, TrainingService } from "./training-service.ts";
