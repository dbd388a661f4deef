/** Encoders: texts in, states, vectors, classes and predicted tokens out. */
export { type EncoderTexts, layOutEncoderTexts } from "./batch-results.ts";
export { encoderClassName, prefixEncoderName } from "./class-names.ts";
export {
  type EncoderConfig,
  type EncoderLayerConfig,
  encoderConfig,
  encoderFamilies,
  isEncoderConfig,
  type RelativeBiasConfig,
} from "./config.ts";
export {
  type EncoderInput,
  embedEncoderInput,
  encode,
  encodeEmbeddings,
} from "./encoder.ts";
export { paddingMask } from "./encoder-graph.ts";
export { type EncoderContext, encoderLayer } from "./encoder-layer.ts";
export { encoderMatrixGroups, encoderNames } from "./encoder-names.ts";
export { encoderTables, encoderTableTypes } from "./encoder-tables.ts";
export type { HeadOptions } from "./heads/head-options.ts";
export { encoderHeadShapes, type TrainableHead } from "./heads/head-shapes.ts";
export { encoderHeads, type Head, type HeadContext, type HeadName } from "./heads/heads.ts";
export { loadEncoder } from "./load-encoder.ts";
export { isMixerConfig, type MixerConfig, type MixerTraining } from "./mixer/mixer-config.ts";
export { fixedMixerParameters } from "./mixer/mixer-names.ts";
export { encoderParameterShapes } from "./parameter-shapes.ts";
export { readVectorModules } from "./sentence/disk-folder.ts";
export {
  type EmbedHybridOptions,
  embedHybrid,
  type HybridVector,
} from "./sentence/embed-hybrid.ts";
export {
  type EmbedSparseOptions,
  embedSparse,
  type SparseEmbedding,
} from "./sentence/embed-sparse.ts";
export { encodeEncoderText, type TextInput } from "./sentence/encode-text.ts";
export type { LateInteraction } from "./sentence/late-interaction.ts";
export { type PoolingMode, poolingModes, writePoolingWeights } from "./sentence/pooling.ts";
export type { VectorModuleNames } from "./sentence/sentence-folder.ts";
export {
  applyModules,
  type SentencePipeline,
  type VectorModule,
} from "./sentence/sentence-modules.ts";
export { nameEncoderTensors } from "./stored-names.ts";
export {
  type ClassifyOptions,
  type ClassifyTokensOptions,
  type ClassScore,
  classify,
  classifyTokens,
  type FindSpansOptions,
  type FoundSpan,
  findSpans,
  type LabelledSpan,
  type TextOrPair,
} from "./tasks/classify.ts";
export {
  type CountedEmbeddings,
  type EmbedOptions,
  type EmbedTokensOptions,
  embed,
  embedCounted,
  embedTokens,
  type TokenVectors,
} from "./tasks/embed.ts";
export { type EncoderTask, type Labels, problemName } from "./tasks/encoder-task.ts";
export {
  type FilledToken,
  type FillMaskOptions,
  fillMask,
  maskTokenOf,
} from "./tasks/fill-mask.ts";
export {
  type CountedRanking,
  canRerank,
  type RankedDocument,
  type RerankOptions,
  rerank,
  rerankCounted,
} from "./tasks/rerank.ts";
export type { ScoreActivation } from "./tasks/score-activation.ts";
export type {
  EncoderOutput,
  EncoderRequest,
  EncoderResult,
  LoadEncoderOptions,
  LoadedEncoder,
  SentenceSettings,
} from "./types.ts";
