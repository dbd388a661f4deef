/**
 * Models: decoders as traced functions, their key-value cache, and checkpoints opened for use.
 *
 * @module model
 */

export * from "./byte/index.ts";
export * from "./byte2word/index.ts";
export {
  type DecoderConfig,
  decoderConfig,
  decoderFamilies,
  type LayerConfig,
  type RopeConfig,
} from "./decoder/config.ts";
export {
  type DecoderGraphOptions,
  type DecoderInput,
  type DecoderOutput,
  decoderGraph,
  decoderHead,
  type MaskName,
} from "./decoder/decoder.ts";
export {
  decoderLayer,
  type LayerContext,
  type LayerOutput,
  scoreScale,
} from "./decoder/decoder-layer.ts";
export { decoderNames, layerMatrixGroups, matrixGroups } from "./decoder/decoder-names.ts";
export { embedIds } from "./decoder/embeddings.ts";
export {
  attendFullSequence,
  type DecodeFullSequenceOptions,
  decodeFullSequence,
  everyDocument,
  rotationTables,
  rotationTypes,
} from "./decoder/full-sequence.ts";
export { decoderParameterShapes } from "./decoder/parameter-shapes.ts";
export { publishedName, storedNames, withOwnNames } from "./decoder/stored-names.ts";
export * from "./encoder/index.ts";
export * from "./hierarchical-transformer/index.ts";
export { identifyCheckpoint, identifyModel } from "./identify-model.ts";
export * from "./landmark/index.ts";
export {
  type Attention,
  type AttentionInput,
  type AttentionOutput,
  type JoinedInput,
  joinedAttention,
  logOfSum,
  productByRow,
  twoPartAttention,
} from "./layers/attention.ts";
export {
  attendBidirectionally,
  joinHeads,
  maskedScore,
  splitHeads,
} from "./layers/bidirectional-attention.ts";
export {
  type ExpertMixture,
  everyExpert,
  groupExperts,
  type MixExperts,
} from "./layers/experts.ts";
export { type RopeFrequencies, ropeFrequencies } from "./layers/rope.ts";
export * from "./lexinvariant/index.ts";
export { defaultFormat, loadModel, parameterCount } from "./load-model.ts";
export { type ModelKind, modelKind } from "./model-kind.ts";
export * from "./mrt5/index.ts";
export { type OpenedModel, type OpenFolderOptions, openModel } from "./open-folder.ts";
export { openStored } from "./open-stored.ts";
export * from "./openmoe/index.ts";
export * from "./policy/index.ts";
export { type PromptMemory, promptMemory } from "./prompt-memory.ts";
export * from "./seq2seq/index.ts";
export type {
  LoadedModel,
  LoadModelOptions,
  ModelMemory,
  OpenSequence,
  SampleRequest,
  SequenceStep,
  StepRequest,
  StepResult,
  WeightFormat,
} from "./types.ts";
export { readParameter, transposed } from "./weights/read-parameter.ts";
export { traceStoredWeights } from "./weights/stacked-weights.ts";
export {
  type DecoderWeights,
  fileBindings,
  traceFloat32Weights,
  traceWeights,
} from "./weights/trace-weights.ts";
export * from "./word-pooled/index.ts";
export {
  createDecoderService,
  type DecoderService,
  type DecoderStart,
  type HandleStep,
} from "./worker/decoder-service.ts";
export { KeyValueCache } from "./worker/key-value-cache.ts";
