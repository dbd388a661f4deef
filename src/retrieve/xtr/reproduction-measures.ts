/** What one encoder finds, question by question. */
import { evaluateRun } from "../../evaluate/index.ts";
import { createBm25Index } from "../../lexical/index.ts";
import { multiplyRows } from "../tokens/products.ts";
import type { Corpus, EmbeddedCorpus, EmbeddedText } from "./reproduction-training.ts";
import { width } from "./reproduction-training.ts";
import { retrieveTokens, type ScoreRetrievedOptions, scoreRetrieved } from "./xtr.ts";

/** k' of the paper: few enough that most rows of most documents are missing. */
export const fewCandidates = 100;
export const moreCandidates = 1000;

/** nDCG@10 of each question by each way to score, and what its tokens retrieved. */
export interface QuestionMeasures {
  /** All tokens retrieved. */
  readonly exact: readonly number[];
  readonly imputed: readonly number[];
  readonly imputedOfMore: readonly number[];
  /** Judged by what is relevant to the next question. */
  readonly exactForNext: readonly number[];
  readonly imputedForNext: readonly number[];
  /** A missing score counts 0, or as much as the highest. */
  readonly zero: readonly number[];
  readonly first: readonly number[];
  /** Share of the retrieved tokens that belong to a relevant document, in percent. */
  readonly gold: readonly number[];
  /** The same for the documents of the next question. */
  readonly goldOfNext: readonly number[];
  /** Share of the retrieved tokens that are the query's token itself, in percent. */
  readonly copies: readonly number[];
}

/** nDCG@10 of each question; scores that are NaN are of documents that were not found. */
function rankAll(
  { documents, queries }: Corpus,
  scoresOf: (query: number) => ArrayLike<number>,
  judgedAs: (query: number) => number = (query) => query,
): number[] {
  const judgments = new Map<string, Map<string, number>>();
  const run = new Map<string, Map<string, number>>();
  for (const at of queries.keys()) {
    const { relevant } = queries[judgedAs(at)]!;
    judgments.set(String(at), new Map([...relevant].map((id) => [id, 1])));
    const scores = scoresOf(at);
    const found = documents.flatMap(({ id }, i): [string, number][] =>
      Number.isNaN(scores[i]!) ? [] : [[id, scores[i]!]],
    );
    run.set(String(at), new Map(found));
  }
  const { queries: evaluated } = evaluateRun(judgments, run, { measures: ["ndcg@10"] });
  return [...queries.keys()].map((at) => evaluated.get(String(at))!.values["ndcg@10"]);
}

/** Measures an encoder's vectors. */
export function measureQuestions(corpus: Corpus, embedded: EmbeddedCorpus): QuestionMeasures {
  const joined = joinTokens(embedded.documents);
  const ways: Record<string, ScoreRetrievedOptions> = {
    exact: { candidates: joined.ids.length },
    imputed: { candidates: fewCandidates },
    imputedOfMore: { candidates: moreCandidates },
    zero: { candidates: fewCandidates, missing: "zero" },
    first: { candidates: fewCandidates, missing: "first" },
  };
  const scores = new Map<string, Float64Array[]>(Object.keys(ways).map((way) => [way, []]));
  const shares = { gold: [] as number[], goldOfNext: [] as number[], copies: [] as number[] };
  for (const [at, query] of embedded.queries.entries()) {
    const products = {
      products: multiplyAll(query, joined.vectors),
      documentOf: joined.documentOf,
      documents: corpus.documents.length,
    };
    for (const [way, options] of Object.entries(ways)) {
      scores.get(way)!.push(scoreRetrieved(products, options));
    }
    const retrieved = retrieveTokens(products, fewCandidates);
    const next = corpus.queries[(at + 1) % corpus.queries.length]!;
    const ofDocuments = (relevant: ReadonlySet<string>): number =>
      shareOf(retrieved, (token) => relevant.has(corpus.documents[joined.documentOf[token]!]!.id));
    shares.gold.push(ofDocuments(corpus.queries[at]!.relevant));
    shares.goldOfNext.push(ofDocuments(next.relevant));
    shares.copies.push(shareOf(retrieved, (token, row) => joined.ids[token] === query.ids[row]));
  }
  const next = (at: number): number => (at + 1) % corpus.queries.length;
  const ranked = (way: string, judgedAs?: (at: number) => number): number[] =>
    rankAll(corpus, (at) => scores.get(way)![at]!, judgedAs);
  return {
    exactForNext: ranked("exact", next),
    imputedForNext: ranked("imputed", next),
    exact: ranked("exact"),
    imputed: ranked("imputed"),
    imputedOfMore: ranked("imputedOfMore"),
    zero: ranked("zero"),
    first: ranked("first"),
    ...shares,
  };
}

/** nDCG@10 of each question by BM25, and by BM25's ranking for the next one. */
export function measureBm25(corpus: Corpus): { own: number[]; next: number[] } {
  const index = createBm25Index({ analyzer: { stopWords: "english", stemmer: "english" } });
  for (const { id, text } of corpus.documents) index.add(id, text);
  const places = new Map(corpus.documents.map(({ id }, at) => [id, at]));
  const scores = corpus.queries.map(({ text }) => {
    const row = new Float64Array(corpus.documents.length).fill(Number.NaN);
    for (const { id, score } of index.search(text, { k: 100 })) row[places.get(id)!] = score;
    return row;
  });
  const next = (at: number): number => (at + 1) % corpus.queries.length;
  return {
    own: rankAll(corpus, (at) => scores[at]!),
    next: rankAll(corpus, (at) => scores[at]!, next),
  };
}

interface JoinedTokens {
  readonly vectors: Float32Array;
  readonly ids: Int32Array;
  readonly documentOf: Uint32Array;
}

function joinTokens(texts: readonly EmbeddedText[]): JoinedTokens {
  const count = texts.reduce((sum, { ids }) => sum + ids.length, 0);
  const vectors = new Float32Array(count * width);
  const ids = new Int32Array(count);
  const documentOf = new Uint32Array(count);
  let at = 0;
  for (const [document, text] of texts.entries()) {
    vectors.set(text.vectors, at * width);
    ids.set(text.ids, at);
    documentOf.fill(document, at, at + text.ids.length);
    at += text.ids.length;
  }
  return { vectors, ids, documentOf };
}

function multiplyAll({ vectors, ids }: EmbeddedText, corpus: Float32Array): Float32Array {
  const tokens = corpus.length / width;
  const products = new Float32Array(ids.length * tokens);
  for (let row = 0; row < ids.length; row++) {
    const query = vectors.subarray(row * width, (row + 1) * width);
    multiplyRows(query, corpus, width, products.subarray(row * tokens, (row + 1) * tokens));
  }
  return products;
}

/** Percent of all retrieved tokens, mean over the query's tokens. */
function shareOf(
  retrieved: readonly Uint32Array[],
  holds: (token: number, row: number) => boolean,
): number {
  let sum = 0;
  for (const [row, tokens] of retrieved.entries()) {
    let count = 0;
    for (const token of tokens) if (holds(token, row)) count++;
    sum += count / tokens.length;
  }
  return (100 * sum) / retrieved.length;
}
