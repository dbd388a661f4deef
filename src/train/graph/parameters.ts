/**
 * The parameters of a decoder that starts from nothing: names, shapes and first values.
 */
import { createRandom, JetonError } from "../../core/index.ts";
import {
  type DecoderConfig,
  decoderNames,
  decoderParameterShapes,
  matrixGroups,
} from "../../model/index.ts";
import { plantInductionHeads } from "./induction-heads.ts";

export { decoderParameterShapes };

/** Values of a parameter in row-major order. */
export interface ParameterValue {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Deviations of the normal distributions that first values are drawn from. */
export interface InitializationOptions {
  /** Of matrices. Default 0.02. */
  deviation?: number;
  /**
   * Of the embedding table. Default: as matrices. With 1 a token outweighs what the layers first add
   * to it, which small models learn sooner from.
   */
  embeddingDeviation?: number;
  /** Of a head that has a table of its own. Default: as matrices. */
  headDeviation?: number;
  /**
   * Of the matrices that write into the residual stream. Default: `deviation` divided by the root of
   * their number (Radford et al., 2019); 0 lets every layer begin as the identity.
   */
  outputDeviation?: number;
  /**
   * Plant heads that copy what followed an earlier occurrence of the present token, see
   * `plantInductionHeads`. Default false.
   */
  inductionHeads?: boolean;
}

/**
 * First values: matrices normal, norms neutral, biases zero. Each parameter's values depend on the seed
 * and its own name only.
 *
 * @throws JetonError `option-invalid` for a deviation that is no number of at least 0
 */
export function initializeDecoder(
  config: DecoderConfig,
  seed: number,
  options: InitializationOptions = {},
): Map<string, ParameterValue> {
  const { inductionHeads = false, ...deviations } = options;
  for (const [option, found] of Object.entries(deviations)) {
    if (found === undefined || (Number.isFinite(found) && found >= 0)) continue;
    throw new JetonError(`${option} is ${found}, expected a number of at least 0`, {
      code: "option-invalid",
      details: { option, found, expected: "a number of at least 0" },
    });
  }
  const { deviation = 0.02 } = options;
  const { embeddingDeviation = deviation, headDeviation = deviation } = options;
  const { outputDeviation = deviation / Math.sqrt(2 * config.layers.length) } = options;
  const deviationOf = (name: string): number => {
    if (name === decoderNames.embedding) return embeddingDeviation;
    if (name === decoderNames.head) return headDeviation;
    return /\.(o_proj|down_proj)\.weight$/.test(name) ? outputDeviation : deviation;
  };
  const matrices = new Set([decoderNames.embedding, ...matrixGroups(config).flat()]);
  const values = new Map<string, ParameterValue>();
  for (const [name, shape] of decoderParameterShapes(config)) {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    if (matrices.has(name)) {
      const random = createRandom(seed, "initialize", name);
      const scale = deviationOf(name);
      for (let i = 0; i < data.length; i++) data[i] = scale * random.normal();
    } else if (name.endsWith("norm.weight")) {
      data.fill(1 - config.normOffset);
    }
    values.set(name, { shape, data });
  }
  if (inductionHeads) plantInductionHeads(values, config, seed);
  return values;
}
