/** The files of a model's folder on disk. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors, readJson } from "../../../checkpoint/index.ts";
import type { FolderFiles } from "./folder-files.ts";
import { readVectorModuleNames, type VectorModuleNames } from "./sentence-folder.ts";

/**
 * Reads which modules of a sentence-transformers folder make vectors of texts, without their weights.
 *
 * @throws JetonError `encoder-module-invalid`
 */
export function readVectorModules(folder: string): Promise<VectorModuleNames> {
  return readVectorModuleNames(diskFolder(folder));
}

/** The files of a folder on disk. */
export function diskFolder(folder: string): FolderFiles {
  return {
    async json(path) {
      const file = join(folder, path);
      const exists = await stat(file).then(
        () => true,
        () => false,
      );
      return exists ? readJson(file) : undefined;
    },
    async tensors(path) {
      await using file = await openSafetensors(join(folder, path));
      return new Map(file.tensors);
    },
    async float32(path, name) {
      await using file = await openSafetensors(join(folder, path));
      return file.readFloat32(name);
    },
  };
}
