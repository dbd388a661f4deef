/** Chunker and retriever together: chunks of all corpora in one index, questions against it, scores. */
import { JetonError } from "../../core/index.ts";
import { createBm25Index } from "../../lexical/index.ts";
import { type Chunker, checkChunks } from "./chunkers/chunker.ts";
import { characterPositions, type PositionMap } from "./positions.ts";
import {
  type CorpusRange,
  findTouching,
  precisionOmega,
  type RangeScores,
  scoreRanges,
} from "./rag-token-metrics.ts";
import type { SpanQuestion } from "./read-questions.ts";

/** A chunk of a corpus. */
export interface Chunk extends CorpusRange {
  readonly text: string;
}

/** Finds chunks: makes what it needs of all chunks once, then answers questions. */
export interface ChunkRetriever {
  /** Short, for tables. */
  readonly name: string;
  /** The function gives the places of the best `k` chunks, best first. */
  index(chunks: readonly Chunk[]): RetrieveChunks | Promise<RetrieveChunks>;
}

/** Places of the best `k` chunks for a question, best first; fewer where fewer are found. */
export type RetrieveChunks = (
  question: string,
  k: number,
) => readonly number[] | Promise<readonly number[]>;

/** Options of `evaluateChunking`. */
export interface EvaluateChunkingOptions {
  corpora: ReadonlyMap<string, string>;
  questions: readonly SpanQuestion[];
  chunker: Chunker;
  /** Default BM25 (Lucene's) over runs of a to z and 0 to 9. */
  retriever?: ChunkRetriever;
  /** Chunks to retrieve, or `"auto"`: as many as share a position with the references. Default 5. */
  k?: number | "auto";
  /** What is counted, made for each corpus. Default characters. */
  positions?: (text: string) => PositionMap;
  /** Counts a word-for-word copy of a reference elsewhere as the reference. Default false. */
  creditCopies?: boolean;
}

/** Scores of a question. */
export interface ChunkingScores extends RangeScores {
  /** Of the chunker alone: it does not depend on what was retrieved. */
  readonly precisionOmega: number;
}

/** A mean and the population standard deviation. */
export interface MeanAndDeviation {
  readonly mean: number;
  readonly deviation: number;
}

/** What came out. */
export interface ChunkingEvaluation {
  readonly chunker: string;
  readonly retriever: string;
  readonly chunks: number;
  /** In the order of the questions. */
  readonly questions: readonly ChunkingScores[];
  readonly summary: Readonly<Record<keyof ChunkingScores, MeanAndDeviation>>;
  /** By corpus. */
  readonly corpora: ReadonlyMap<string, Readonly<Record<keyof ChunkingScores, MeanAndDeviation>>>;
}

/**
 * Cuts all corpora, indexes the chunks together and scores every question.
 *
 * @throws JetonError `chunking-option-invalid` for a `k` that is no whole number from 1, `span-questions-invalid`
 *   for a question of an unknown corpus, `chunks-invalid`, `rag-references-empty`
 *
 * @example
 * const chunker = createSentenceChunker({ size: 5 });
 * const { summary } = await evaluateChunking({ corpora, questions, chunker });
 * summary.recall.mean; // part of the needed characters that 5 chunks hold
 */
export async function evaluateChunking(
  options: EvaluateChunkingOptions,
): Promise<ChunkingEvaluation> {
  const { corpora, questions, chunker, k = 5, creditCopies = false } = options;
  const { retriever = bm25Retriever, positions = characterPositions } = options;
  if (k !== "auto" && !(Number.isInteger(k) && k > 0)) {
    throw new JetonError(`k: ${k}; expected a whole number from 1 or "auto"`, {
      code: "chunking-option-invalid",
      details: { option: "k", found: k, expected: 'a whole number from 1 or "auto"' },
    });
  }
  const chunks = await cutCorpora(corpora, chunker);
  const maps = new Map([...corpora].map(([name, text]) => [name, positions(text)]));
  const toPositions = (range: CorpusRange): CorpusRange => {
    const map = maps.get(range.corpus);
    if (map === undefined) throw unknownCorpus(range.corpus, corpora);
    return { corpus: range.corpus, ...map.toPositions(range) };
  };
  const ranges = chunks.map(toPositions);
  const retrieve = await retriever.index(chunks);
  const scores: ChunkingScores[] = [];
  for (const { question, references } of questions) {
    const needed = references.map(toPositions);
    const touching = findTouching(needed, ranges).length;
    const found = await retrieve(question, k === "auto" ? touching : k);
    const copies = creditCopies
      ? references.map((reference) => findCopies(reference, corpora).map(toPositions))
      : [];
    const retrieved = found.map((place) => ranges[place]!);
    scores.push({
      ...scoreRanges(needed, retrieved, { copies }),
      precisionOmega: precisionOmega(needed, ranges),
    });
  }
  const ofCorpus = (name: string) => scores.filter((_, i) => questions[i]!.corpus === name);
  return {
    chunker: chunker.name,
    retriever: retriever.name,
    chunks: chunks.length,
    questions: scores,
    summary: summarize(scores),
    corpora: new Map([...corpora.keys()].map((name) => [name, summarize(ofCorpus(name))])),
  };
}

/** The chunks of all corpora, in the order of the map. */
export async function cutCorpora(
  corpora: ReadonlyMap<string, string>,
  chunker: Chunker,
): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for (const [corpus, text] of corpora) {
    const ranges = await chunker.chunk(text);
    checkChunks(chunker.name, text, ranges);
    for (const { start, end } of ranges) {
      chunks.push({ corpus, start, end, text: text.slice(start, end) });
    }
  }
  return chunks;
}

/** BM25 as Lucene computes it, over runs of a to z and 0 to 9; equal scores in the order of the text. */
export const bm25Retriever: ChunkRetriever = {
  name: "BM25",
  index(chunks) {
    const index = createBm25Index({ analyzer: { words: "ascii" }, ties: "position" });
    for (const [place, { text }] of chunks.entries()) index.add(String(place), text);
    return (question, k) => index.search(question, { k }).map(({ id }) => Number(id));
  },
};

/** Where else a reference's text stands. */
function findCopies(
  reference: CorpusRange & { readonly content: string },
  corpora: ReadonlyMap<string, string>,
): CorpusRange[] {
  const { content } = reference;
  const copies: CorpusRange[] = [];
  for (const [corpus, text] of corpora) {
    for (let at = text.indexOf(content); at >= 0; at = text.indexOf(content, at + 1)) {
      const isItself = corpus === reference.corpus && at === reference.start;
      if (!isItself) copies.push({ corpus, start: at, end: at + content.length });
    }
  }
  return copies;
}

function summarize(
  scores: readonly ChunkingScores[],
): Record<keyof ChunkingScores, MeanAndDeviation> {
  const of = (name: keyof ChunkingScores): MeanAndDeviation => {
    const { length } = scores;
    if (length === 0) return { mean: 0, deviation: 0 };
    const mean = scores.reduce((sum, score) => sum + score[name], 0) / length;
    const square = scores.reduce((sum, score) => sum + (score[name] - mean) ** 2, 0) / length;
    return { mean, deviation: Math.sqrt(square) };
  };
  return {
    recall: of("recall"),
    precision: of("precision"),
    iou: of("iou"),
    iouSet: of("iouSet"),
    precisionOmega: of("precisionOmega"),
  };
}

function unknownCorpus(found: string, corpora: ReadonlyMap<string, string>): JetonError {
  const expected = `one of ${[...corpora.keys()].join(", ")}`;
  return new JetonError(
    `a question is of the corpus ${JSON.stringify(found)}; expected ${expected}`,
    {
      code: "span-questions-invalid",
      details: { found, expected },
    },
  );
}
