/**
 * Trans-tokenization (Remy et al., 2024): rows of a new language's tokens are averages of the rows of
 * the tokens that translate to them. The numbers are the steps of the method.
 */
import { mixtureMethod } from "../baselines.ts";
import { normalizeMixture, type VocabularyMixture } from "../mixture.ts";
import type { SentencePair } from "../read-text.ts";
import type { TokenForms } from "../token-forms.ts";
import type { TransferMethod } from "../transfer.ts";
import { type AlignWordsOptions, alignBothWays, alignWords } from "./align-words.ts";
import {
  addSharedStrings,
  type MapWordsOptions,
  mapWordLinks,
  smoothEvidence,
  type TokenEvidence,
} from "./map-tokens.ts";
import { readWords } from "./word-units.ts";

/** Options of `transTokenization`. */
export interface TransTokenizationOptions extends AlignWordsOptions, MapWordsOptions {
  /** Sentences of the source model's language with their translations. */
  pairs: readonly SentencePair[];
  /**
   * `"forward"`: source words explain target words, as published. `"both"`: aligned in both
   * directions, and a pair counts as far as both agree. Default `"forward"`.
   */
  directions?: "forward" | "both";
}

/** The method, for `transfer`. */
export function transTokenization(options: TransTokenizationOptions): TransferMethod {
  return mixtureMethod("trans-tokenization", ({ source, target, progress }) => {
    progress("aligning words");
    return translateTokens(source.vocabulary, target, options).mixture;
  });
}

/** Source ids and weights of each target token. */
export interface TokenTranslation {
  readonly mixture: VocabularyMixture;
  /** Target tokens that have evidence of their own; the others borrow from their neighbours. */
  readonly mapped: ReadonlySet<number>;
}

/** Finds the source tokens that each target token translates, with their weights. */
export function translateTokens(
  source: TokenForms,
  target: TokenForms,
  options: TransTokenizationOptions,
): TokenTranslation {
  const { pairs, directions = "forward" } = options;
  // 1. Words are aligned, not pieces.
  const from = readWords(
    source.tokenizer,
    pairs.map((pair) => pair.source),
  );
  const to = readWords(
    target.tokenizer,
    pairs.map((pair) => pair.target),
  );
  // 2. Which words translate each other, and how often.
  const links =
    directions === "both" ? alignBothWays(from, to, options) : alignWords(from, to, options).links;
  // 3. The same of tokens.
  const evidence: TokenEvidence = mapWordLinks(links, from, to, options);
  // 4. Numbers and shared strings. Special tokens are matched by `transfer` itself.
  addSharedStrings(evidence, source, target);
  // 5. Tokens without any evidence.
  const smoothed = smoothEvidence(evidence, source, target);
  // 6. Weights of each target token sum to 1.
  const mixture = target.forms.map((_, id) => normalizeMixture(smoothed.get(id) ?? new Map()));
  return { mixture, mapped: new Set(evidence.keys()) };
}
