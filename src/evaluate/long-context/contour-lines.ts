/** The line along which a grid of values crosses a threshold, by marching squares. */

/** A piece of the line, in columns (x) and rows (y) of the grid. */
export interface Segment {
  readonly from: readonly [x: number, y: number];
  readonly to: readonly [x: number, y: number];
}

/**
 * The pieces of the line between values at or above a threshold and those below it, interpolated linearly along the sides
 * of each square of four neighbours. Squares with an unknown corner have none. E.g. rows of ones above rows of zeros cross 0.75 a quarter of the
 * way down.
 *
 * @param values rows of equal length; null: unknown
 */
export function findContour(
  values: readonly (readonly (number | null)[])[],
  threshold: number,
): Segment[] {
  const segments: Segment[] = [];
  for (let y = 0; y + 1 < values.length; y++) {
    for (let x = 0; x + 1 < values[y]!.length; x++) {
      const corners = [values[y]![x], values[y]![x + 1], values[y + 1]![x + 1], values[y + 1]![x]];
      if (corners.some((value) => value === null || value === undefined)) continue;
      segments.push(...crossSquare(corners as number[], x, y, threshold));
    }
  }
  return segments;
}

const offsets = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
] as const;

/** Crossings of a square's sides, joined; corners are clockwise from the upper left. */
function crossSquare(
  corners: readonly number[],
  x: number,
  y: number,
  threshold: number,
): Segment[] {
  const crossings: (readonly [number, number])[] = [];
  for (let side = 0; side < 4; side++) {
    const next = (side + 1) % 4;
    const [a, b] = [corners[side]!, corners[next]!];
    if (a >= threshold === b >= threshold) continue;
    const way = (a - threshold) / (a - b);
    const [fromX, fromY] = offsets[side]!;
    const [toX, toY] = offsets[next]!;
    crossings.push([x + fromX + way * (toX - fromX), y + fromY + way * (toY - fromY)]);
  }
  const [first, second, third, fourth] = crossings;
  if (first === undefined || second === undefined) return [];
  if (third === undefined || fourth === undefined) return [{ from: first, to: second }];
  // A saddle: the centre decides which corners belong together.
  const centre = corners.reduce((sum, value) => sum + value, 0) / 4;
  const isJoined = corners[0]! >= threshold === centre >= threshold;
  return isJoined
    ? [
        { from: first, to: second },
        { from: third, to: fourth },
      ]
    : [
        { from: fourth, to: first },
        { from: second, to: third },
      ];
}
