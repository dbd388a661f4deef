/** The models in the hub's cache, which jeton shares with Python tools: list and remove. */
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { JetonError } from "../../core/index.ts";
import { fileError } from "../files/file-error.ts";
import { parseHubName } from "./hub-name.ts";
import { type HubOptions, readHubSettings } from "./hub-settings.ts";

/** A model in the cache. */
export interface CachedModel {
  /** `owner/name`. */
  readonly name: string;
  readonly folder: string;
  /** Bytes of all downloaded files, unfinished ones included. */
  readonly bytes: number;
  /** Branches and tags, with the commit that each had when it was downloaded. */
  readonly revisions: Readonly<Record<string, string>>;
  /** Whether unfinished downloads are among the files. */
  readonly isPartial: boolean;
}

const prefix = "models--";

/** Lists the models in the hub's cache by name; none if there is no cache. */
export async function listCachedModels(options: HubOptions = {}): Promise<CachedModel[]> {
  const { cacheFolder } = await readHubSettings(options);
  const names = await readdir(cacheFolder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw fileError(error, cacheFolder);
  });
  const models = names
    .filter((name) => /^models--[\w.-]+?--[\w.-]+$/.test(name))
    .sort()
    .map((name) => describe(join(cacheFolder, name), name.slice(prefix.length).replace("--", "/")));
  return Promise.all(models);
}

/**
 * Removes a model from the hub's cache: all its revisions, files and unfinished downloads.
 *
 * @param name `owner/name`
 * @returns what was removed
 * @throws JetonError `model-name-invalid`, `model-not-cached`
 */
export async function removeCachedModel(
  name: string,
  options: HubOptions = {},
): Promise<CachedModel> {
  const { owner, name: model, revision } = parseHubName(name);
  if (revision !== undefined) {
    throw new JetonError(
      `${name} names a revision; a model is removed as a whole: ${owner}/${model}`,
      {
        code: "model-name-invalid",
        details: { found: name, expected: "owner/name" },
      },
    );
  }
  const { cacheFolder } = await readHubSettings(options);
  const folder = join(cacheFolder, `${prefix}${owner}--${model}`);
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    throw new JetonError(`${name} is not in the cache, ${cacheFolder}`, {
      code: "model-not-cached",
      details: { name, folder },
    });
  }
  const description = await describe(folder, `${owner}/${model}`);
  try {
    await rm(folder, { recursive: true });
    await rm(join(cacheFolder, ".locks", `${prefix}${owner}--${model}`), {
      recursive: true,
      force: true,
    });
  } catch (error) {
    throw fileError(error, folder);
  }
  return description;
}

async function describe(folder: string, name: string): Promise<CachedModel> {
  const blobs = join(folder, "blobs");
  const files = await readdir(blobs).catch((): string[] => []);
  const sizes = await Promise.all(
    files.map((file) =>
      stat(join(blobs, file)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return {
    name,
    folder,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    revisions: await readRevisions(join(folder, "refs")),
    isPartial: files.some((file) => file.endsWith(".incomplete")),
  };
}

/** Commits by revision; a revision may hold slashes, which are folders on disk. */
async function readRevisions(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const revisions: Record<string, string> = {};
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const revision = path.slice(folder.length + 1).replaceAll("\\", "/");
    revisions[revision] = (await readFile(path, "utf8")).trim();
  }
  return revisions;
}
