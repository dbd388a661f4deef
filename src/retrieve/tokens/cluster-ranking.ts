/**
 * Records ranked by the clusters of their tokens alone, as PLAID's centroid interaction does: each query token counts a record
 * with the best centroid that one of its tokens belongs to. Only the nearest clusters are looked into; a record that has no
 * token there counts with the next centroid, an upper bound of what was left out (as XTR imputes).
 */
import type { InvertedFile } from "./inverted-file.ts";
import type { CentroidScores } from "./token-engine.ts";

/** Records by cluster, each once in a cluster. */
export interface ClusterRecords {
  /** `[clusters + 1]` */
  readonly starts: Uint32Array;
  /** Places of the records, ascending in each cluster. */
  readonly records: Uint32Array;
}

const known: WeakMap<Uint32Array, ClusterRecords> = new WeakMap();

/** Lists the records of each cluster; remembered with the file. */
export function recordsOfClusters(
  { tokens, starts }: InvertedFile,
  recordOf: Uint32Array,
): ClusterRecords {
  let lists = known.get(tokens);
  if (lists === undefined) {
    const records = new Uint32Array(tokens.length);
    const ends = new Uint32Array(starts.length);
    let size = 0;
    for (let cluster = 0; cluster + 1 < starts.length; cluster++) {
      // Tokens ascend in a cluster, so those of one record stand together.
      let last = -1;
      for (let at = starts[cluster]!; at < starts[cluster + 1]!; at++) {
        const record = recordOf[tokens[at]!]!;
        if (record !== last) records[size++] = record;
        last = record;
      }
      ends[cluster + 1] = size;
    }
    lists = { starts: ends, records: records.slice(0, size) };
    known.set(tokens, lists);
  }
  return lists;
}

/** What is ranked, and how far each query token looks. */
export interface ClusterRankingOptions {
  readonly lists: ClusterRecords;
  /** Products of the centroids with the query's tokens. */
  readonly centroids: CentroidScores;
  /** Query tokens. */
  readonly count: number;
  /** 1 for each record that may be found. */
  readonly accepted: Uint8Array;
  /** Clusters that each query token looks into at least. */
  readonly probes: number;
  /** Records that these clusters name together at least, those in several clusters counted in each. */
  readonly candidates: number;
}

/** The mean over query tokens for every record; meaningless where `accepted` is 0. */
export function rankByClusters(options: ClusterRankingOptions): Float64Array {
  const { lists, centroids, count, accepted } = options;
  const { scores } = centroids;
  const isEvery = accepted.every((one) => one === 1);
  const sums = new Float64Array(accepted.length);
  const seen = new Uint32Array(accepted.length);
  let base = 0;
  for (let at = 0; at < count; at++) {
    const { order, visited } = nearestClusters(at, options, isEvery);
    const bound = scores[order[Math.min(visited, order.length - 1)]! * count + at]!;
    base += bound;
    for (let i = 0; i < visited; i++) {
      const cluster = order[i]!;
      const gain = scores[cluster * count + at]! - bound;
      const end = lists.starts[cluster + 1]!;
      for (let j = lists.starts[cluster]!; j < end; j++) {
        const record = lists.records[j]!;
        // Nearer clusters come first: the first that names a record holds its best token.
        if (seen[record] === at + 1) continue;
        seen[record] = at + 1;
        sums[record]! += gain;
      }
    }
  }
  return sums.map((sum) => (sum + base) / count);
}

/** Clusters of a query token by product downwards, at least one more than are visited where there is one. */
function nearestClusters(
  at: number,
  { lists, centroids, count, accepted, probes, candidates }: ClusterRankingOptions,
  isEvery: boolean,
): { order: ArrayLike<number>; visited: number } {
  const { scores, nearest, wanted } = centroids;
  const clusters = lists.starts.length - 1;
  const countOf = (cluster: number): number => {
    const [start, end] = [lists.starts[cluster]!, lists.starts[cluster + 1]!];
    if (isEvery) return end - start;
    let found = 0;
    for (let i = start; i < end; i++) found += accepted[lists.records[i]!]!;
    return found;
  };
  let order: ArrayLike<number> = nearest.subarray(at * wanted, (at + 1) * wanted);
  let [visited, named] = [0, 0];
  for (;;) {
    while (visited < order.length && (visited < probes || named < candidates)) {
      named += countOf(order[visited]!);
      visited++;
    }
    if (visited < order.length || order.length === clusters) return { order, visited };
    // The nearest ones name too few records, as behind a narrow filter.
    const column = Float32Array.from(
      { length: clusters },
      (_, cluster) => scores[cluster * count + at]!,
    );
    order = Int32Array.from(column.keys()).sort((a, b) => column[b]! - column[a]! || a - b);
  }
}
