/** Texts as inputs of an encoder's training graphs, and the states that the graphs make of them. */
import {
  applyModules,
  type DecoderWeights,
  type EncoderConfig,
  encode,
  layOutEncoderTexts,
  type PoolingMode,
  paddingMask,
  type VectorModule,
  writePoolingWeights,
} from "../../model/index.ts";
import {
  float32,
  int32,
  matmul,
  squeeze,
  type Tensor,
  type TensorType,
  type TensorValue,
} from "../../tensor/index.ts";

/** A text as ids, with the special tokens of the tokenizer's template. */
export interface EncodedText {
  readonly ids: Int32Array;
  readonly types?: Int32Array;
  /** Tokens, where padding that is a part of the text follows them. Default: all ids. */
  readonly length?: number;
  /** 1 for tokens that others see. Default: all 1. */
  readonly attended?: Uint8Array;
  /** 1 for tokens whose vectors count in late interaction. Default: all 1. */
  readonly kept?: Uint8Array;
}

/** How states become the vector of a text. */
export interface VectorPipeline {
  /** A pooling that adds states up; `max` does not. */
  readonly pooling: Exclude<PoolingMode, "max">;
  /** Behind the pooling, in this order. */
  readonly modules: readonly VectorModule[];
}

/**
 * Types of the tensors that hold the texts of one side, named `SIDE.NAME`; `present` of a Monarch Mixer only.
 */
export function textTypes(side: string, config: EncoderConfig): Record<string, TensorType> {
  const shape = [side, `${side}Time`];
  return {
    [`${side}.ids`]: int32(shape),
    [`${side}.positions`]: int32(shape),
    [`${side}.types`]: int32(shape),
    [`${side}.attended`]: float32(shape),
    ...(config.mixer && { [`${side}.present`]: float32(shape) }),
  };
}

/** Tensors of the texts of one side. */
export function textValues(
  side: string,
  config: EncoderConfig,
  texts: readonly EncodedText[],
): Record<string, TensorValue> {
  const { batch, time, ...laid } = layOutEncoderTexts(config, texts);
  const shape = [batch, time];
  return {
    [`${side}.ids`]: { dtype: "int32", shape, data: laid.ids },
    [`${side}.positions`]: { dtype: "int32", shape, data: laid.positions },
    [`${side}.types`]: { dtype: "int32", shape, data: laid.types },
    [`${side}.attended`]: { dtype: "float32", shape, data: laid.attended },
    ...(config.mixer && {
      [`${side}.present`]: { dtype: "float32" as const, shape, data: laid.present },
    }),
  };
}

/** States `[texts, time, hiddenSize]` of the texts of one side. */
export function encodeSide(
  side: string,
  config: EncoderConfig,
  weights: DecoderWeights,
  input: Readonly<Record<string, Tensor>>,
): Tensor {
  return encode(config, weights, {
    ids: input[`${side}.ids`]!,
    positions: input[`${side}.positions`]!,
    types: input[`${side}.types`]!,
    mask: paddingMask(input[`${side}.attended`]!),
    present: input[`${side}.present`],
    tables: input,
  });
}

/** Type of the weights by which a side's states are pooled. */
export function poolTypes(side: string): Record<string, TensorType> {
  return { [`${side}.pool`]: float32([side, 1, `${side}Time`]) };
}

/** Those weights. */
export function poolValues(
  side: string,
  texts: readonly EncodedText[],
  time: number,
  { pooling }: VectorPipeline,
): Record<string, TensorValue> {
  const data = new Float32Array(texts.length * time);
  for (const [row, { ids, length = ids.length }] of texts.entries()) {
    const target = data.subarray(row * time, (row + 1) * time);
    writePoolingWeights(pooling, { length, skipped: 0 }, target);
  }
  return { [`${side}.pool`]: { dtype: "float32", shape: [texts.length, 1, time], data } };
}

/** Vectors `[texts, width]` of the texts of one side. */
export function sideVectors(
  side: string,
  config: EncoderConfig,
  weights: DecoderWeights,
  input: Readonly<Record<string, Tensor>>,
  { modules }: VectorPipeline,
): Tensor {
  const states = encodeSide(side, config, weights, input);
  return applyModules(weights, squeeze(matmul(input[`${side}.pool`]!, states), 1), modules);
}
