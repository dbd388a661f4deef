/** Which rows of a table lie nearest to a row: what a predicted embedding resembles. */
import { dotProduct } from "./score-with-tables.ts";

/** A row of the table. */
export interface NearRow {
  /** Its number, the token's id. */
  readonly id: number;
  /** Cosine of the angle between the two. */
  readonly cosine: number;
}

/**
 * The rows with the largest cosine, nearest first; rows of zeros are none of them.
 *
 * @param table `[rows, width]`, where the width is the row's
 * @param count rows that are wanted. Default 5
 */
export function nearestRows(row: Float32Array, table: Float32Array, count = 5): NearRow[] {
  const width = row.length;
  const norm = Math.sqrt(dotProduct(row, row, 0));
  const found: NearRow[] = [];
  for (let id = 0; id < table.length / width; id++) {
    const other = table.subarray(id * width, (id + 1) * width);
    const product = norm * Math.sqrt(dotProduct(other, other, 0));
    if (product > 0) found.push({ id, cosine: dotProduct(row, table, id * width) / product });
  }
  return found.sort((a, b) => b.cosine - a.cosine || a.id - b.id).slice(0, count);
}
