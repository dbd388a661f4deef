/** Reads a decoder's parameters for training, which needs their values and not their place in a file. */
import type { Checkpoint } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { decodeMxfp4, hasBlocks, mxfp4Block } from "./split-experts.ts";

/**
 * The values of a stored parameter. Experts that are stored as MXFP4 blocks (gpt-oss) are decoded, into the
 * layout `[experts, in, out]` in which the same family stores them as BF16.
 *
 * @throws JetonError `model-weights-shape` for blocks and scales that do not fit each other, and those of
 *   `Checkpoint.readFloat32`
 */
export async function readParameter(checkpoint: Checkpoint, name: string): Promise<Float32Array> {
  const { tensors } = checkpoint;
  const blocks = tensors.get(`${name}_blocks`);
  const scales = tensors.get(`${name}_scales`);
  if (tensors.has(name) || !blocks || !scales) return checkpoint.readFloat32(name);
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
