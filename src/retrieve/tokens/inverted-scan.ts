/** Products of one query vector with the tokens of an inverted file, from their codes. */
import type { InvertedFile } from "./inverted-file.ts";
import { type CentroidGroups, groupCentroids, takeLargest } from "./k-means.ts";
import { kthLargest } from "./kth-largest.ts";
import { dotAt, multiplyRows } from "./products.ts";
import { byteProducts, bytesPerRow, levels, scaleOf } from "./residuals.ts";

/** Where each token of an inverted file is. */
export interface TokenPlaces {
  /** Place among the runs, by the token's number. */
  readonly placeOf: Uint32Array;
  /** Cluster, by the token's number. */
  readonly clusterOf: Uint32Array;
}

const known: WeakMap<Uint32Array, TokenPlaces> = new WeakMap();

/** Where the tokens of a file are; remembered with it. */
export function placesOf({ tokens, starts }: InvertedFile): TokenPlaces {
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

const knownGroups: WeakMap<Float32Array, CentroidGroups> = new WeakMap();

/** Groups of a file's centroids. */
function groupsOf({ centroids, dim }: InvertedFile): CentroidGroups {
  const groups = knownGroups.get(centroids) ?? groupCentroids(centroids, dim);
  knownGroups.set(centroids, groups);
  return groups;
}

/** Centroids that are compared for each one that is wanted, so that the nearest are among them. */
const comparedForWanted = 6;

/** Scores tokens for one query vector. A token has one score, whichever way it is come by. */
export class InvertedScan {
  readonly #file: InvertedFile;
  readonly #query: Float32Array;
  readonly #tables: (Float32Array | undefined)[] = [];
  readonly #groups: CentroidGroups;
  /** The product with each centroid; NaN where it was not wanted yet. */
  readonly #centroidScores: Float32Array;
  /** Products with the groups' centers; minus infinity where a group's centroids were compared. */
  readonly #groupScores: Float32Array;
  /** Groups whose centroids were not compared yet. */
  #groupsLeft: number;
  /** Centroids that were compared and are not in the order yet. */
  #compared: number[] = [];
  #order: number[] = [];

  constructor(file: InvertedFile, query: Float32Array) {
    this.#file = file;
    this.#query = query;
    this.#groups = groupsOf(file);
    this.#centroidScores = new Float32Array(file.starts.length - 1).fill(Number.NaN);
    this.#groupsLeft = this.#groups.members.length;
    this.#groupScores = new Float32Array(this.#groupsLeft);
    multiplyRows(query, this.#groups.centers, file.dim, this.#groupScores);
  }

  /** Number of clusters. */
  get clusters(): number {
    return this.#centroidScores.length;
  }

  /**
   * Clusters by product downwards, then by number: all of them, or at least `count`. Of many clusters those of the nearest
   * groups are compared. What was given once stays in front.
   */
  nearest(count: number): readonly number[] {
    const wanted = Math.min(count, this.clusters);
    while (this.#order.length < wanted) {
      const more = Math.max(count, 2 * (wanted - this.#order.length));
      this.#compareGroups(comparedForWanted * more);
      this.#appendBest(more);
    }
    return this.#order;
  }

  /** Compares the centroids of the nearest groups, until this many wait for their place in the order. */
  #compareGroups(count: number): void {
    const compared = this.#compared;
    for (; compared.length < count && this.#groupsLeft > 0; this.#groupsLeft--) {
      const members = this.#groups.members[takeLargest(this.#groupScores)]!;
      for (let i = 0; i < members.length; i++) {
        this.#scoreOf(members[i]!);
        compared.push(members[i]!);
      }
    }
  }

  #appendBest(count: number): void {
    const scores = this.#centroidScores;
    const compared = this.#compared;
    const bound = kthLargest(
      Float32Array.from(compared, (cluster) => scores[cluster]!),
      count,
    );
    const best = compared.filter((cluster) => scores[cluster]! >= bound);
    this.#compared = compared.filter((cluster) => scores[cluster]! < bound);
    best.sort((a, b) => scores[b]! - scores[a]! || a - b);
    for (const cluster of best) this.#order.push(cluster);
  }

  /** The product with a centroid. */
  #scoreOf(cluster: number): number {
    const known = this.#centroidScores[cluster]!;
    if (!Number.isNaN(known)) return known;
    const { centroids, dim } = this.#file;
    this.#centroidScores[cluster] = dotAt(this.#query, 0, centroids, cluster * dim, dim);
    return this.#centroidScores[cluster]!;
  }

  /**
   * Scores the tokens of a cluster in the order of its run.
   *
   * @param into gets a score for each token of the run
   * @returns how many there are
   */
  scoreCluster(cluster: number, into: Float32Array): number {
    const { dim, starts, codes, scales, exact, codebookOf } = this.#file;
    const [start, end] = [starts[cluster]!, starts[cluster + 1]!];
    if (exact.length > 0) {
      for (let at = start; at < end; at++) {
        into[at - start] = dotAt(this.#query, 0, exact, at * dim, dim);
      }
      return end - start;
    }
    const table = this.#tableOf(codebookOf[cluster]!);
    const base = this.#scoreOf(cluster);
    const bytes = bytesPerRow(dim);
    for (let at = start; at < end; at++) {
      into[at - start] =
        base + scaleOf[scales[at]!]! * sumProducts(table, codes, at * bytes, bytes);
    }
    return end - start;
  }

  /** The score of the best token of a range of numbers, and which it is; the first of equals. */
  bestOf(first: number, end: number): { token: number; score: number } {
    const { dim, codes, scales, exact, codebookOf } = this.#file;
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
        const sum = sumProducts(table, codes, place * bytes, bytes);
        score = this.#scoreOf(cluster) + scaleOf[scales[place]!]! * sum;
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
