/**
 * The compressor ("extensible tokenizer", theta_et): the first layers of a decoder, whose outputs for a window of
 * text stand in for the embeddings of its tokens.
 */
import { JetonError } from "../../core/index.ts";
import { norm } from "../../model/decoder/decoder-layer.ts";
import {
  type DecoderConfig,
  type DecoderWeights,
  decodeFullSequence,
  decoderNames,
  decoderParameterShapes,
  traceStoredWeights,
} from "../../model/index.ts";
import { matmul, parameter, type Tensor } from "../../tensor/index.ts";
import type { ParameterValue } from "../../train/index.ts";

/** The form of a compressor. */
export interface CompressorConfig {
  /** It has the form of so many first layers of the decoder. */
  readonly layers: number;
  /** Tokens that are compressed together (L of the paper); positions restart with each window. */
  readonly window: number;
  /** Factors (k) that it was trained for, ascending. */
  readonly factors: readonly number[];
  /** `"final"`: a norm behind the layers, which begins as the decoder's final one. */
  readonly norm: "none" | "final";
  /** A matrix behind all of it, which begins as the identity (ours). */
  readonly projection: boolean;
}

/** A compressor with its weights. */
export interface Compressor {
  readonly config: CompressorConfig;
  /** Digest of the model that it was trained for, as `identifyModel` gives it. */
  readonly model: string;
  /** By the names of the decoder's parameters, and `projectionName`. */
  readonly parameters: ReadonlyMap<string, ParameterValue>;
}

/** Name of the matrix behind the layers, `[hiddenSize, hiddenSize]`. */
export const projectionName = "projection.weight";

/** Stands before the names of a compressor's parameters where a graph holds the decoder's too. */
export const compressorPrefix = "compressor.";

/** The decoder's first layers as a decoder of their own. */
export function firstLayers(model: DecoderConfig, layers: number): DecoderConfig {
  return { ...model, layers: model.layers.slice(0, layers) };
}

/** Shapes of a compressor's parameters by name. */
export function compressorShapes(
  model: DecoderConfig,
  config: CompressorConfig,
): Map<string, readonly number[]> {
  const isOwn = (name: string): boolean =>
    /^model\.layers\.\d+\./.test(name) ||
    (config.norm === "final" && /^model\.norm\.\w+$/.test(name));
  const stored = decoderParameterShapes(firstLayers(model, config.layers));
  const shapes = new Map<string, readonly number[]>([...stored].filter(([name]) => isOwn(name)));
  if (config.projection) shapes.set(projectionName, [model.hiddenSize, model.hiddenSize]);
  return shapes;
}

/**
 * First values: those of the decoder's first layers and final norm, and the identity.
 *
 * @param values of the decoder's parameters
 */
export function initializeCompressor(
  shapes: ReadonlyMap<string, readonly number[]>,
  values: ReadonlyMap<string, ParameterValue>,
): Map<string, ParameterValue> {
  return new Map(
    [...shapes].map(([name, shape]) => {
      if (name !== projectionName) return [name, { shape, data: values.get(name)!.data.slice() }];
      const [width] = shape as [number, number];
      const data = new Float32Array(width * width);
      for (let at = 0; at < width; at++) data[at * width + at] = 1;
      return [name, { shape, data }];
    }),
  );
}

/**
 * Traces a compressor over windows that do not see each other.
 *
 * @param x embeddings `[windows, time, hiddenSize]` as the decoder's first layer reads them
 * @param input the inputs of `rotationTypes`, by name
 * @param prefix what stands before the names of its parameters in the graph
 * @returns outputs `[windows, time, hiddenSize]`, which are read in place of embeddings; that of a token depends on
 *   the tokens of its window up to itself
 */
export function traceCompressor(
  model: DecoderConfig,
  config: CompressorConfig,
  x: Tensor,
  input: Readonly<Record<string, Tensor>>,
  prefix: string = compressorPrefix,
): Tensor {
  const shapes = compressorShapes(model, config);
  const own = firstLayers(model, config.layers);
  const weights: DecoderWeights = traceStoredWeights(own, shapes, prefix);
  let states = decodeFullSequence(own, weights, x, input);
  if (config.norm === "final") {
    states = norm({ config: own, weights }, states, decoderNames.finalNorm);
  }
  if (!config.projection) return states;
  const matrix = parameter(`${prefix}${projectionName}`, [...shapes.get(projectionName)!]);
  return matmul(states, matrix, { transposeB: true });
}

/**
 * Checks the form of a compressor for a decoder.
 *
 * @throws JetonError `option-invalid`
 */
export function checkCompressorConfig(model: DecoderConfig, config: CompressorConfig): void {
  const invalid = (option: string, found: unknown, expected: string): JetonError =>
    new JetonError(`${option} is ${JSON.stringify(found)}, expected ${expected}`, {
      code: "option-invalid",
      details: { option, found, expected },
    });
  const { layers, window, factors } = config;
  const most = model.layers.length;
  if (!(Number.isSafeInteger(layers) && layers >= 0 && layers <= most)) {
    throw invalid("layers", layers, `a whole number from 0 to ${most}, those of the model`);
  }
  if (!(Number.isSafeInteger(window) && window >= 1 && window <= model.contextLength)) {
    throw invalid("window", window, `1 to ${model.contextLength}, the model's context`);
  }
  const isSorted = factors.every((factor, at) => at === 0 || factor > factors[at - 1]!);
  const areWhole = factors.every((factor) => Number.isSafeInteger(factor) && factor >= 1);
  if (factors.length === 0 || !areWhole || !isSorted) {
    throw invalid("factors", factors, "whole numbers from 1, ascending");
  }
}
