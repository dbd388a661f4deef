/** Spherical k-means: centroids of length 1 that vectors of length 1 gather around. */
import { createRandom } from "../../core/index.ts";
import { dotAt } from "./products.ts";

/** Options of `clusterRows`. */
export interface ClusterOptions {
  readonly centroids: number;
  readonly dim: number;
  /** Rounds of assigning and averaging. Default 4, as PLAID. */
  readonly rounds?: number;
  readonly seed?: number;
}

/** The place of the nearest centroid of each row; the first of equals. */
export function assignRows(rows: Float32Array, centroids: Float32Array, dim: number): Uint32Array {
  const count = rows.length / dim;
  const clusters = centroids.length / dim;
  const nearest = new Uint32Array(count);
  for (let row = 0; row < count; row++) {
    let best = Number.NEGATIVE_INFINITY;
    for (let cluster = 0; cluster < clusters; cluster++) {
      const product = dotAt(rows, row * dim, centroids, cluster * dim, dim);
      if (product > best) {
        best = product;
        nearest[row] = cluster;
      }
    }
  }
  return nearest;
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
