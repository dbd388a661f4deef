/** Spherical k-means: centroids of length 1 that vectors of length 1 gather around. */
import { createRandom } from "../../core/index.ts";
import { multiplyRows } from "./products.ts";

/** Options of `clusterRows`. */
export interface ClusterOptions {
  readonly centroids: number;
  readonly dim: number;
  /** Rounds of assigning and averaging. Default 4, as PLAID. */
  readonly rounds?: number;
  readonly seed?: number;
}

/** From how many centroids on a row is compared with those of the nearest groups alone. */
export const groupFrom = 512;
/** How many groups of centroids a row looks into. */
const groupsOfRow = 5;

/** Centroids to compare rows with, in double precision: single numbers would be converted at every product. */
interface CentroidBlock {
  /** `[places, dim]` */
  readonly rows: Float64Array;
  /** Numbers of the centroids. */
  readonly places: Uint32Array;
}

/** The best that a row has met. */
interface Nearest {
  product: number;
  centroid: number;
}

/**
 * The place of the nearest centroid of each row, the first of equals. Among many centroids it is the nearest of those
 * in the nearest groups, which takes a tenth of the time and is seldom another one.
 */
export function assignRows(rows: Float32Array, centroids: Float32Array, dim: number): Uint32Array {
  const count = rows.length / dim;
  const nearest = new Uint32Array(count);
  const { centers, members } = groupCentroids(centroids, dim);
  const blocks = members.map((places) => makeBlock(centroids, places, dim));
  const scores = new Float32Array(blocks.length);
  const row = new Float64Array(dim);
  const best: Nearest = { product: 0, centroid: 0 };
  for (let at = 0; at < count; at++) {
    row.set(rows.subarray(at * dim, (at + 1) * dim));
    best.product = Number.NEGATIVE_INFINITY;
    multiplyRows(rows.subarray(at * dim, (at + 1) * dim), centers, dim, scores);
    for (let look = 0; look < Math.min(groupsOfRow, blocks.length); look++) {
      compareRow(row, blocks[takeLargest(scores)]!, best);
    }
    nearest[at] = best.centroid;
  }
  return nearest;
}

/** The place of the largest score, which becomes minus infinity, so that the next call finds the next one. */
export function takeLargest(scores: Float32Array): number {
  let largest = 0;
  for (let other = 1; other < scores.length; other++) {
    if (scores[other]! > scores[largest]!) largest = other;
  }
  scores[largest] = Number.NEGATIVE_INFINITY;
  return largest;
}

function makeBlock(centroids: Float32Array, places: Uint32Array, dim: number): CentroidBlock {
  const rows = new Float64Array(places.length * dim);
  for (const [at, place] of places.entries()) {
    rows.set(centroids.subarray(place * dim, (place + 1) * dim), at * dim);
  }
  return { rows, places };
}

/** Compares a row with the centroids of a block, four at a time. */
function compareRow(row: Float64Array, { rows, places }: CentroidBlock, best: Nearest): void {
  const dim = row.length;
  const whole = places.length - (places.length & 3);
  for (let at = 0; at < whole; at += 4) {
    const first = at * dim;
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let i = 0; i < dim; i++) {
      const value = row[i]!;
      const from = first + i;
      s0 += value * rows[from]!;
      s1 += value * rows[from + dim]!;
      s2 += value * rows[from + 2 * dim]!;
      s3 += value * rows[from + 3 * dim]!;
    }
    keepBest(best, s0, places[at]!);
    keepBest(best, s1, places[at + 1]!);
    keepBest(best, s2, places[at + 2]!);
    keepBest(best, s3, places[at + 3]!);
  }
  for (let at = whole; at < places.length; at++) {
    let sum = 0;
    for (let i = 0; i < dim; i++) sum += row[i]! * rows[at * dim + i]!;
    keepBest(best, sum, places[at]!);
  }
}

function keepBest(best: Nearest, product: number, centroid: number): void {
  if (product <= best.product) return;
  best.product = product;
  best.centroid = centroid;
}

/** Centroids in groups of those that are near to each other. */
export interface CentroidGroups {
  /** `[groups, dim]`, of length 1. */
  readonly centers: Float32Array;
  /** Numbers of the centroids of each group. */
  readonly members: readonly Uint32Array[];
}

/** Groups centroids, about as many groups as centroids in each; few of them are one group. */
export function groupCentroids(centroids: Float32Array, dim: number): CentroidGroups {
  if (centroids.length / dim < groupFrom) {
    const all = Uint32Array.from({ length: centroids.length / dim }, (_, centroid) => centroid);
    return { centers: new Float32Array(dim), members: [all] };
  }
  const count = Math.min(groupFrom - 1, Math.ceil(Math.sqrt(centroids.length / dim)));
  const centers = clusterRows(centroids, { centroids: count, dim });
  const groupOf = assignRows(centroids, centers, dim);
  const members = Array.from({ length: centers.length / dim }, (): number[] => []);
  for (const [centroid, group] of groupOf.entries()) members[group]!.push(centroid);
  return { centers, members: members.map((some) => Uint32Array.from(some)) };
}

/**
 * Clusters rows. There are fewer centroids than asked for where there are fewer rows.
 *
 * @param rows `[count, dim]`, of length 1
 * @returns `[centroids, dim]`
 */
export function clusterRows(rows: Float32Array, options: ClusterOptions): Float32Array {
  const { dim, rounds = 4, seed = 0 } = options;
  const count = rows.length / dim;
  const clusters = Math.min(options.centroids, count);
  const random = createRandom(seed, "k-means");
  const starts = random.shuffle(Array.from({ length: count }, (_, row) => row)).slice(0, clusters);
  const centroids = new Float32Array(clusters * dim);
  for (const [cluster, row] of starts.sort((a, b) => a - b).entries()) {
    centroids.set(rows.subarray(row * dim, (row + 1) * dim), cluster * dim);
  }
  for (let round = 0; round < rounds; round++) {
    const nearest = assignRows(rows, centroids, dim);
    const sums = new Float64Array(clusters * dim);
    for (let row = 0; row < count; row++) {
      const [from, to] = [row * dim, nearest[row]! * dim];
      for (let i = 0; i < dim; i++) sums[to + i]! += rows[from + i]!;
    }
    for (let cluster = 0; cluster < clusters; cluster++) {
      moveCentroid(centroids, sums.subarray(cluster * dim, (cluster + 1) * dim), cluster * dim);
    }
  }
  return centroids;
}

/** A centroid that no row is nearest to stays where it is. */
function moveCentroid(centroids: Float32Array, sum: Float64Array, at: number): void {
  let square = 0;
  for (const value of sum) square += value * value;
  if (square === 0) return;
  const length = Math.sqrt(square);
  for (let i = 0; i < sum.length; i++) centroids[at + i] = sum[i]! / length;
}
