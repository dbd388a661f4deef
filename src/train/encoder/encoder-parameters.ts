/** First values of an encoder's parameters. */
import { JetonError } from "../../core/index.ts";
import { type EncoderConfig, fixedMixerParameters } from "../../model/index.ts";
import {
  type InitializationOptions,
  noInductionHeads,
  type ParameterValue,
  readDeviations,
  sampleValues,
} from "../graph/parameters.ts";
import { initializeMixer } from "./mixer-training.ts";

/**
 * First values: matrices normal, norms neutral, biases zero. Each parameter's values depend on the seed and its own
 * name only.
 *
 * @param shapes of all parameters by name, heads among them
 *
 * @throws JetonError `option-invalid` for a deviation that is no number of at least 0, and for induction heads
 */
export function initializeEncoder(
  config: EncoderConfig,
  shapes: ReadonlyMap<string, readonly number[]>,
  seed: number,
  options: InitializationOptions = {},
): Map<string, ParameterValue> {
  const { inductionHeads, matrix, embedding, head, outputOf } = readDeviations(options);
  if (inductionHeads) throw noInductionHeads(config.family);
  const isNorm = (name: string): boolean => shapes.get(name)!.length === 1 && /weight$/.test(name);
  const values = sampleValues(shapes, seed, (name) => {
    if (shapes.get(name)!.length < 2) return undefined;
    if (/embeddings?\.|shared\./.test(name)) return embedding;
    if (/^(cls|lm_head|classifier|decoder)\b/.test(name)) return head;
    return isOutput(name) ? outputOf(config.layers) : matrix;
  });
  for (const [name, { data }] of values) if (isNorm(name)) data.fill(1);
  if (config.mixer) initializeMixer(config, values, seed);
  return values;
}

/**
 * Refuses encoders over a decoder's layers, which are read and not trained.
 *
 * @throws JetonError `model-family-unknown`
 */
export function checkTrainable({ family, backbone }: EncoderConfig): void {
  if (backbone === undefined) return;
  throw new JetonError(
    `an encoder over the layers of a decoder (${family}) is not trained here, only read`,
    { code: "model-family-unknown", details: { family } },
  );
}

/**
 * Patterns of the parameters that no training changes: constants that checkpoints store.
 *
 * @param frozen patterns of a caller
 */
export function withFixedParameters(
  config: EncoderConfig,
  frozen: readonly string[],
): readonly string[] {
  return config.mixer ? [...frozen, ...fixedMixerParameters] : frozen;
}

/** Whether a matrix writes into the residual stream. */
function isOutput(name: string): boolean {
  return /(output\.dense|out_lin|ffn\.lin2|attn\.o|Wo|out_proj|mlp\.fc2|ffn_output|attention\.dense)\.weight$/.test(
    name,
  );
}
