/**
 * The parameters of a model that starts from nothing: names, shapes and first values.
 */
import { createRandom, JetonError } from "../../core/index.ts";
import {
  type Byte2WordConfig,
  byte2WordParameterShapes,
  type DecoderConfig,
  decoderNames,
  decoderParameterShapes,
  type WordModelConfig,
  type WordStack,
  wordParameterNames,
  wordParameterShapes,
} from "../../model/index.ts";
import { isMatrix } from "../optimizer/optimizer.ts";
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
  const { inductionHeads, matrix, embedding, head, outputOf } = readDeviations(options);
  const shapes = decoderParameterShapes(config);
  const values = sampleValues(shapes, seed, (name) => {
    // Routers are matrices too: one of zeros would send all tokens to the same experts.
    if (!isMatrix(name, shapes.get(name)!)) return undefined;
    if (name === decoderNames.embedding) return embedding;
    if (name === decoderNames.head) return head;
    return isOutput(name) ? outputOf(config.layers) : matrix;
  });
  for (const [name, { data }] of values) {
    if (name.endsWith("norm.weight")) data.fill(1 - config.normOffset);
  }
  if (inductionHeads) plantInductionHeads(values, config, seed);
  return values;
}

/**
 * First values of a model of words, as those of a decoder in each of its stacks.
 *
 * @throws JetonError `option-invalid` for a deviation that is no number of at least 0, and for induction
 *   heads, which copy tokens and not words
 */
export function initializeWordModel(
  config: WordModelConfig,
  seed: number,
  options: InitializationOptions = {},
): Map<string, ParameterValue> {
  const { inductionHeads, matrix, embedding, head, outputOf } = readDeviations(options);
  if (inductionHeads) throw noInductionHeads(config.family);
  const names = wordParameterNames;
  const values = sampleValues(wordParameterShapes(config), seed, (name) => {
    if (name.endsWith("norm.weight")) return undefined;
    if (name === names.embedding || name === names.prefixes) return embedding;
    if (name === names.head) return head;
    return isOutput(name) ? outputOf(config[name.split(".")[0] as WordStack].layers) : matrix;
  });
  for (const [name, { data }] of values) if (name.endsWith("norm.weight")) data.fill(1);
  return values;
}

/**
 * First values of a byte2word encoder: matrices normal, norms neutral, biases zero.
 *
 * @throws JetonError `option-invalid` for a deviation that is no number of at least 0, and for induction heads
 */
export function initializeByte2Word(
  config: Byte2WordConfig,
  seed: number,
  options: InitializationOptions = {},
): Map<string, ParameterValue> {
  const { inductionHeads, matrix, embedding, head, outputOf } = readDeviations(options);
  if (inductionHeads) throw noInductionHeads("byte2word");
  const isNorm = (name: string): boolean => /(^|\.)(LayerNorm|norm)\.weight$/.test(name);
  const values = sampleValues(byte2WordParameterShapes(config), seed, (name) => {
    if (name.endsWith(".bias") || isNorm(name)) return undefined;
    if (/^(byte_|embeddings\.|pooler\.query)/.test(name)) return embedding;
    if (/^(head\.output|classifier)\./.test(name)) return head;
    return /\.output\.dense\.weight$/.test(name) ? outputOf(config.encoder.layers) : matrix;
  });
  for (const [name, { data }] of values) if (isNorm(name)) data.fill(1);
  return values;
}

/** The error for induction heads in a model that has none. */
export function noInductionHeads(family: string): JetonError {
  return new JetonError(`inductionHeads cannot be planted in a ${family} model`, {
    code: "option-invalid",
    details: { option: "inductionHeads", found: true, expected: "a decoder" },
  });
}

/** Whether a matrix writes into the residual stream. */
function isOutput(name: string): boolean {
  return /\.(o_proj|down_proj|w2|output_linear)(\.weight)?$/.test(name);
}

/** `InitializationOptions` with their defaults. */
export interface Deviations {
  readonly inductionHeads: boolean;
  readonly matrix: number;
  readonly embedding: number;
  readonly head: number;
  /** Of the matrices of some layers that write into their residual stream. */
  readonly outputOf: (layers: { readonly length: number }) => number;
}

/** @throws JetonError `option-invalid` for a deviation that is no number of at least 0 */
export function readDeviations(options: InitializationOptions): Deviations {
  const { inductionHeads = false, ...deviations } = options;
  for (const [option, found] of Object.entries(deviations)) {
    if (found === undefined || (Number.isFinite(found) && found >= 0)) continue;
    throw new JetonError(`${option} is ${found}, expected a number of at least 0`, {
      code: "option-invalid",
      details: { option, found, expected: "a number of at least 0" },
    });
  }
  const { deviation: matrix = 0.02, outputDeviation } = deviations;
  return {
    inductionHeads,
    matrix,
    embedding: deviations.embeddingDeviation ?? matrix,
    head: deviations.headDeviation ?? matrix,
    outputOf: ({ length }) => outputDeviation ?? matrix / Math.sqrt(2 * length),
  };
}

/** Normal values of the deviation that belongs to a name; zeros where it has none. */
export function sampleValues(
  shapes: ReadonlyMap<string, readonly number[]>,
  seed: number,
  deviationOf: (name: string) => number | undefined,
): Map<string, ParameterValue> {
  const values = new Map<string, ParameterValue>();
  for (const [name, shape] of shapes) {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    const scale = deviationOf(name);
    if (scale !== undefined) {
      const random = createRandom(seed, "initialize", name);
      for (let i = 0; i < data.length; i++) data[i] = scale * random.normal();
    }
    values.set(name, { shape, data });
  }
  return values;
}
