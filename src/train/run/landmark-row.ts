/** A checkpoint without landmarks as the beginning of a model with them. */
import { decoderNames } from "../../model/index.ts";
import type { ParameterValue } from "../graph/parameters.ts";

/** A table that lacks the row of the landmark gets the mean of its rows; every other value stays as it is. */
export function addLandmarkRow(
  name: string,
  value: ParameterValue,
  shape: readonly number[],
): ParameterValue {
  const [rows, width] = value.shape as [number, number];
  const isTable = name === decoderNames.embedding || name === decoderNames.head;
  if (!isTable || rows + 1 !== shape[0]) return value;
  const data = new Float32Array((rows + 1) * width);
  data.set(value.data);
  const mean = data.subarray(rows * width);
  for (const [at, number] of value.data.entries()) mean[at % width]! += number / rows;
  return { shape, data };
}
