/** Opens safetensors files that are in memory. Needs nothing of Node. */
import type { SafetensorsFile } from "./safetensors.ts";
import { parseHeaderOf } from "./safetensors-header.ts";
import { createTensorReader } from "./tensor-reader.ts";

/**
 * Opens the bytes of a safetensors file, which are viewed and not copied. Closing it does nothing.
 *
 * @param name what errors, and `file` of its tensors, call it
 * @throws JetonError the codes of `parseSafetensorsHeader`
 */
export function openSafetensorsBytes(data: Uint8Array, name: string): SafetensorsFile {
  const header = parseHeaderOf(data, name);
  const reader = createTensorReader(header.tensors, () => ({
    async read(bytes, offset, count, position) {
      const part = data.subarray(position, position + count);
      bytes.set(part, offset);
      return { bytesRead: part.length };
    },
  }));
  const close = async (): Promise<void> => {};
  const size = data.length;
  return { ...header, ...reader, file: name, size, close, [Symbol.asyncDispose]: close };
}
