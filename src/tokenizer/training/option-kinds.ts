/** The kinds of tokenizers that can be trained, and which options mean something for each. */
import { checkOptionNames } from "../../core/option-rules.ts";
import { optionError } from "../formats/tokenizer-file.ts";
import type { TrainTokenizerOptions } from "./train-any-tokenizer.ts";

/** The kinds of tokenizers that can be trained. */
export const trainableKinds = [
  "byte-level-bpe",
  "byte-fallback-bpe",
  "wordpiece",
  "unigram",
  "lib",
] as const;

/** Kind of a tokenizer that `trainTokenizer` trains. */
export type TrainableKind = (typeof trainableKinds)[number];

const all = trainableKinds;
const pieces = ["byte-level-bpe", "byte-fallback-bpe", "wordpiece", "unigram"] as const;

/** The kinds for which each option means something. */
export const kindsOfOption: Readonly<
  Record<keyof TrainTokenizerOptions, readonly TrainableKind[]>
> = {
  kind: all,
  vocabSize: all,
  texts: all,
  specialTokens: all,
  minFrequency: ["byte-level-bpe", "byte-fallback-bpe", "wordpiece"],
  maxTokenLength: all,
  maxAlphabet: ["byte-fallback-bpe", "wordpiece", "unigram"],
  pattern: ["byte-level-bpe"],
  normalization: pieces,
  lowercase: ["wordpiece"],
  splitDigits: ["byte-fallback-bpe", "unigram"],
  bosToken: ["byte-level-bpe", "byte-fallback-bpe", "unigram", "lib"],
  eosToken: ["byte-level-bpe", "byte-fallback-bpe", "unigram", "lib"],
  seedSize: ["unigram"],
  steps: ["lib"],
  seed: ["lib"],
  onProgress: all,
  signal: all,
};

/** Refuses names that are no options, and options that the kind would ignore. @throws JetonError `tokenizer-training-option` */
export function checkTrainingKind(options: Partial<TrainTokenizerOptions>): void {
  const code = "tokenizer-training-option";
  checkOptionNames(options, Object.keys(kindsOfOption), {
    what: "the training of a tokenizer",
    invalidCode: code,
  });
  const { kind } = options;
  if (kind === undefined || !all.includes(kind)) throw optionError("kind", kind, all.join(" or "));
  for (const [name, kinds] of Object.entries(kindsOfOption)) {
    const value = options[name as keyof TrainTokenizerOptions];
    if (value !== undefined && !kinds.includes(kind)) {
      throw optionError(name, value, `no value: it means nothing for ${kind}`);
    }
  }
}
