/**
 * RAG token metrics (2025, after Smith and Troynikov, 2024): how much of the passages that a question
 * needs was retrieved, and how much else, counted by positions of the text.
 */
import { JetonError } from "../../core/index.ts";
import { checkOptionNames } from "../../core/option-rules.ts";
import {
  type Interval,
  intersectIntervals,
  overlaps,
  totalLength,
  uniteIntervals,
} from "./intervals.ts";

/** A range of positions in one of the corpora. */
export interface CorpusRange extends Interval {
  readonly corpus: string;
}

/** Scores of one question. All are 0 to 1. */
export interface RangeScores {
  /** Part of the needed positions that was retrieved. */
  readonly recall: number;
  /** Needed positions that were retrieved, over the lengths of all retrieved chunks. */
  readonly precision: number;
  /** The same over those lengths and the needed positions that were missed: the paper's IoU. */
  readonly iou: number;
  /** Over the union of both sets: a chunk's positions count once, however many chunks hold them. */
  readonly iouSet: number;
}

/** Options of `scoreRanges`. */
export interface ScoreRangesOptions {
  /**
   * Where else in the corpora each reference's text stands, word for word: retrieving a copy counts as
   * retrieving the reference. Default none: a copy counts as wrong, as in the paper.
   */
  copies?: readonly (readonly CorpusRange[])[];
}

/**
 * Scores what was retrieved for a question.
 *
 * In the paper's symbols, with R the union of `references`, T the retrieved chunks and N the positions of R
 * that T covers: recall N/|R|, precision N/Σ|c|, IoU N/(Σ|c| + |R| - N). Σ|c| is the *sum* over the chunks,
 * so overlap and chunks of other corpora are charged. Without retrieved chunks precision is 0.
 *
 * @param references the needed ranges, of one corpus, at least one position
 * @param retrieved the chunks, of any corpus
 * @throws JetonError `rag-references-empty`, `rag-references-corpora`, `rag-ranges-invalid`
 */
export function scoreRanges(
  references: readonly CorpusRange[],
  retrieved: readonly CorpusRange[],
  options: ScoreRangesOptions = {},
): RangeScores {
  checkOptionNames(options, ["copies"], {
    what: "scores of ranges",
    invalidCode: "rag-ranges-invalid",
  });
  const corpus = checkReferences(references);
  for (const range of [...retrieved, ...(options.copies ?? []).flat()]) checkRange(range);
  const needed = uniteIntervals(references);
  const own = retrieved.filter((chunk) => chunk.corpus === corpus);
  const copied = coveredCopies(references, retrieved, options.copies ?? []);
  const covered = uniteIntervals([...own, ...copied]);
  const found = totalLength(intersectIntervals(needed, covered));
  const all = totalLength(needed);
  const charged = totalLength(retrieved);
  let union = 0;
  for (const name of new Set(retrieved.map((chunk) => chunk.corpus))) {
    union += totalLength(uniteIntervals(retrieved.filter((chunk) => chunk.corpus === name)));
  }
  return {
    recall: found / all,
    precision: charged === 0 ? 0 : found / charged,
    iou: found / (charged + all - found),
    iouSet: found / (union + all - found),
  };
}

/** The parts of the references whose copies were retrieved, as ranges of the references themselves. */
function coveredCopies(
  references: readonly CorpusRange[],
  retrieved: readonly CorpusRange[],
  copies: readonly (readonly CorpusRange[])[],
): CorpusRange[] {
  return references.flatMap((reference, i) =>
    (copies[i] ?? []).flatMap((copy) =>
      retrieved
        .filter((chunk) => chunk.corpus === copy.corpus && overlaps(chunk, copy))
        .map((chunk) => ({
          corpus: reference.corpus,
          start: reference.start + Math.max(chunk.start, copy.start) - copy.start,
          end: reference.start + Math.min(chunk.end, copy.end) - copy.start,
        })),
    ),
  );
}

/**
 * Precision-Omega of a question: the IoU of a retriever that returns every chunk of the corpus that shares a
 * position with the references, and nothing else. It depends on the chunker alone. Touching is not sharing.
 *
 * @param references the needed ranges, of one corpus, at least one position
 * @param chunks all chunks; those of other corpora are left out
 * @throws JetonError `rag-references-empty`, `rag-references-corpora`, `rag-ranges-invalid`
 */
export function precisionOmega(
  references: readonly CorpusRange[],
  chunks: readonly CorpusRange[],
): number {
  const needed = uniteIntervals(references);
  const touching = uniteIntervals(findTouching(references, chunks));
  const found = totalLength(intersectIntervals(needed, touching));
  return found / (totalLength(touching) + totalLength(needed) - found);
}

/** The chunks that share a position with the references. */
export function findTouching<C extends CorpusRange>(
  references: readonly CorpusRange[],
  chunks: readonly C[],
): C[] {
  const corpus = checkReferences(references);
  for (const chunk of chunks) checkRange(chunk);
  return chunks.filter(
    (chunk) =>
      chunk.corpus === corpus && references.some((reference) => overlaps(chunk, reference)),
  );
}

function checkRange({ corpus, start, end }: CorpusRange): void {
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end >= start) return;
  throw new JetonError(`a range of ${corpus} is ${start} to ${end}`, {
    code: "rag-ranges-invalid",
    details: {
      found: [start, end],
      corpus,
      expected: "whole numbers from 0, the end not before the start",
    },
  });
}

function checkReferences(references: readonly CorpusRange[]): string {
  for (const range of references) checkRange(range);
  const corpora = new Set(references.map(({ corpus }) => corpus));
  if (totalLength(references) === 0) {
    throw new JetonError("a question without references cannot be scored: leave it out", {
      code: "rag-references-empty",
      details: { found: references, expected: "at least one position" },
    });
  }
  if (corpora.size > 1) {
    throw new JetonError("the references of a question are of several corpora", {
      code: "rag-references-corpora",
      details: { found: [...corpora], expected: "one corpus" },
    });
  }
  return references[0]!.corpus;
}
