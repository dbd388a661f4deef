/** Reads a decoder's parameters for training, which needs their values and not their place in a file. */
import type { Checkpoint } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { type OtherPlace, otherPlaces } from "../decoder/expert-names.ts";
import {
  checkFused,
  decodeMxfp4,
  hasBlocks,
  mxfp4Block,
  type SplitEntry,
} from "./split-experts.ts";

/**
 * The values of a stored parameter. Experts that are stored as MXFP4 blocks (gpt-oss) are decoded, into the
 * layout `[experts, in, out]` in which the same family stores them as BF16. Experts that are stored fused are taken
 * apart, and matrices that `nameTensors` marks as transposed are turned.
 *
 * @param shape of the parameter, as `decoderParameterShapes` gives it
 * @throws JetonError `model-weights-shape` for blocks and scales that do not fit each other, and those of
 *   `Checkpoint.readFloat32`
 */
export async function readParameter(
  checkpoint: Checkpoint,
  name: string,
  shape: readonly number[],
): Promise<Float32Array> {
  const { tensors } = checkpoint;
  const blocks = tensors.get(`${name}_blocks`);
  const scales = tensors.get(`${name}_scales`);
  const entry: SplitEntry | undefined = tensors.get(name);
  if (entry) {
    const values = await checkpoint.readFloat32(name);
    return entry.encoding?.kind === "transposed" ? transposed(values, shape.toReversed()) : values;
  }
  const place = otherPlaces(name).find((other) => tensors.has(other.name));
  if (place) return readPlace(checkpoint, place, shape);
  if (!blocks || !scales) return checkpoint.readFloat32(name);
  if (!hasBlocks(blocks, scales)) {
    throw new JetonError(
      `"${blocks.name}" has the shape [${blocks.shape}], expected MXFP4 blocks`,
      {
        code: "model-weights-shape",
        details: { name: blocks.name, shape: blocks.shape, scales: scales.shape },
      },
    );
  }
  const [count, outputs, perRow] = blocks.shape as [number, number, number];
  const [codes, exponents] = await Promise.all(
    [blocks, scales].map(async (entry) => (await checkpoint.read(entry.name)).data as Uint8Array),
  );
  const halves = new Uint16Array(decodeMxfp4(codes!, exponents!).buffer);
  const inputs = perRow * mxfp4Block;
  const bits = new Uint32Array(halves.length);
  for (let expert = 0; expert < count; expert++) {
    const start = expert * outputs * inputs;
    for (let output = 0; output < outputs; output++) {
      for (let input = 0; input < inputs; input++) {
        // A bfloat16 is the upper half of a float32.
        bits[start + input * outputs + output] = halves[start + output * inputs + input]! << 16;
      }
    }
  }
  return new Float32Array(bits.buffer);
}

/** A matrix in the other order. @param shape of `values` */
export function transposed(values: Float32Array, shape: readonly number[]): Float32Array {
  const [rows = 0, columns = 0] = shape;
  const turned = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      turned[column * rows + row] = values[row * columns + column]!;
    }
  }
  return turned;
}

async function readPlace(
  checkpoint: Checkpoint,
  { name, part }: OtherPlace,
  shape: readonly number[],
): Promise<Float32Array> {
  if (part === undefined) return checkpoint.readFloat32(name);
  const { expert, index, parts } = part;
  const [rows = 0, columns = 0] = shape;
  const stored = checkpoint.tensors.get(name)!;
  checkFused(stored, [stored.shape[0]!, parts * rows, columns], parts);
  const all = await checkpoint.readFloat32(name, { rows: { start: expert, count: 1 } });
  return all.slice(index * rows * columns, (index + 1) * rows * columns);
}
