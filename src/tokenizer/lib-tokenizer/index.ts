/** LiB: one learned vocabulary of subwords, words and expressions of several words. */
export { type LearnLexiconOptions, learnLexicon } from "./lib-tokenizer.ts";
export {
  type LibTrainingProgress,
  type TrainedLibTokenizer,
  type TrainLibTokenizerOptions,
  trainLibTokenizer,
} from "./train-lib-tokenizer.ts";
