/** Encoders: texts in, states, vectors, classes and predicted tokens out. */
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
  type RankedDocument,
  type RerankOptions,
  rerank,
  type TextOrPair,
} from "./classify.ts";
export {
  type EncoderConfig,
  type EncoderLayerConfig,
  encoderConfig,
  encoderFamilies,
  type HeadOptions,
  isEncoderConfig,
  type RelativeBiasConfig,
} from "./config.ts";
export {
  type CountedEmbeddings,
  type EmbedOptions,
  type EmbedTokensOptions,
  embed,
  embedCounted,
  embedTokens,
  type TokenVectors,
} from "./embed.ts";
export {
  type EncoderInput,
  embedEncoderInput,
  encode,
  encodeEmbeddings,
  encoderRotationTypes,
} from "./encoder.ts";
export { type EncoderContext, encoderLayer } from "./encoder-layer.ts";
export { encoderMatrixGroups, encoderNames } from "./encoder-names.ts";
export { type FilledToken, type FillMaskOptions, fillMask, maskTokenOf } from "./fill-mask.ts";
export { encoderHeads, type Head, type HeadContext, type HeadName } from "./heads.ts";
export type { LateInteraction } from "./late-interaction.ts";
export { loadEncoder } from "./load-encoder.ts";
export { encoderParameterShapes } from "./parameter-shapes.ts";
export { type PoolingMode, poolingModes } from "./pooling.ts";
export type { SentencePipeline, VectorModule } from "./sentence-modules.ts";
export type { EncoderTask } from "./tasks.ts";
export type {
  EncoderOutput,
  EncoderRequest,
  EncoderResult,
  LoadEncoderOptions,
  LoadedEncoder,
  SentenceSettings,
} from "./types.ts";
