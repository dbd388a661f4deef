/** The files of a model's folder on disk. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors, readJson } from "../../../checkpoint/index.ts";
import type { FolderFiles } from "./sentence-folder.ts";

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
  };
}
