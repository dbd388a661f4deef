/**
 * Chunks by meaning, after the Chroma report (Smith and Troynikov, 2024): neighbouring pieces whose vectors
 * are alike stay together. Any function from texts to vectors serves.
 */
import { JetonError } from "../../../core/index.ts";
import type { Interval } from "../intervals.ts";
import { type Chunker, checkCount, checkFunction, checkNames } from "./chunker.ts";
import { defaultSeparators, splitRecursively } from "./recursive.ts";

/** Texts to vectors of one length; they need not be of length 1. */
export type EmbedTexts = (
  texts: readonly string[],
) => readonly Float32Array[] | Promise<readonly Float32Array[]>;

/** Options of the semantic chunkers. */
export interface SemanticChunkerOptions {
  embed: EmbedTexts;
  /** The size of a chunk, in what `lengthOf` counts: the largest, or the mean to reach. */
  size: number;
  /** The largest piece that is never cut. Default an eighth of the size, e.g. 50 of 400 tokens. */
  pieceSize?: number;
  /** Default UTF-16 units. */
  lengthOf?: (text: string) => number;
}

/**
 * Cluster-semantic: cuts the text into small pieces and joins them so that the summed similarity inside the
 * chunks, less the mean similarity of all pairs, is highest; a dynamic program finds the best cut. No chunk
 * has more than size / pieceSize pieces.
 *
 * @throws JetonError `chunker-option-invalid`; its function `chunker-vectors-invalid` for vectors of
 *   different lengths, or not one for each text
 */
export function createClusterChunker(options: SemanticChunkerOptions): Chunker {
  const { embed, size, pieceSize, measure } = readOptions("cluster", options);
  const most = Math.max(1, Math.floor(size / pieceSize));
  return {
    name: `cluster-semantic ${size}`,
    async chunk(text) {
      const pieces = splitPieces(text, pieceSize, measure);
      const vectors = await embedPieces(text, pieces, embed);
      return joinPieces(pieces, cutByReward(vectors, most));
    },
  };
}

/**
 * Kamradt's, as the report modified it: cuts where neighbours are farthest apart, as often as gives chunks
 * of `size` on average.
 *
 * @throws JetonError `chunker-option-invalid`; its function `chunker-vectors-invalid` for vectors of
 *   different lengths, or not one for each text
 */
export function createBreakpointChunker(options: SemanticChunkerOptions): Chunker {
  const { embed, size, pieceSize, measure } = readOptions("breakpoint", options);
  return {
    name: `breakpoint-semantic ${size}`,
    async chunk(text) {
      const pieces = splitPieces(text, pieceSize, measure);
      // Three pieces on each side make a vector, so that one short sentence does not cut.
      const windows = pieces.map((_, i) => ({
        start: pieces[Math.max(0, i - 3)]!.start,
        end: pieces[Math.min(pieces.length - 1, i + 3)]!.end,
      }));
      const vectors = await embedPieces(text, windows, embed);
      const distances = vectors.slice(1).map((vector, i) => 1 - dot(vectors[i]!, vector));
      const cuts = Math.max(0, Math.round(measure(text) / size) - 1);
      const threshold = distances.toSorted((a, b) => b - a)[cuts] ?? Number.NEGATIVE_INFINITY;
      const starts = [0, ...distances.flatMap((value, i) => (value > threshold ? [i + 1] : []))];
      return joinPieces(pieces, pieces.length === 0 ? [] : starts);
    },
  };
}

function readOptions(chunker: string, options: SemanticChunkerOptions) {
  const { embed, size, lengthOf } = options;
  checkNames(chunker, options, ["embed", "size", "pieceSize", "lengthOf"]);
  checkFunction(chunker, "embed", embed);
  if (lengthOf !== undefined) checkFunction(chunker, "lengthOf", lengthOf);
  checkCount(chunker, "size", size);
  const pieceSize = options.pieceSize ?? Math.max(1, Math.round(size / 8));
  checkCount(chunker, "pieceSize", pieceSize);
  return { embed, size, pieceSize, measure: lengthOf ?? ((text: string) => text.length) };
}

function splitPieces(text: string, size: number, measure: (text: string) => number): Interval[] {
  return splitRecursively(text, { size, measure, separators: defaultSeparators });
}

async function embedPieces(
  text: string,
  pieces: readonly Interval[],
  embed: EmbedTexts,
): Promise<Float32Array[]> {
  if (pieces.length === 0) return [];
  const vectors = await embed(pieces.map(({ start, end }) => text.slice(start, end)));
  checkVectors(vectors, pieces.length);
  return vectors.map((vector) => {
    const length = Math.sqrt(dot(vector, vector));
    return length === 0 ? vector : vector.map((value) => value / length);
  });
}

function checkVectors(vectors: readonly Float32Array[], count: number): void {
  const dim = vectors[0]?.length ?? 0;
  const isWhole = vectors.length === count && dim > 0;
  if (isWhole && vectors.every((one) => one.length === dim && one.every(Number.isFinite))) return;
  const found = vectors.map(({ length }) => length);
  const expected = `${count} vectors of one length, all numbers finite`;
  throw new JetonError(`embed gave ${found.length} vectors; expected ${expected}`, {
    code: "chunker-vectors-invalid",
    details: { found, expected },
  });
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** First pieces of the segments with the highest sum of similarities above the mean, at most `most` pieces each. */
function cutByReward(vectors: readonly Float32Array[], most: number): number[] {
  const count = vectors.length;
  if (count === 0) return [];
  // The mean over all pairs of different pieces: that of the summed vector, less the diagonal.
  const total = new Float64Array(vectors[0]!.length);
  let diagonal = 0;
  for (const vector of vectors) {
    for (let i = 0; i < total.length; i++) total[i]! += vector[i]!;
    diagonal += dot(vector, vector);
  }
  const square = total.reduce((sum, value) => sum + value * value, 0);
  const mean = count < 2 ? 0 : (square - diagonal) / (count * (count - 1));
  const best = new Float64Array(count + 1);
  const from = new Int32Array(count + 1);
  for (let end = 1; end <= count; end++) {
    let reward = 0;
    let highest = Number.NEGATIVE_INFINITY;
    for (let start = end - 1; start >= Math.max(0, end - most); start--) {
      for (let other = start + 1; other < end; other++) {
        reward += 2 * (dot(vectors[start]!, vectors[other]!) - mean);
      }
      if (best[start]! + reward > highest) {
        highest = best[start]! + reward;
        from[end] = start;
      }
    }
    best[end] = highest;
  }
  const starts: number[] = [];
  for (let end = count; end > 0; end = from[end]!) starts.unshift(from[end]!);
  return starts;
}

function joinPieces(pieces: readonly Interval[], starts: readonly number[]): Interval[] {
  return starts.map((start, i) => ({
    start: pieces[start]!.start,
    end: pieces[(starts[i + 1] ?? pieces.length) - 1]!.end,
  }));
}
