/** What every loader of a model begins with: from a folder or a name on the hub to an open checkpoint. */
import { basename } from "node:path";
import {
  type Checkpoint,
  locateCheckpoint,
  openCheckpoint,
  resolveModel,
} from "../../checkpoint/index.ts";
import type { LoadModelOptions } from "../types.ts";

/** The options that concern finding a checkpoint. */
export type FindOptions = Pick<LoadModelOptions, "onProgress" | "signal">;

/** The folder of a model; a hub name is downloaded where it is not in the cache. */
async function resolveModelFolder(
  nameOrFolder: string,
  { onProgress, signal }: FindOptions,
): Promise<string> {
  const folder = await resolveModel(nameOrFolder, {
    ...(signal && { signal }),
    ...(onProgress && {
      onProgress: ({ bytes, totalBytes }) =>
        onProgress({ stage: "download", done: bytes, total: totalBytes ?? bytes }),
    }),
  });
  signal?.throwIfAborted();
  return folder;
}

/** An open checkpoint and the name of its model: as it was asked for, without slashes at the end. */
export interface NamedCheckpoint {
  readonly name: string;
  readonly checkpoint: Checkpoint;
  /** The model's folder: that of the checkpoint, or one above it (`modules.json`). */
  readonly folder: string;
}

/** Opens the checkpoint of a folder or a name on the hub; the caller closes it. */
export async function openNamedCheckpoint(
  nameOrFolder: string,
  options: FindOptions,
): Promise<NamedCheckpoint> {
  return openLocatedCheckpoint(nameOrFolder, await resolveModelFolder(nameOrFolder, options));
}

/** Opens the checkpoint of a model whose folder is known; the caller closes it. */
export async function openLocatedCheckpoint(
  nameOrFolder: string,
  folder: string,
): Promise<NamedCheckpoint> {
  const name = basename(folder) === "" ? folder : nameOrFolder.replace(/[\\/]+$/, "");
  const { folder: inner, ...place } = await locateCheckpoint(folder);
  return { name, checkpoint: await openCheckpoint(inner, place), folder };
}
