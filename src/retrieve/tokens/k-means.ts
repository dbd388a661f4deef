/** Spherical k-means: centroids of length 1 that vectors of length 1 gather around. */
import { createRandom } from "../../core/index.ts";
import { dotAt, multiplyRows } from "./products.ts";

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

/**
 * The place of the nearest centroid of each row, the first of equals. Among many centroids it is the nearest of those
 * in the nearest groups, which takes a tenth of the time and is seldom another one.
 */
export function assignRows(rows: Float32Array, centroids: Float32Array, dim: number): Uint32Array {
  const count = rows.length / dim;
  const clusters = centroids.length / dim;
  const nearest = new Uint32Array(count);
  if (clusters < groupFrom) {
    const all = Uint32Array.from({ length: clusters }, (_, cluster) => cluster);
    for (let row = 0; row < count; row++) {
      nearest[row] = nearestOf(rows, row * dim, centroids, dim, all, -1);
    }
    return nearest;
  }
  const { centers, members } = groupCentroids(centroids, dim);
  const scores = new Float32Array(members.length);
  for (let row = 0; row < count; row++) {
    multiplyRows(rows.subarray(row * dim, (row + 1) * dim), centers, dim, scores);
    let best = -1;
    for (let look = 0; look < groupsOfRow; look++) {
      let group = 0;
      for (let other = 1; other < scores.length; other++) {
        if (scores[other]! > scores[group]!) group = other;
      }
      scores[group] = Number.NEGATIVE_INFINITY;
      best = nearestOf(rows, row * dim, centroids, dim, members[group]!, best);
    }
    nearest[row] = best;
  }
  return nearest;
}

/** The nearest of some centroids, or `known` where none is nearer. */
function nearestOf(
  rows: Float32Array,
  at: number,
  centroids: Float32Array,
  dim: number,
  some: Uint32Array,
  known: number,
): number {
  let found = known;
  let best = known < 0 ? Number.NEGATIVE_INFINITY : dotAt(rows, at, centroids, known * dim, dim);
  for (let i = 0; i < some.length; i++) {
    const product = dotAt(rows, at, centroids, some[i]! * dim, dim);
    if (product > best) {
      best = product;
      found = some[i]!;
    }
  }
  return found;
}

/** Centroids in groups of those that are near to each other. */
export interface CentroidGroups {
  /** `[groups, dim]`, of length 1. */
  readonly centers: Float32Array;
  /** Numbers of the centroids of each group. */
  readonly members: readonly Uint32Array[];
}

/** Groups centroids, about as many groups as centroids in each. */
export function groupCentroids(centroids: Float32Array, dim: number): CentroidGroups {
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
