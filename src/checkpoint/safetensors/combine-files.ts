/** Several safetensors files read as one, wherever their bytes are. */
import type { Checkpoint } from "../checkpoint.ts";
import type { SafetensorsFile } from "./safetensors.ts";
import type { TensorEntry } from "./safetensors-header.ts";
import { missingTensor } from "./tensor-reader.ts";

/**
 * The tensors of several files as one.
 *
 * @param tensors by name; `file` of each says which of the files holds it
 */
export function combineFiles(
  files: readonly SafetensorsFile[],
  tensors: ReadonlyMap<string, TensorEntry>,
): Omit<Checkpoint, "folder" | "config" | "generationConfig"> {
  const byPath = new Map(files.map((file) => [file.file, file]));
  const metadata = new Map<string, string>();
  for (const file of files) {
    for (const [key, value] of file.metadata) {
      if (!metadata.has(key)) metadata.set(key, value);
    }
  }
  const close = async (): Promise<void> => {
    await Promise.all(files.map((file) => file.close()));
  };
  const fileOf = (name: string): SafetensorsFile => {
    const entry = tensors.get(name);
    if (entry) return byPath.get(entry.file)!;
    throw missingTensor(name, tensors);
  };
  return {
    files: files.map((file) => file.file),
    tensors,
    metadata,
    read: async (name, options) => fileOf(name).read(name, options),
    readFloat32: async (name, options) => fileOf(name).readFloat32(name, options),
    readRows: async (name, start, count) => fileOf(name).readRows(name, start, count),
    readBytes: async (name, length) => fileOf(name).readBytes(name, length),
    close,
    [Symbol.asyncDispose]: close,
  };
}
