/** Stored tensors as float32, for devices that need not know narrower floats. */
import { viewElements, widenToFloat32 } from "../../checkpoint/safetensors/dtype.ts";
import type { Device } from "../../tensor/index.ts";
import { type StoredShape, storedShapes } from "./trace-weights.ts";

type NarrowDtype = "F16" | "BF16";

const isNarrow = (dtype: string): dtype is NarrowDtype => dtype === "F16" || dtype === "BF16";

/** The same shapes, with float32 in place of 16-bit floats. */
export function wideShapes(
  tensors: ReadonlyMap<string, StoredShape>,
): ReadonlyMap<string, StoredShape> {
  return new Map(
    Array.from(tensors, ([name, { dtype, shape }]) => [
      name,
      { dtype: isNarrow(dtype) ? "F32" : dtype, shape },
    ]),
  );
}

/** Stored tensors as a device binds them: not every graphics processor has float16. */
export function shapesOn(
  device: Device | undefined,
  tensors: ReadonlyMap<string, StoredShape>,
): ReadonlyMap<string, StoredShape> {
  return device === "webgpu" ? wideShapes(tensors) : storedShapes(tensors);
}

/** The bytes of a tensor as float32, which holds every value of a 16-bit float; others as they are. */
export function widenBytes(dtype: string, bytes: Uint8Array): Uint8Array {
  if (!isNarrow(dtype)) return bytes;
  // Elements of two bytes may be viewed at even places only.
  const { buffer, byteOffset, length } = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  const wide = new Float32Array(length / 2);
  widenToFloat32(dtype, viewElements(dtype, buffer, byteOffset, length / 2), wide);
  return new Uint8Array(wide.buffer);
}
