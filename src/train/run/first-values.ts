/** First values of the parameters: random ones, or those of a checkpoint. */

import { openCheckpoint } from "../../checkpoint/index.ts";
import { readParameter } from "../../model/index.ts";
import type { Architecture } from "../architectures.ts";
import type { ParameterValue } from "../graph/parameters.ts";
import type { RunFolder } from "./run-folder.ts";

/**
 * First values; those of a run that goes on come from its checkpoint, and the originals may be gone.
 *
 * @param begin called for a run that begins
 */
export async function chooseFirstValues(
  run: Pick<RunFolder, "checkpoints">,
  shapes: ReadonlyMap<string, readonly number[]>,
  begin: () => Promise<Map<string, ParameterValue>>,
): Promise<Map<string, ParameterValue>> {
  if ((await run.checkpoints()).length === 0) return begin();
  const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
  return new Map(
    [...shapes].map(([name, shape]) => [name, { shape, data: new Float32Array(sizeOf(shape)) }]),
  );
}

/** All parameters of an architecture from a checkpoint folder; a row for a landmark may be missing there. */
export async function readWeights(
  folder: string,
  { parameters, rename, insertedRow }: Architecture,
): Promise<Map<string, ParameterValue>> {
  await using opened = await openCheckpoint(folder);
  const checkpoint = rename?.(opened) ?? opened;
  const values = new Map<string, ParameterValue>();
  for (const [name, shape] of parameters) {
    const data = await readParameter(checkpoint, name);
    const lacksRow = insertedRow?.has(name) && data.length === (shape[0]! - 1) * shape[1]!;
    values.set(name, { shape, data: lacksRow ? appendMeanRow(data, shape[1]!) : data });
  }
  return values;
}

/** A table with one more row, the mean of the others. */
function appendMeanRow(table: Float32Array, width: number): Float32Array {
  const grown = new Float32Array(table.length + width);
  grown.set(table);
  const rows = table.length / width;
  const mean = grown.subarray(table.length);
  for (const [at, value] of table.entries()) mean[at % width]! += value / rows;
  return grown;
}
