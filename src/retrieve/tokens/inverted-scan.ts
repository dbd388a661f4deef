/** Products of one query vector with the tokens of an inverted file, from their codes. */
import type { InvertedFile } from "./inverted-file.ts";
import { kthLargest } from "./kth-largest.ts";
import { dotAt, multiplyRows } from "./products.ts";
import { byteProducts, bytesPerRow, levels } from "./residuals.ts";

/** Where each token of an inverted file is. */
interface TokenPlaces {
  /** Place among the runs, by the token's number. */
  readonly placeOf: Uint32Array;
  /** Cluster, by the token's number. */
  readonly clusterOf: Uint32Array;
}

const known: WeakMap<Uint32Array, TokenPlaces> = new WeakMap();

function placesOf({ tokens, starts }: InvertedFile): TokenPlaces {
  let places = known.get(tokens);
  if (places === undefined) {
    const [placeOf, clusterOf] = [new Uint32Array(tokens.length), new Uint32Array(tokens.length)];
    for (let cluster = 0; cluster + 1 < starts.length; cluster++) {
      for (let at = starts[cluster]!; at < starts[cluster + 1]!; at++) {
        placeOf[tokens[at]!] = at;
        clusterOf[tokens[at]!] = cluster;
      }
    }
    places = { placeOf, clusterOf };
    known.set(tokens, places);
  }
  return places;
}

/** Scores tokens for one query vector. A token has one score, whichever way it is come by. */
export class InvertedScan {
  readonly #file: InvertedFile;
  readonly #query: Float32Array;
  readonly #tables: (Float32Array | undefined)[] = [];
  /** The product with each centroid. */
  readonly #centroidScores: Float32Array;
  #order: Uint32Array = new Uint32Array(0);

  constructor(file: InvertedFile, query: Float32Array) {
    this.#file = file;
    this.#query = query;
    this.#centroidScores = new Float32Array(file.starts.length - 1);
    multiplyRows(query, file.centroids, file.dim, this.#centroidScores);
  }

  /** Number of clusters. */
  get clusters(): number {
    return this.#centroidScores.length;
  }

  /** Clusters by product downwards, then by number: all of them, or at least `count`. */
  nearest(count: number): Uint32Array {
    const scores = this.#centroidScores;
    if (this.#order.length < Math.min(count, scores.length)) {
      // Only those at the front are sorted: a query looks into few.
      const bound = kthLargest(scores.slice(), 2 * count);
      const chosen: number[] = [];
      for (let cluster = 0; cluster < scores.length; cluster++) {
        if (scores[cluster]! >= bound) chosen.push(cluster);
      }
      this.#order = Uint32Array.from(chosen.sort((a, b) => scores[b]! - scores[a]! || a - b));
    }
    return this.#order;
  }

  /**
   * Scores the tokens of a cluster in the order of its run.
   *
   * @param into gets a score for each token of the run
   * @returns how many there are
   */
  scoreCluster(cluster: number, into: Float32Array): number {
    const { dim, starts, codes, exact, codebookOf } = this.#file;
    const [start, end] = [starts[cluster]!, starts[cluster + 1]!];
    if (exact.length > 0) {
      for (let at = start; at < end; at++) {
        into[at - start] = dotAt(this.#query, 0, exact, at * dim, dim);
      }
      return end - start;
    }
    const table = this.#tableOf(codebookOf[cluster]!);
    const base = this.#centroidScores[cluster]!;
    const bytes = bytesPerRow(dim);
    for (let at = start; at < end; at++) {
      into[at - start] = base + sumProducts(table, codes, at * bytes, bytes);
    }
    return end - start;
  }

  /** The score of the best token of a range of numbers, and which it is; the first of equals. */
  bestOf(first: number, end: number): { token: number; score: number } {
    const { dim, codes, exact, codebookOf } = this.#file;
    const { placeOf, clusterOf } = placesOf(this.#file);
    const bytes = bytesPerRow(dim);
    const isExact = exact.length > 0;
    let [best, found] = [Number.NEGATIVE_INFINITY, -1];
    for (let token = first; token < end; token++) {
      const place = placeOf[token]!;
      let score: number;
      if (isExact) score = dotAt(this.#query, 0, exact, place * dim, dim);
      else {
        const cluster = clusterOf[token]!;
        const table = this.#tableOf(codebookOf[cluster]!);
        score = this.#centroidScores[cluster]! + sumProducts(table, codes, place * bytes, bytes);
      }
      // Scores are kept in single precision everywhere.
      score = Math.fround(score);
      if (score > best) [best, found] = [score, token];
    }
    return { token: found, score: best };
  }

  #tableOf(codebook: number): Float32Array {
    const { codebooks } = this.#file;
    this.#tables[codebook] ??= byteProducts(
      this.#query,
      codebooks.subarray(codebook * levels, (codebook + 1) * levels),
    );
    return this.#tables[codebook]!;
  }
}

/** Four sums at a time, always in this order. */
function sumProducts(table: Float32Array, codes: Uint8Array, first: number, bytes: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const whole = bytes - (bytes & 3);
  let byte = 0;
  for (; byte < whole; byte += 4) {
    const [row, at] = [byte << 8, first + byte];
    s0 += table[row + codes[at]!]!;
    s1 += table[row + 256 + codes[at + 1]!]!;
    s2 += table[row + 512 + codes[at + 2]!]!;
    s3 += table[row + 768 + codes[at + 3]!]!;
  }
  for (; byte < bytes; byte++) s0 += table[(byte << 8) + codes[first + byte]!]!;
  return s0 + s1 + (s2 + s3);
}
