/** First values of an encoder that learns: random ones, or those of a checkpoint with random heads. */
import { checkpointFolder, openCheckpoint } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import {
  type EncoderConfig,
  encoderParameterShapes,
  nameEncoderTensors,
} from "../../model/index.ts";
import type { ParameterValue } from "../graph/parameters.ts";
import type { TrainEncoderOptions } from "./encoder-options.ts";
import { initializeEncoder } from "./encoder-parameters.ts";
import { stretchMixerValue } from "./mixer-training.ts";

/**
 * First values of all parameters. What a checkpoint lacks of heads and modules is random; what it lacks of the
 * encoder, or has in another shape, is an error.
 *
 * @throws JetonError `model-weights-missing`, `model-weights-shape`
 */
export async function firstEncoderValues(parts: {
  readonly options: Pick<TrainEncoderOptions, "initialWeights" | "initialization">;
  readonly config: EncoderConfig;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly seed: number;
}): Promise<Map<string, ParameterValue>> {
  const { options, config, shapes, seed } = parts;
  const { initialWeights } = options;
  const stored =
    initialWeights === undefined
      ? new Map<string, ParameterValue>()
      : await readEncoderValues(initialWeights, config, shapes);
  const absent = new Map([...shapes].filter(([name]) => !stored.has(name)));
  const random = initializeEncoder(config, absent, seed, options.initialization);
  return new Map([...shapes.keys()].map((name) => [name, (stored.get(name) ?? random.get(name))!]));
}

/** The stored values among some parameters of an encoder's checkpoint; all of the encoder's own must be there. */
async function readEncoderValues(
  folder: string,
  config: EncoderConfig,
  shapes: ReadonlyMap<string, readonly number[]>,
): Promise<Map<string, ParameterValue>> {
  await using opened = await openCheckpoint(await checkpointFolder(folder));
  const checkpoint = nameEncoderTensors(config, opened);
  const own = encoderParameterShapes(config);
  const values = new Map<string, ParameterValue>();
  for (const [name, shape] of shapes) {
    const entry = checkpoint.tensors.get(name);
    if (entry === undefined && !own.has(name)) continue;
    if (entry === undefined) {
      throw new JetonError(`${folder} has no tensor "${name}"`, {
        code: "model-weights-missing",
        details: { folder, name },
      });
    }
    if (entry.shape.join() !== shape.join()) {
      const data = await checkpoint.readFloat32(name);
      const stretched =
        config.mixer && stretchMixerValue(name, { shape: entry.shape, data }, shape);
      if (stretched && stretched.shape.join() === shape.join()) {
        values.set(name, stretched);
        continue;
      }
      // A head of other classes begins anew.
      if (!own.has(name)) continue;
      throw new JetonError(`"${name}" is [${entry.shape}], expected [${shape}]`, {
        code: "model-weights-shape",
        details: { folder, name, found: entry.shape, expected: shape },
      });
    }
    values.set(name, { shape, data: await checkpoint.readFloat32(name) });
  }
  return values;
}
