export { identifyModel } from "../../model/index.ts";
export {
  type Compressor,
  type CompressorConfig,
  compressorShapes,
  initializeCompressor,
} from "./compressor.ts";
export {
  compressorDigest,
  readCompressor,
  type WriteCompressorOptions,
  writeCompressor,
} from "./compressor-file.ts";
export type { TrainCompressorOptions, TrainedCompressor } from "./compressor-options.ts";
export { countKept, type DownScaleOptions, keptPlaces, smallestFactor } from "./down-scale.ts";
export {
  type ExtensibleSession,
  type ExtensibleSessionOptions,
  openExtensibleSession,
  type SessionEnd,
  type SessionGenerateOptions,
} from "./extensible-session.ts";
export {
  type CompressOptions,
  type OpenCompressor,
  type OpenCompressorOptions,
  openCompressor,
} from "./open-compressor.ts";
export {
  type ContextRows,
  type ContextTail,
  chooseFactor,
  contextRows,
  type PackedContext,
  thinContext,
} from "./packed-context.ts";
export { type PackedDtype, readPackedContext, writePackedContext } from "./packed-context-file.ts";
export {
  type PromptWithContext,
  type PromptWithContextOptions,
  promptWithContext,
} from "./prompt-with-context.ts";
export { type ReadBefore, scoreBehind } from "./score-behind.ts";
export { readCompressorRunOptions, trainCompressor } from "./train-compressor.ts";
export {
  layOutSample,
  type TwoStreamBatch,
  type TwoStreamGraphOptions,
  type TwoStreamLayout,
  type TwoStreamSizes,
  twoStreamGraph,
  twoStreamInputs,
  twoStreamShapes,
} from "./two-stream-graph.ts";
