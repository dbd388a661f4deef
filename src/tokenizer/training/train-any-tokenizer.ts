/**
 * Training of every kind of tokenizer by one function: those of the native libraries, and LiB's.
 */
import { checkRequired } from "../../core/option-rules.ts";
import { textsRule } from "../formats/tokenizer-file.ts";
import { trainLibTokenizer } from "../lib-tokenizer/index.ts";
import { checkTrainingKind, type TrainableKind } from "./option-kinds.ts";
import { trainTokenizer as trainOrdinaryTokenizer } from "./train-tokenizer.ts";
import type {
  TrainTokenizerOptions as OrdinaryOptions,
  TrainTokenizerProgress as OrdinaryProgress,
  TrainedTokenizer,
} from "./training-options.ts";

export { type TrainableKind, trainableKinds } from "./option-kinds.ts";

/** Options of `trainTokenizer`. */
export interface TrainTokenizerOptions extends Omit<OrdinaryOptions, "kind" | "onProgress"> {
  /**
   * `byte-level-bpe`: GPT-2's way, any text without loss. `byte-fallback-bpe`: Llama 2's, characters
   * with bytes for the rare ones. `wordpiece`: BERT's. `unigram`: SentencePiece's, with byte fallback.
   * `lib`: subwords, words and expressions of several words, learned line by line without a word
   * splitter; of the other options it takes the special tokens and `maxTokenLength`, and its own
   * settings are those of `trainLibTokenizer`.
   */
  kind: TrainableKind;
  /** LiB: steps of 500 lines to learn for. Default 500. */
  steps?: number;
  /** LiB: what its random choices derive from. Default 0. */
  seed?: number;
  onProgress?: (progress: TrainTokenizerProgress) => void;
}

/** Progress of `trainTokenizer`: its phase, and how far it has come. */
export interface TrainTokenizerProgress extends Omit<OrdinaryProgress, "phase"> {
  /** `learning`: LiB's steps; `done` is the size of its lexicon. */
  phase: OrdinaryProgress["phase"] | "learning";
}

/**
 * Trains a tokenizer. Deterministic: the same texts in the same order give the same file.
 *
 * Throws `tokenizer-training-option` for an impossible option, an unknown one and one that the kind would ignore, `tokenizer-training-text` when a text
 * is not a string or all are empty, `aborted` when the signal says so.
 */
export async function trainTokenizer(options: TrainTokenizerOptions): Promise<TrainedTokenizer> {
  checkTrainingKind(options);
  checkRequired(options, { texts: textsRule }, "tokenizer-training-option");
  const { kind, onProgress } = options;
  if (kind !== "lib") return trainOrdinaryTokenizer({ ...options, kind });
  const { json, config, tokenizer, texts, sentences, distinctSentences } = await trainLibTokenizer({
    ...options,
    onProgress: ({ types }) =>
      onProgress?.({ phase: "learning", done: types, total: options.vocabSize }),
  });
  return { json, config, tokenizer, texts, words: sentences, distinctWords: distinctSentences };
}
