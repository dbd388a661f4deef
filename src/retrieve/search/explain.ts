/** Why a record was found: which part of its text earned which part of the score. */
import { analyze, PostingsBuilder, ScoreAccumulator } from "../../lexical/index.ts";
import type { TokenRows } from "../segment/segment-data.ts";
import type { TokenScores } from "../tokens/token-search.ts";
import type { TokenMatch } from "../types.ts";
import type { SearchedIndex } from "./query-run.ts";
import type { WeighedQuery } from "./rankings.ts";

/** For each term of the query its places in the text; the term's part of the score stands at each. */
export function explainLexical(
  { analyzer, formula }: SearchedIndex,
  { counts, terms, meanLength }: WeighedQuery,
  text: string,
): TokenMatch[] {
  const numbers = new Map([...counts.keys()].map((term, number) => [term, number]));
  const builder = new PostingsBuilder(analyzer);
  builder.add(text);
  const postings = builder.build();
  const places = analyze(analyzer, text);
  return terms.flatMap((weighted) => {
    const scores = new ScoreAccumulator();
    scores.add(postings, [weighted], formula, meanLength);
    return places
      .filter(({ term }) => term === weighted.term)
      .map(({ term, start, end }) => ({
        queryToken: numbers.get(term)!,
        term,
        span: [start, end] as const,
        score: scores.score(0),
        imputed: false,
      }));
  });
}

/** For each token of the query the record's token that earned its score, or the bound. */
export function explainTokens(
  { spans }: TokenRows,
  { scores, tokens }: TokenScores,
  slot: number,
  count: number,
): TokenMatch[] {
  return Array.from({ length: count }, (_, queryToken) => {
    const score = scores[slot * count + queryToken]!;
    const token = tokens[slot * count + queryToken]!;
    if (token < 0) return { queryToken, score, imputed: true };
    const span = [spans[2 * token]!, spans[2 * token + 1]!] as const;
    return { queryToken, span, score, imputed: false };
  });
}
