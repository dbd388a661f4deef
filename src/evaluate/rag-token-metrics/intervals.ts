/** Sets of positions as sorted lists of half-open intervals that do not touch. */

/** Positions from `start` up to, but not including, `end`. */
export interface Interval {
  readonly start: number;
  readonly end: number;
}

/** The union of intervals, sorted; empty ones vanish, touching ones become one. */
export function uniteIntervals(intervals: readonly Interval[]): Interval[] {
  const sorted = intervals.filter(({ start, end }) => end > start);
  sorted.sort((a, b) => a.start - b.start || a.end - b.end);
  const united: Interval[] = [];
  for (const interval of sorted) {
    const last = united.at(-1);
    if (last === undefined || interval.start > last.end) united.push(interval);
    else if (interval.end > last.end) {
      united[united.length - 1] = { start: last.start, end: interval.end };
    }
  }
  return united;
}

/** Positions that are in both; both lists must be unions. */
export function intersectIntervals(a: readonly Interval[], b: readonly Interval[]): Interval[] {
  const common: Interval[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [x, y] = [a[i]!, b[j]!];
    const start = Math.max(x.start, y.start);
    const end = Math.min(x.end, y.end);
    if (start < end) common.push({ start, end });
    if (x.end < y.end) i++;
    else j++;
  }
  return common;
}

/** Sum of the lengths: the number of positions, for a union. */
export function totalLength(intervals: readonly Interval[]): number {
  return intervals.reduce((sum, { start, end }) => sum + (end - start), 0);
}

/** Whether two intervals share a position; touching is not enough. */
export function overlaps(a: Interval, b: Interval): boolean {
  return a.start < b.end && b.start < a.end && a.start < a.end && b.start < b.end;
}
