/**
 * Models: decoders as traced functions, their key-value cache, and checkpoints opened for use.
 *
 * @module model
 */
export {
  type Attention,
  type AttentionInput,
  type AttentionOutput,
  type JoinedInput,
  joinedAttention,
  twoPartAttention,
} from "./attention.ts";
export {
  type DecoderConfig,
  decoderConfig,
  decoderFamilies,
  type LayerConfig,
  type RopeConfig,
} from "./config.ts";
export {
  type DecoderGraphOptions,
  decoderGraph,
  decoderHead,
  decoderLayer,
  decoderNames,
  embed,
  type LayerInputs,
  type LayerOutput,
  matrixGroups,
} from "./decoder.ts";
export {
  createDecoderService,
  type DecoderService,
  type DecoderStart,
  type HandleStep,
} from "./decoder-service.ts";
export { KeyValueCache } from "./key-value-cache.ts";
export * from "./lexinvariant/index.ts";
export { defaultFormat, loadModel, parameterCount } from "./load-model.ts";
export { type PackedMatrix, packMatrix } from "./pack.ts";
export { decoderParameterShapes } from "./parameter-shapes.ts";
export { type RopeFrequencies, ropeFrequencies } from "./rope.ts";
export type {
  LoadedModel,
  LoadModelOptions,
  ModelMemory,
  OpenSequence,
  SampleRequest,
  SequenceStep,
  StepResult,
  WeightFormat,
} from "./types.ts";
export { type DecoderWeights, fileBindings, traceWeights } from "./weights.ts";
export {
  attendFullSequence,
  type DecodeFullSequenceOptions,
  decodeFullSequence,
  everyDocument,
  rotationTables,
  rotationTypes,
} from "./whole-sequence.ts";
