/** Chunker and retriever together: chunks of all corpora in one index, questions against it, scores. */
import { JetonError } from "../../core/index.ts";
import { checkOptionNames } from "../../core/option-rules.ts";
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

const optionNames: readonly (keyof EvaluateChunkingOptions)[] = [
  ...(["corpora", "questions", "chunker", "retriever", "k"] as const),
  ...(["positions", "creditCopies"] as const),
];

/**
 * Cuts all corpora, indexes the chunks together and scores every question.
 *
 * @throws JetonError `chunking-option-invalid` for a `k` that is no whole number from 1 or an unknown option,
 *   `span-questions-invalid` for a question of an unknown corpus or a reference outside its text, `chunks-invalid`,
 *   `chunk-places-invalid` for places that a retriever cannot have found, `rag-references-empty`
 *
 * @example
 * const chunker = createSentenceChunker({ size: 5 });
 * const { summary } = await evaluateChunking({ corpora, questions, chunker });
 * summary.recall.mean; // part of the needed characters that 5 chunks hold
 */
export async function evaluateChunking(
  options: EvaluateChunkingOptions,
): Promise<ChunkingEvaluation> {
  checkOptionNames(options, optionNames, {
    what: "an evaluation of chunks",
    invalidCode: "chunking-option-invalid",
  });
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
    for (const reference of references) checkReference(reference, corpora);
    const needed = references.map(toPositions);
    const touching = findTouching(needed, ranges).length;
    const wanted = k === "auto" ? touching : k;
    // A chunker that leaves parts of the text out may have no chunk at the references.
    const found = wanted === 0 ? [] : await retrieve(question, wanted);
    checkPlaces(retriever.name, found, wanted, chunks.length);
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

function checkReference(
  { corpus, start, end }: CorpusRange,
  corpora: ReadonlyMap<string, string>,
): void {
  const text = corpora.get(corpus);
  if (text === undefined) throw unknownCorpus(corpus, corpora);
  const isRange = Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end > start;
  if (isRange && end <= text.length) return;
  const expected = `a range of 0 to ${text.length} that is not empty`;
  throw new JetonError(`a reference in ${corpus} is ${start} to ${end}; expected ${expected}`, {
    code: "span-questions-invalid",
    details: { found: [start, end], corpus, expected },
  });
}

function checkPlaces(
  retriever: string,
  found: readonly number[],
  wanted: number,
  chunks: number,
): void {
  const isPlace = (place: number): boolean =>
    Number.isInteger(place) && place >= 0 && place < chunks;
  if (found.length <= wanted && found.every(isPlace)) return;
  const expected = `at most ${wanted} places from 0 to ${chunks - 1}`;
  throw new JetonError(
    `the retriever ${retriever} gave ${found.join(", ")}; expected ${expected}`,
    {
      code: "chunk-places-invalid",
      details: { retriever, found, expected },
    },
  );
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
function findCopies(reference: CorpusRange, corpora: ReadonlyMap<string, string>): CorpusRange[] {
  const content = corpora.get(reference.corpus)!.slice(reference.start, reference.end);
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
