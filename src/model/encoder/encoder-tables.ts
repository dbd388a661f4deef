/** Tables that an encoder's programs read beside its texts: rotations, and those of long convolutions. */
import type { TensorType, TensorValue } from "../../tensor/index.ts";
import { float32 } from "../../tensor/index.ts";
import { rotationTables } from "../decoder/full-sequence.ts";
import type { EncoderConfig } from "./config.ts";
import { mixerTableTypes, mixerTableValues } from "./mixer/mixer-tables.ts";

/**
 * Types of the tables that an encoder reads: `rope.N.cos` and `.sin` `[positions, half]`, and of a Monarch Mixer the
 * `monarch.…` of `mixerTableTypes`.
 */
export function encoderTableTypes(config: EncoderConfig): Record<string, TensorType> {
  const types: Record<string, TensorType> = config.mixer ? mixerTableTypes() : {};
  for (const [index, rope] of config.ropes.entries()) {
    types[`rope.${index}.cos`] = float32(["positions", rope.rotaryDim / 2]);
    types[`rope.${index}.sin`] = float32(["positions", rope.rotaryDim / 2]);
  }
  return types;
}

/**
 * Values of these tables for texts of up to `length` tokens, filling included.
 *
 * @param reached tokens of the longest text, for rotations that depend on them. Default: `length`
 */
export function encoderTables(
  config: EncoderConfig,
  length: number,
  reached: number = length,
): Record<string, TensorValue> {
  const { mixer } = config;
  return { ...rotationTables(config, length, reached), ...(mixer && mixerTableValues(length)) };
}
