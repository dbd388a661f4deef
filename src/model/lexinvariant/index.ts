/** Lexinvariant language models: symbols as placeholders. */
export { countedLosses } from "./counted-losses.ts";
export {
  type DecipherOptions,
  decipher,
  type Key,
  openProbe,
  type Probe,
  probeMeanings,
  probeParameterShapes,
  voteKey,
} from "./decipher.ts";
export { type ExactObserver, exactLexinvariant, type NextSymbol } from "./exact.ts";
export {
  canonicalTargets,
  nextSymbols,
  permuteSymbols,
  predictSymbols,
  rankByAppearance,
  type SymbolBatch,
  type SymbolEmbeddings,
  type SymbolPrediction,
  sampleSymbols,
  symbolInputs,
  symbolInputTypes,
  symbolParameterNames,
  symbolParameterShapes,
} from "./lexinvariant.ts";
export {
  type ReadSymbolModel,
  readSymbolModel,
  type SymbolModelFiles,
} from "./read-symbol-model.ts";
export {
  openSymbolModel,
  type SymbolModel,
  type SymbolModelOptions,
  type SymbolReading,
} from "./symbol-model.ts";
export { lookupTask, permutationTask, type SymbolTask, type TaskOptions } from "./tasks.ts";
