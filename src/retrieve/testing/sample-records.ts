/** Records with every kind of vector, and queries for them. */
import { createRandom } from "../../core/index.ts";
import type { Hit, IndexRecord, SearchQuery } from "../types.ts";

export const words: readonly string[] =
  "king queen castle horse river stone bread wine sword song".split(" ");

/** Random records of a few words. */
export function sampleRecords(count: number, seed = 1): IndexRecord[] {
  const random = createRandom(seed, "records");
  const vector = (length: number) => Float32Array.from({ length }, () => random.normal());
  return Array.from({ length: count }, (_, i) => {
    const chosen = Array.from({ length: 3 + random.integer(8) }, () =>
      random.integer(words.length),
    );
    const text = chosen.map((at) => words[at]!).join(" ");
    const spans: number[] = [];
    for (const match of text.matchAll(/\w+/g)) {
      spans.push(match.index, match.index + match[0].length);
    }
    return {
      id: `r${String(i).padStart(4, "0")}`,
      text,
      fields: { part: i % 4, tags: [`t${i % 3}`], even: i % 2 === 0 },
      dense: vector(6),
      tokens: { dim: 8, vectors: vector(8 * chosen.length), spans: Uint32Array.from(spans) },
      sparse: {
        ids: Uint32Array.from(new Set(chosen)),
        weights: Float32Array.from(new Set(chosen), () => random.uniform()),
      },
    };
  });
}

export function sampleQuery(
  seed = 9,
): Required<Pick<SearchQuery, "text" | "dense" | "tokens" | "sparse">> {
  const random = createRandom(seed, "query");
  const vector = (length: number) => Float32Array.from({ length }, () => random.normal());
  return {
    text: "king river song",
    dense: vector(6),
    tokens: { dim: 8, vectors: vector(24) },
    sparse: { ids: Uint32Array.of(0, 4, 9), weights: Float32Array.of(1, 0.5, 2) },
  };
}

/** What two answers are compared by. */
export const brief = (hits: readonly Hit[]): [id: string, score: string][] =>
  hits.map(({ id, score }) => [id, score.toFixed(5)]);

/** Each kind of query by itself, then all together. */
export function sampleQueries(): SearchQuery[] {
  const { text, dense, tokens, sparse } = sampleQuery();
  return [
    { text },
    { dense },
    { sparse },
    { tokens, tokenSearch: { scoring: "exact" } },
    { tokens, tokenSearch: { candidates: 50 } },
    { tokens, tokenSearch: { candidates: 50, scoring: "refined", refine: 30 } },
    { text, dense, tokens, sparse },
    { text, dense, fusion: { method: "weighted", weights: { bm25: 2 } } },
    { text, tokens, filter: { eq: ["part", 1] } },
  ];
}
