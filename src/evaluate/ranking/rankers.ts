/** What ranks documents: lexical baselines, and any function from texts to vectors. */
import { createRandom, JetonError } from "../../core/index.ts";
import {
  type Bm25Options,
  characterNgrams,
  countQueryTerms,
  createAnalyzer,
  createBm25Index,
  TopSelector,
} from "../../lexical/index.ts";

/** A document or a query of a benchmark. */
export interface RankedText {
  readonly id: string;
  readonly text: string;
  readonly title?: string;
}

/** A document with its score. */
export interface RankedDocument {
  readonly id: string;
  readonly score: number;
}

/** Ranks documents; any object of this shape is one. */
export interface Ranker {
  /** Short, for tables. */
  readonly name: string;
  /** Makes what it needs of all documents once. The function gives at most `k` documents, best first. */
  index(documents: readonly RankedText[]): RankDocuments | Promise<RankDocuments>;
}

/** The best `k` documents for a query. */
export type RankDocuments = (
  query: RankedText,
  k: number,
) => readonly RankedDocument[] | Promise<readonly RankedDocument[]>;

/** BM25; `words: "code"` in the analyzer splits identifiers. */
export function createBm25Ranker(name: string, options: Bm25Options = {}): Ranker {
  return {
    name,
    index(documents) {
      const index = createBm25Index(options);
      for (const { id, text } of documents) index.add(id, text);
      return ({ text }, k) => index.search(text, { k });
    },
  };
}

/** Documents in an order drawn for each query. */
export function createRandomRanker(seed = 0): Ranker {
  return {
    name: "random",
    index: (documents) => (query, k) => {
      const random = createRandom(seed, "random ranker", query.id);
      const order = random.shuffle(documents.map(({ id }) => id));
      return order.slice(0, k).map((id, at) => ({ id, score: -at }));
    },
  };
}

/** Cosine of weighted bags: count times ln(N / n) of each feature. */
function createBagRanker(
  name: string,
  featuresOf: (text: string) => ReadonlyMap<string, number>,
): Ranker {
  return {
    name,
    index(documents) {
      const bags = documents.map(({ text }) => featuresOf(text));
      const holding = new Map<string, number>();
      for (const bag of bags) {
        for (const feature of bag.keys()) holding.set(feature, (holding.get(feature) ?? 0) + 1);
      }
      const weigh = (bag: ReadonlyMap<string, number>): [string, number][] => {
        const weighted = [...bag].flatMap(([feature, count]): [string, number][] => {
          const found = holding.get(feature) ?? 0;
          return found === 0 ? [] : [[feature, count * Math.log(documents.length / found)]];
        });
        const length = Math.sqrt(weighted.reduce((sum, [, weight]) => sum + weight * weight, 0));
        return weighted.map(([feature, weight]) => [feature, length === 0 ? 0 : weight / length]);
      };
      const lists = new Map<string, [place: number, weight: number][]>();
      for (const [place, bag] of bags.entries()) {
        for (const [feature, weight] of weigh(bag)) {
          const list = lists.get(feature);
          if (list === undefined) lists.set(feature, [[place, weight]]);
          else list.push([place, weight]);
        }
      }
      return ({ text }, k) => {
        const scores = new Float64Array(documents.length);
        for (const [feature, weight] of weigh(featuresOf(text))) {
          for (const [place, other] of lists.get(feature) ?? []) scores[place]! += weight * other;
        }
        return selectBest(documents, scores, k);
      };
    },
  };
}

/** Cosine of words, identifiers split, weighted by their rarity. */
export function createTfIdfRanker(): Ranker {
  const analyzer = createAnalyzer({ words: "code" });
  return createBagRanker("TF-IDF", (text) => countQueryTerms(analyzer, text));
}

/** Cosine of character trigrams, weighted by their rarity. */
export function createTrigramRanker(): Ranker {
  return createBagRanker("trigrams", (text) =>
    characterNgrams(text.toLowerCase().replace(/\s+/g, " "), { n: 3 }),
  );
}

/**
 * Cosine of vectors. A vector that is no number everywhere ranks last.
 *
 * @throws JetonError `ranking-vectors-invalid` in `index` and the ranking, for another number of vectors than of texts,
 *   and for vectors of different lengths
 */
export function createVectorRanker(
  name: string,
  embed: (
    texts: readonly string[],
    role: "query" | "document",
  ) => readonly Float32Array[] | Promise<readonly Float32Array[]>,
): Ranker {
  const toLengthOne = (vector: Float32Array): Float32Array => {
    const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
    return length === 0 ? vector : vector.map((value) => value / length);
  };
  const embedAll = async (
    texts: readonly string[],
    role: "query" | "document",
    dimensions?: number,
  ): Promise<Float32Array[]> => {
    const vectors = await embed(texts, role);
    const expected = dimensions ?? vectors[0]?.length;
    const other = vectors.find(({ length }) => length !== expected);
    if (vectors.length !== texts.length || other !== undefined) {
      const found = { vectors: vectors.length, dimensions: other?.length ?? expected };
      throw new JetonError(
        `${name}, ${role}: ${found.vectors} vectors of length ${found.dimensions}; expected ${texts.length} of length ${expected}`,
        {
          code: "ranking-vectors-invalid",
          details: { ranker: name, role, found, expected: { vectors: texts.length, dimensions } },
        },
      );
    }
    return vectors.map(toLengthOne);
  };
  return {
    name,
    async index(documents) {
      const texts = documents.map(({ text }) => text);
      const vectors = await embedAll(texts, "document");
      return async ({ text }, k) => {
        const query = (await embedAll([text], "query", vectors[0]?.length))[0]!;
        const scores = Float64Array.from(vectors, (vector) => {
          let sum = 0;
          for (let i = 0; i < vector.length; i++) sum += vector[i]! * query[i]!;
          return Number.isNaN(sum) ? -1 : sum;
        });
        return selectBest(documents, scores, k);
      };
    },
  };
}

function selectBest(
  documents: readonly RankedText[],
  scores: Float64Array,
  k: number,
): RankedDocument[] {
  const top = new TopSelector(k);
  for (const [place, score] of scores.entries()) top.offer(place, score);
  return top.ranked().map(({ place, score }) => ({ id: documents[place]!.id, score }));
}
