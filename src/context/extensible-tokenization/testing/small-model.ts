/** A small random model with a compressor that is not made of its own layers, for tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "../../../core/index.ts";
import { type LoadedModel, loadModel } from "../../../model/index.ts";
import { createRandomCheckpoint } from "../../../testing/random-checkpoint.ts";
import { bundledModel } from "../../../testing/test-data.ts";
import { openArchitecture, type ParameterValue } from "../../../train/index.ts";
import { readWeights } from "../../../train/run/first-values.ts";
import type { Compressor, CompressorConfig } from "../compressor.ts";
import { compressorShapes, identifyModel, initializeCompressor } from "../index.ts";

export interface SmallModel extends AsyncDisposable {
  readonly model: LoadedModel;
  readonly values: ReadonlyMap<string, ParameterValue>;
  readonly compressor: Compressor;
}

export const smallForm: CompressorConfig = {
  layers: 2,
  window: 16,
  factors: [2, 4, 8],
  norm: "final",
  projection: true,
};

/** Opens a random model of a family; its compressor's weights are moved by a tenth. */
export async function openSmallModel(
  family: string,
  form: Partial<CompressorConfig> = {},
  seed = 3,
): Promise<SmallModel> {
  const folder = mkdtempSync(join(tmpdir(), "jeton-extensible-"));
  const tokenizer = join(bundledModel, "tokenizer.json");
  createRandomCheckpoint(folder, { family, seed, layers: 4, tokenizer });
  const how = { inline: true, threads: 1, format: "f32", onWarning: () => undefined } as const;
  const model = await loadModel(folder, how);
  const values = await readWeights(folder, openArchitecture(model.checkpoint.config));
  const config = { ...smallForm, ...form };
  const shapes = compressorShapes(model.config, config);
  const random = createRandom(seed, "compressor");
  const parameters = new Map(
    [...initializeCompressor(shapes, values)].map(([name, { shape, data }]) => [
      name,
      { shape, data: data.map((value) => value + 0.1 * random.normal() * (Math.abs(value) + 0.1)) },
    ]),
  );
  const compressor: Compressor = { config, model: await identifyModel(folder), parameters };
  return {
    ...{ model, values, compressor },
    async [Symbol.asyncDispose]() {
      await model.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Ids below 500 that repeat themselves now and then. */
export function someIds(count: number, seed = 1): number[] {
  const random = createRandom(seed, "ids");
  return Array.from({ length: count }, () => 3 + random.integer(480));
}

/** The last row of logits after rows of embeddings. */
export async function logitsAfter(
  model: LoadedModel,
  embeddings: Float32Array,
  results: "last" | "all" = "last",
): Promise<Float32Array> {
  const sequence = await model.openSequence();
  try {
    const rows = embeddings.length / model.config.hiddenSize;
    const ids = new Array<number>(rows).fill(-1);
    return (await sequence.step({ ids, embeddings, results, logits: true })).logits!;
  } finally {
    await sequence.release();
  }
}
