/** What the same haystack costs in the tokens of several tokenizers: windows compared in characters. */
import { formatTable, JetonError } from "../../core/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { printHaystack, samplePairs } from "./haystack.ts";

/** A tokenizer with its name and, where it is known, the window of its model. */
export interface StudiedTokenizer {
  readonly name: string;
  readonly tokenizer: Tokenizer;
  /** Longest sequence of the model in tokens. */
  readonly contextLength?: number | undefined;
}

/** What a haystack costs in one tokenizer. */
export interface TokenizerCost {
  readonly name: string;
  /** Tokens of a pair, its share of the separators included. */
  readonly tokensPerPair: number;
  readonly charactersPerToken: number;
  readonly contextLength: number | null;
  /** Characters of such text that the window holds; null where it is not known. */
  readonly windowCharacters: number | null;
}

/** Options of `studyTokenizers`. */
export interface StudyTokenizersOptions {
  /** Pairs of the haystack. Default 200. */
  readonly pairs?: number;
  /** Seed of the haystack. Default 0. */
  readonly seed?: number;
  /** Characters of a code, see `samplePairs`. Default 36. */
  readonly codeLength?: number;
}

/**
 * Counts the tokens of one haystack, without special tokens. A pair of UUIDs takes 80 characters everywhere, and from about 40 to 80 tokens.
 *
 * @throws JetonError `needle-tokenizers-missing`, `needle-option-invalid`
 */
export function studyTokenizers(
  tokenizers: readonly StudiedTokenizer[],
  { pairs = 200, seed = 0, codeLength }: StudyTokenizersOptions = {},
): TokenizerCost[] {
  if (tokenizers.length === 0) {
    throw new JetonError("no tokenizer is given", {
      code: "needle-tokenizers-missing",
      details: { found: 0, expected: "at least one tokenizer" },
    });
  }
  const drawn = samplePairs({ pairs, seed, ...(codeLength !== undefined && { codeLength }) });
  const haystack = printHaystack(drawn);
  return tokenizers.map(({ name, tokenizer, contextLength }) => {
    const options = { addSpecialTokens: false, applyLimits: false };
    const tokens = tokenizer.encodeIds(haystack, options).length;
    const charactersPerToken = haystack.length / tokens;
    return {
      name,
      tokensPerPair: tokens / pairs,
      charactersPerToken,
      contextLength: contextLength ?? null,
      windowCharacters:
        contextLength === undefined ? null : Math.round(contextLength * charactersPerToken),
    };
  });
}

/** The costs as a table. */
export function formatTokenizerStudy(costs: readonly TokenizerCost[]): string {
  const right = { align: "right" } as const;
  return formatTable(
    [
      { title: "tokenizer" },
      { title: "tokens a pair", ...right },
      { title: "characters a token", ...right },
      { title: "window, tokens", ...right },
      { title: "window, characters", ...right },
    ],
    costs.map((cost) => [
      cost.name,
      cost.tokensPerPair.toFixed(1),
      cost.charactersPerToken.toFixed(2),
      String(cost.contextLength ?? "-"),
      String(cost.windowCharacters ?? "-"),
    ]),
  );
}
