/** Trans-tokenization: a new language's tokens as averages of the tokens that translate to them. */
export {
  type AlignWordsOptions,
  alignBothWays,
  alignWords,
  type WordAlignment,
  type WordLink,
} from "./align-words.ts";
export {
  type Hydra,
  type HydraMember,
  type HydraVocabulary,
  type OpenHydraOptions,
  openHydra,
  writeHydra,
} from "./hydra.ts";
export {
  type TokenTranslation,
  type TransTokenizationOptions,
  translateTokens,
  transTokenization,
} from "./trans-tokenization.ts";
export { readWords, splitWords, type WordCorpus } from "./word-units.ts";
