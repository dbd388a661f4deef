/** Files of a model's folder, and what is said of a file that is not as it should be. */
import { isJsonObject, type JsonObject, type JsonValue } from "../../../checkpoint/json.ts";
import type { TensorEntry } from "../../../checkpoint/safetensors/safetensors-header.ts";
import { JetonError } from "../../../core/index.ts";

/** The files of a model's folder, wherever it is. Paths have slashes. */
export interface FolderFiles {
  /** What a JSON file holds; undefined where the folder has none. */
  json(path: string): Promise<JsonValue | undefined>;
  /** Tensors of a safetensors file, by their names there. */
  tensors(path: string): Promise<ReadonlyMap<string, TensorEntry>>;
  /** One of them as single precision, by its name there. @throws JetonError those of `TensorReader.readFloat32` */
  float32(path: string, name: string): Promise<Float32Array>;
}

/** A path below a folder; empty: the model's own. */
export const pathOf = (folder: string, name: string): string =>
  folder === "" ? name : `${folder}/${name}`;

/** What a file holds; nothing where there is none. @throws JetonError `encoder-module-invalid` where it holds no object */
export async function optionalJson(files: FolderFiles, path: string): Promise<JsonObject> {
  const value = await files.json(path);
  return value === undefined ? {} : objectOf(value, path);
}

/** @throws JetonError `encoder-module-invalid` for anything but an object */
export function objectOf(value: JsonValue | undefined, path: string): JsonObject {
  if (isJsonObject(value)) return value;
  throw moduleError(path, "the file", value, "a JSON object");
}

/** What is wrong with a key of a file. */
export function moduleError(
  file: string,
  key: string,
  value: unknown,
  expected: string,
): JetonError {
  return new JetonError(`${file}: ${key} is ${JSON.stringify(value)}, expected ${expected}`, {
    code: "encoder-module-invalid",
    details: { file, key, value, expected },
  });
}
