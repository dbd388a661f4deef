/** First values of the parameters: random ones, or those of a checkpoint. */

import { checkpointFolder, openCheckpoint } from "../../checkpoint/index.ts";
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

/**
 * All parameters of an architecture from a checkpoint folder.
 *
 * @param begin first values, of which those are taken that may begin anew and that the checkpoint lacks
 */
export async function readWeights(
  folder: string,
  { parameters, rename, adapt, mayBegin }: Architecture,
  begin?: () => ReadonlyMap<string, ParameterValue>,
): Promise<Map<string, ParameterValue>> {
  await using opened = await openCheckpoint(await checkpointFolder(folder));
  const checkpoint = rename?.(opened) ?? opened;
  const values = new Map<string, ParameterValue>();
  let first: ReadonlyMap<string, ParameterValue> | undefined;
  for (const [name, shape] of parameters) {
    if (begin && mayBegin?.(name) && !checkpoint.tensors.has(name)) {
      first ??= begin();
      values.set(name, first.get(name)!);
      continue;
    }
    const stored = { shape, data: await readParameter(checkpoint, name, shape) };
    const own = checkpoint.tensors.get(name)?.shape ?? shape;
    values.set(name, adapt?.(name, { ...stored, shape: own }) ?? stored);
  }
  return values;
}
