/** The stages that `encode` and `encodeIds` share: added tokens, normalizer, pre-tokenizer and model. */
import { type AddedTokenFinder, createFinder } from "../added-tokens.ts";
import type { TokenizerParts } from "../formats/tokenizer-json.ts";
import { WordCache } from "../models/word-cache.ts";
import type { WordModel } from "../models/word-model.ts";
import type { Normalizer } from "../normalizers/normalizer.ts";
import { type PreTokenizerStep, splitBefore } from "../pre-tokenizers/pre-tokenizers.ts";

export interface TextPipeline {
  /** Finds added tokens in the text as it is given. */
  readonly finder: AddedTokenFinder | null;
  readonly normalizer: Normalizer | null;
  /** Finds added tokens in normalized text. */
  readonly normalizedFinder: AddedTokenFinder | null;
  readonly steps: readonly PreTokenizerStep[];
  readonly cache: WordCache;
  readonly model: WordModel;
}

export function createTextPipeline(parts: TokenizerParts): TextPipeline {
  const { model, addedTokens, normalizer } = parts;
  // Where the file leaves texts whole, words that the cache can hold are cut at safe places.
  const isWhole = parts.steps.every((step) => step.kind === "rewrite");
  const steps =
    isWhole && model.cutBefore !== undefined
      ? [...parts.steps, splitBefore(model.cutBefore, true)]
      : parts.steps;
  return {
    finder: createFinder(
      addedTokens.filter((token) => !token.normalized),
      null,
    ),
    normalizer,
    normalizedFinder: createFinder(
      addedTokens.filter((token) => token.normalized),
      normalizer,
    ),
    steps,
    cache: new WordCache(model),
    model,
  };
}
