/** Which tokens of a prompt a filter layer's scores choose. */

/** How scores are smoothed over neighbours. */
export interface PoolScoresOptions {
  /** Odd width. */
  readonly kernel: number;
  /**
   * `"average"`: zeros beyond both ends count; `"max"`: they do not.
   */
  readonly pooling: "average" | "max";
}

/** Pools scores over a window around each of them. */
export function poolScores(
  scores: ArrayLike<number>,
  { kernel, pooling }: PoolScoresOptions,
): Float64Array {
  const margin = (kernel - 1) / 2;
  return Float64Array.from({ length: scores.length }, (_, at) => {
    let sum = 0;
    let largest = Number.NEGATIVE_INFINITY;
    const end = Math.min(scores.length - 1, at + margin);
    for (let other = Math.max(0, at - margin); other <= end; other++) {
      sum += scores[other]!;
      largest = Math.max(largest, scores[other]!);
    }
    return pooling === "average" ? sum / kernel : largest;
  });
}

/** Places of the `count` largest scores, ascending; of equal ones the lower place is chosen. */
export function largestScores(scores: ArrayLike<number>, count: number): number[] {
  const places = Array.from({ length: scores.length }, (_, at) => at);
  places.sort((a, b) => scores[b]! - scores[a]! || a - b);
  return places.slice(0, count).sort((a, b) => a - b);
}
