/** First values of the parameters: random ones, or those of a checkpoint. */

import { openCheckpoint } from "../../checkpoint/index.ts";
import { readParameter } from "../../model/index.ts";
import type { Architecture } from "../architectures.ts";
import type { ParameterValue } from "../graph/parameters.ts";
import type { TrainLanguageModelOptions } from "../language-model-options.ts";
import type { RunFolder } from "./run-folder.ts";

/** First values; those of a run that goes on come from its checkpoint, and the originals may be gone. */
export async function chooseFirstValues(
  run: RunFolder,
  options: TrainLanguageModelOptions,
  architecture: Architecture,
  seed: number,
): Promise<Map<string, ParameterValue>> {
  const { parameters: shapes } = architecture;
  if ((await run.checkpoints()).length > 0) {
    const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
    return new Map(
      [...shapes].map(([name, shape]) => [name, { shape, data: new Float32Array(sizeOf(shape)) }]),
    );
  }
  return options.initialWeights === undefined
    ? architecture.initialize(seed, options.initialization)
    : readWeights(options.initialWeights, architecture);
}

async function readWeights(
  folder: string,
  { parameters, rename }: Architecture,
): Promise<Map<string, ParameterValue>> {
  await using opened = await openCheckpoint(folder);
  const checkpoint = rename?.(opened) ?? opened;
  const values = new Map<string, ParameterValue>();
  for (const [name, shape] of parameters) {
    values.set(name, { shape, data: await readParameter(checkpoint, name) });
  }
  return values;
}
