/**
 * Records ranked by the clusters of their tokens alone, as PLAID's centroid interaction does: each query token counts a record
 * with the best centroid that one of its tokens belongs to. Only the nearest clusters are looked into; a record that has no
 * token there counts with the next centroid, an upper bound of what was left out (as XTR imputes).
 */
import type { InvertedFile } from "./inverted-file.ts";
import { kthLargest } from "./kth-largest.ts";

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
  /** `[clusters, count]`: products of the centroids with the query's tokens. */
  readonly centroidScores: Float32Array;
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
  const { lists, centroidScores, count, accepted } = options;
  const clusters = lists.starts.length - 1;
  const isEvery = accepted.every((one) => one === 1);
  const sums = new Float64Array(accepted.length);
  const seen = new Uint32Array(accepted.length);
  const column = new Float32Array(clusters);
  let base = 0;
  for (let at = 0; at < count; at++) {
    for (let cluster = 0; cluster < clusters; cluster++) {
      column[cluster] = centroidScores[cluster * count + at]!;
    }
    const { order, visited } = nearestClusters(column, options, isEvery);
    const bound = column[order[visited] ?? order[visited - 1]!]!;
    base += bound;
    for (let i = 0; i < visited; i++) {
      const gain = column[order[i]!]! - bound;
      const end = lists.starts[order[i]! + 1]!;
      for (let j = lists.starts[order[i]!]!; j < end; j++) {
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

/** Clusters by product downwards, at least one more than are visited where there is one. */
function nearestClusters(
  column: Float32Array,
  { lists, accepted, probes, candidates }: ClusterRankingOptions,
  isEvery: boolean,
): { order: readonly number[]; visited: number } {
  const countOf = (cluster: number): number => {
    const [start, end] = [lists.starts[cluster]!, lists.starts[cluster + 1]!];
    if (isEvery) return end - start;
    let found = 0;
    for (let at = start; at < end; at++) found += accepted[lists.records[at]!]!;
    return found;
  };
  let order: readonly number[] = [];
  let [visited, named] = [0, 0];
  for (let wanted = probes + 1; ; wanted *= 2) {
    order = bestClusters(column, wanted);
    while (visited < order.length && (visited < probes || named < candidates)) {
      named += countOf(order[visited]!);
      visited++;
    }
    if (visited < order.length || order.length === column.length) return { order, visited };
  }
}

/** The places of the best values downwards, then by number: at least `wanted`, or all. */
function bestClusters(column: Float32Array, wanted: number): readonly number[] {
  const bound = kthLargest(column.slice(), wanted);
  const best: number[] = [];
  for (let cluster = 0; cluster < column.length; cluster++) {
    if (column[cluster]! >= bound) best.push(cluster);
  }
  return best.sort((a, b) => column[b]! - column[a]! || a - b);
}
