/**
 * A baseline in the manner of WECHSEL (Minixhofer et al., 2022): static vectors of both vocabularies
 * in one space, and each new row an average of the rows of its nearest neighbours there.
 *
 * WECHSEL takes word vectors of two languages and a dictionary that turns one space into the other.
 * Here the space comes from parallel text: a token's vector says in which sentence pairs it occurs, so
 * that tokens that translate each other lie close without any dictionary.
 */
import { mixtureMethod } from "./baselines.ts";
import type { TokenMixture } from "./mixture.ts";
import type { SentencePair } from "./read-text.ts";
import type { TokenForms } from "./token-forms.ts";
import type { TransferMethod } from "./transfer.ts";

/** Options of `nearestTokens`. */
export interface NearestTokensOptions {
  pairs: readonly SentencePair[];
  /** Default 10. */
  neighbours?: number;
  /** Of the softmax over similarities. Default 0.1. */
  temperature?: number;
}

/** The method, for `transfer`. Tokens that occur in no sentence get the rows of unknown tokens. */
export function nearestTokens(options: NearestTokensOptions): TransferMethod {
  return mixtureMethod("wechsel", ({ source, target }) =>
    nearestMixture(source.vocabulary, target, options),
  );
}

/** Each target token as an average of the source tokens that occur in the same sentence pairs. */
export function nearestMixture(
  source: TokenForms,
  target: TokenForms,
  { pairs, neighbours = 10, temperature = 0.1 }: NearestTokensOptions,
): (TokenMixture | undefined)[] {
  const distinct = ({ tokenizer }: TokenForms, text: string): Set<number> =>
    new Set(
      tokenizer.encodeIds(text, {
        addSpecialTokens: false,
        applyLimits: false,
        allowedSpecial: "none",
      }),
    );
  const sourceCounts = new Float64Array(source.size);
  const targetCounts = new Float64Array(target.size);
  const together = Array.from({ length: target.size }, () => new Map<number, number>());
  for (const pair of pairs) {
    const from = distinct(source, pair.source);
    const to = distinct(target, pair.target);
    for (const s of from) sourceCounts[s]!++;
    for (const t of to) {
      targetCounts[t]!++;
      const row = together[t]!;
      for (const s of from) row.set(s, (row.get(s) ?? 0) + 1);
    }
  }
  return together.map((row, t) => {
    if (row.size === 0) return undefined;
    const nearest = Array.from(row, ([s, count]) => ({
      s,
      // Cosine of two vectors of zeros and ones.
      similarity: count / Math.sqrt(sourceCounts[s]! * targetCounts[t]!),
    }))
      .sort((a, b) => b.similarity - a.similarity || a.s - b.s)
      .slice(0, neighbours);
    const best = nearest[0]!.similarity;
    const shares = nearest.map(({ similarity }) => Math.exp((similarity - best) / temperature));
    const total = shares.reduce((sum, share) => sum + share, 0);
    return { sources: nearest.map(({ s }) => s), weights: shares.map((share) => share / total) };
  });
}
