/** MrT5: byte-level encoder-decoders whose encoder deletes what it no longer needs. */
export {
  createDeletionController,
  type DeletionController,
  type DeletionControllerOptions,
  type DeletionControllerState,
} from "./deletion-controller.ts";
export { keepFirstOfSegments, keepRandomly } from "./keep-masks.ts";
export {
  type LossWeights,
  relativeCost,
  runShortened,
  type ShortenedModel,
  type ShortenedPass,
  type ShortenedTerms,
  shortenedLoss,
  shortenedTerms,
  type TextPairs,
} from "./mrt5.ts";
export {
  boundaryShortener,
  convolutionShortener,
  gateShortener,
  givenShortener,
  noShortener,
  type Shortened,
  type Shortener,
  type ShortenInput,
} from "./shortener.ts";
export {
  type CorruptedText,
  corruptedLengths,
  corruptSpans,
  partitionSpans,
  restoreSpans,
  type SpanCorruptionOptions,
  spanCounts,
} from "./span-corruption.ts";
export { type IdPair, joinPairs, type PairBatch } from "./tasks.ts";
