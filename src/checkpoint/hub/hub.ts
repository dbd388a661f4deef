/**
 * Models by the name they have on the hub: downloaded once into the cache that Python tools share.
 *
 * Layout of the cache (documented by huggingface_hub): `models--owner--name/` with `blobs/<etag>` for
 * contents, `snapshots/<commit>/<path>` as relative links to them, `refs/<revision>` holding a commit.
 * One file is ours: `.jeton/<commit>.json` lists the commit's files, which tells a complete snapshot
 * from one of which Python has fetched a part.
 */
import {
  copyFile,
  link,
  mkdir,
  readFile,
  readlink,
  realpath,
  rename,
  stat,
  symlink,
  unlink,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { JetonError } from "../../core/index.ts";
import { invalidValue, pathRule } from "../../core/option-rules.ts";
import { readWeightMap, singleWeightsName, weightsIndexName } from "../checkpoint.ts";
import { readJsonObject } from "../config.ts";
import { temporaryPath, writeFileAtomically } from "../files/atomic-file.ts";
import { fileError, systemCode } from "../files/file-error.ts";
import { type CheckpointPlace, locateCheckpoint } from "../model-folder.ts";
import { findFolder } from "./find-folder.ts";
import {
  createHubClient,
  type HubClient,
  invalidAnswer,
  isConnectionFailure,
} from "./hub-client.ts";
import { downloadBlob, type HubFile, isBlob } from "./hub-download.ts";
import { parseHubName, pickRevision } from "./hub-name.ts";
import { createDownloadProgress, type DownloadProgress } from "./hub-progress.ts";
import { type HubOptions, type HubSettings, readHubSettings } from "./hub-settings.ts";
import { type FileSelection, selectFiles } from "./select-files.ts";

/** Options of `resolveModel`. */
export interface ResolveModelOptions extends HubOptions {
  /** Branch, tag or commit. Default `"main"`; may be written after the name, `owner/name@revision`. */
  revision?: string;
  /** Without weights: configuration and tokenizer alone. Default true. */
  weights?: boolean;
  /** These files (paths inside the repository) instead of those that a checkpoint needs. */
  files?: readonly string[];
  /** Ask the hub whether a branch has moved, even if the model is in the cache. Default false. */
  update?: boolean;
  /** Called while files are downloaded, at most ten times a second and once at the end. */
  onProgress?: (progress: DownloadProgress) => void;
  /** Stops the download; what was received is kept and the next call goes on from there. */
  signal?: AbortSignal;
  /** How many tries in a row may fail without a new byte. Default 5. */
  attempts?: number;
  /** Milliseconds before the second try; doubles from try to try. Default 500. */
  retryDelay?: number;
  /** Milliseconds without a byte after which a connection counts as dropped. Default 30,000. */
  stallTimeout?: number;
}

/**
 * Gives the folder of a model: a folder as it is, that of a bundled model by its name (`jeton-nano`), or a hub
 * name from the cache, downloaded first if it is not there. A model in the cache is used without asking the hub, unless `update` is set.
 *
 * @example
 * const folder = await resolveModel("HuggingFaceTB/SmolLM2-135M", {
 *   onProgress: ({ bytes, totalBytes }) => console.error(`${bytes} of ${totalBytes}`),
 * });
 *
 * @throws JetonError `model-source-invalid` (no text), `model-not-found` (no such folder, and not a hub name), `model-name-invalid`,
 * `hub-unauthorized`, `hub-gated`, `hub-model-not-found`, `hub-revision-not-found`,
 * `hub-file-not-found`, `hub-weights-missing`, `hub-offline`, `hub-connection-failed`,
 * `hub-checksum-mismatch`, `hub-answer-invalid`, `hub-request-failed`, `disk-full` and its like. Throws
 * the signal's reason when it is aborted.
 */
export async function resolveModel(
  nameOrPath: string,
  options: ResolveModelOptions = {},
): Promise<string> {
  if (!pathRule.test(nameOrPath)) {
    throw invalidValue("the model", nameOrPath, "a path or owner/name", "model-source-invalid");
  }
  options.signal?.throwIfAborted();
  const folder = await findFolder(nameOrPath);
  if (folder) return folder;
  const parsed = parseHubName(nameOrPath);
  const revision = pickRevision(nameOrPath, parsed, options);
  const settings = await readHubSettings(options);
  const repository: Repository = {
    id: `${parsed.owner}/${parsed.name}`,
    folder: join(settings.cacheFolder, `models--${parsed.owner}--${parsed.name}`),
    locks: join(settings.cacheFolder, ".locks", `models--${parsed.owner}--${parsed.name}`),
    revision,
  };

  const cached = await findCached(repository, options);
  if (cached?.verified && !(options.update && !settings.offline)) return cached.folder;
  if (settings.offline) {
    if (cached) return cached.folder;
    throw new JetonError(
      `${repository.id} (${revision}) is not complete in ${repository.folder}, and the hub may not be asked: offline mode is on`,
      {
        code: "hub-offline",
        details: { name: repository.id, revision, folder: repository.folder },
      },
    );
  }
  try {
    return await download(repository, settings, options, cached !== undefined);
  } catch (error) {
    // The network failed: use the cached snapshot if there is one.
    if (cached && isConnectionFailure(error)) return cached.folder;
    throw mentionFolder(nameOrPath, error);
  }
}

/** A name that the hub does not have, or that it cannot be asked about, may be a mistyped path. */
function mentionFolder(name: string, error: unknown): unknown {
  const codes = ["hub-connection-failed", "hub-model-not-found", "hub-unauthorized"];
  if (!JetonError.isInstance(error) || !codes.includes(error.code)) return error;
  const { code, details, message, cause } = error;
  return new JetonError(`there is no folder ${name}, and ${message}`, { code, details, cause });
}

interface Repository {
  /** `owner/name` */
  readonly id: string;
  readonly folder: string;
  readonly locks: string;
  readonly revision: string;
}

const snapshotOf = (repository: Repository, commit: string): string =>
  join(repository.folder, "snapshots", commit);
const listingOf = (repository: Repository, commit: string): string =>
  join(repository.folder, ".jeton", `${commit}.json`);
const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

/**
 * The snapshot in the cache that holds what is asked for; `verified` when the commit's own list of
 * files says so, and not only that a checkpoint's necessities are there.
 */
async function findCached(
  repository: Repository,
  selection: FileSelection,
): Promise<{ folder: string; verified: boolean } | undefined> {
  const { revision } = repository;
  const ref = join(repository.folder, "refs", ...revision.split("/"));
  const commit = isCommit(revision)
    ? revision
    : (await readFile(ref, "utf8").catch(() => "")).trim();
  if (!isCommit(commit)) return undefined;
  const folder = snapshotOf(repository, commit);
  const listing = await readListing(listingOf(repository, commit));
  if (listing) {
    const wanted = await selectFiles(listing, selection, async () => folder).catch(() => undefined);
    if (!wanted) return undefined;
    const there = await Promise.all(
      wanted.map((file) => isBlob(join(folder, ...file.path.split("/")), file.size)),
    );
    return there.every(Boolean) ? { folder, verified: true } : undefined;
  }
  return (await holdsNecessities(folder, selection)) ? { folder, verified: false } : undefined;
}

/** The list of a commit's files that we kept, or undefined. */
async function readListing(path: string): Promise<HubFile[] | undefined> {
  try {
    const { files } = await readJsonObject(path);
    return (files as unknown as HubFile[]).map(({ path, size, etag }) =>
      checkFile(path, size, etag),
    );
  } catch {
    return undefined;
  }
}

async function holdsNecessities(snapshot: string, selection: FileSelection): Promise<boolean> {
  const { files, weights = true } = selection;
  const { folder, config }: CheckpointPlace = files
    ? { folder: snapshot }
    : await locateCheckpoint(snapshot);
  const exists = (name: string): Promise<boolean> =>
    stat(join(folder, ...name.split("/"))).then(
      (found) => found.isFile(),
      () => false,
    );
  const all = async (names: readonly string[]): Promise<boolean> =>
    (await Promise.all(names.map(exists))).every(Boolean);
  if (files) return all(files);
  if (!weights) {
    const tokenizers = ["tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"];
    return (await Promise.all(tokenizers.map(exists))).some(Boolean);
  }
  if (config === undefined && !(await exists("config.json"))) return false;
  if (await exists(singleWeightsName)) return true;
  const shards = await readWeightMap(join(folder, weightsIndexName)).catch(() => undefined);
  return shards !== undefined && all([...new Set(shards.values())]);
}

async function download(
  repository: Repository,
  settings: HubSettings,
  options: ResolveModelOptions,
  hasFallback: boolean,
): Promise<string> {
  // One failure of any file stops the others.
  const controller = new AbortController();
  const { signal } = options;
  const forward = (): void => controller.abort(signal?.reason);
  signal?.addEventListener("abort", forward, { once: true });
  if (signal?.aborted) forward();
  try {
    const client = createHubClient({
      endpoint: settings.endpoint,
      token: settings.token,
      signal: controller.signal,
      // With something to fall back to, a network that is down is not worth waiting for.
      attempts: hasFallback ? 1 : (options.attempts ?? 5),
      ...(options.retryDelay !== undefined && { retryDelay: options.retryDelay }),
      ...(options.stallTimeout !== undefined && { stallTimeout: options.stallTimeout }),
    });
    const { commit, files } = await listRepository(client, repository);
    const folder = snapshotOf(repository, commit);
    const progress = createDownloadProgress(options.onProgress);
    const fetchFile = async (file: HubFile): Promise<void> => {
      const path = file.path.split("/").map(encodeURIComponent).join("/");
      const url = `${client.endpoint}/${repository.id}/resolve/${commit}/${path}`;
      const blob = join(repository.folder, "blobs", file.etag);
      await mkdir(dirname(blob), { recursive: true }).catch((error: unknown) => {
        throw fileError(error, dirname(blob));
      });
      if (!(await isBlob(blob, file.size))) {
        const lock = join(repository.locks, `${file.etag}.jeton.lock`);
        await downloadBlob(client, url, file, blob, lock, {
          onPosition: (bytes) => progress.advance(file, bytes),
          signal: controller.signal,
        });
      }
      progress.finish(file);
      await linkFile(blob, join(folder, ...file.path.split("/")));
    };
    const wanted = await selectFiles(files, options, async (first) => {
      progress.expect([first]);
      await fetchFile(first);
      return folder;
    });
    progress.expect(wanted);
    // The small ones first: a mistake in them shows before gigabytes have come.
    await forEachOf(
      [...wanted].sort((a, b) => a.size - b.size),
      4,
      async (file) => {
        try {
          await fetchFile(file);
        } catch (error) {
          controller.abort(error);
          throw error;
        }
      },
    );
    await writeFileAtomically(listingOf(repository, commit), JSON.stringify({ files }));
    if (!isCommit(repository.revision)) {
      const ref = join(repository.folder, "refs", ...repository.revision.split("/"));
      await writeFileAtomically(ref, commit);
    }
    progress.end();
    return folder;
  } finally {
    signal?.removeEventListener("abort", forward);
  }
}

/** Runs `action` for every item, `limit` at a time; waits for all that have begun, also on failure. */
async function forEachOf<T>(
  items: readonly T[],
  limit: number,
  action: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  let failure: { error: unknown } | undefined;
  const work = async (): Promise<void> => {
    for (const item of queue) {
      if (failure) return;
      await action(item).catch((error: unknown) => {
        failure ??= { error };
      });
    }
  };
  await Promise.all(Array.from({ length: limit }, work));
  if (failure) throw failure.error;
}

/** Asks the hub which commit the revision is, and which files it has. */
async function listRepository(
  client: HubClient,
  repository: Repository,
): Promise<{ commit: string; files: HubFile[] }> {
  const { id, revision } = repository;
  // Loaded only when something is downloaded: the package takes a while to start.
  const hub = await import("@huggingface/hub");
  const shared = { hubUrl: client.endpoint, fetch: client.fetch };
  const info = await checkAnswer(client, repository, () =>
    hub.modelInfo({ ...shared, name: id, revision, additionalFields: ["sha", "filePaths"] }),
  );
  const commit: unknown = info.sha;
  if (typeof commit !== "string" || !isCommit(commit)) {
    throw invalidAnswer(`${client.endpoint}/${id}`, `its commit is ${JSON.stringify(commit)}`);
  }
  const files: HubFile[] = [];
  try {
    const repo = { type: "model", name: id } as const;
    await checkAnswer(client, repository, async () => {
      const entries = hub.listFiles({ ...shared, repo, revision: commit, recursive: true });
      for await (const { type, path, size, oid, lfs } of entries) {
        if (type === "file") files.push(checkFile(path, lfs?.size ?? size, lfs?.oid ?? oid));
      }
    });
  } catch (error) {
    // Some mirrors have no listing with sizes; then every file is asked for by itself.
    if (!JetonError.isInstance(error) || error.code !== "hub-model-not-found") throw error;
    const paths: unknown = info.filePaths;
    if (!Array.isArray(paths) || paths.length === 0) throw error;
    await forEachOf(paths, 8, async (path: unknown) => {
      files.push(await describeFile(client, repository, commit, path));
    });
  }
  return { commit, files };
}

/** The hub package does not check answers; malformed ones end in errors of JavaScript itself. */
async function checkAnswer<T>(
  client: HubClient,
  { id }: Repository,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    throw invalidAnswer(`${client.endpoint}/${id}`, error.message);
  }
}

/** Size and etag of one file by a HEAD request, as Python asks for them. */
async function describeFile(
  client: HubClient,
  repository: Repository,
  commit: string,
  path: unknown,
): Promise<HubFile> {
  const encoded = String(path).split("/").map(encodeURIComponent).join("/");
  const url = `${client.endpoint}/${repository.id}/resolve/${commit}/${encoded}`;
  return client.retry(() =>
    client.request(
      url,
      { "accept-encoding": "identity" },
      async ({ response, etag, size }) =>
        checkFile(path, size ?? Number(response.headers.get("content-length")), etag),
      "HEAD",
    ),
  );
}

/** Checks a file entry from the hub before its name becomes part of a local path. */
function checkFile(path: unknown, size: unknown, etag: unknown): HubFile {
  const safePath =
    typeof path === "string" &&
    path
      .split("/")
      .every((part) => part !== "" && part !== "." && part !== ".." && !/[\\:\0]/.test(part));
  const safeEtag = typeof etag === "string" && /^\w[\w.-]{0,127}$/.test(etag);
  if (safePath && safeEtag && Number.isSafeInteger(size) && (size as number) >= 0) {
    return { path, size: size as number, etag };
  }
  throw invalidAnswer("the list of files", JSON.stringify({ path, size, etag }).slice(0, 500));
}

/** Puts `path` into the snapshot as a relative link to `blob`; where links are not allowed, otherwise. */
async function linkFile(blob: string, path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    // Relative to where the folder really is, lest a link in the path to the cache lead it astray.
    const target = relative(await realpath(dirname(path)), await realpath(blob));
    if ((await readlink(path).catch(() => undefined)) === target) return;
    const temporary = temporaryPath(path);
    try {
      await symlink(target, temporary).catch(async (error: unknown) => {
        if (systemCode(error) !== "EPERM" && systemCode(error) !== "ENOSYS") throw error;
        // Windows without the right to make links: a second name for the content, or a copy.
        await link(blob, temporary).catch(() => copyFile(blob, temporary));
      });
      await rename(temporary, path);
    } catch (error) {
      await unlink(temporary).catch(() => {});
      throw error;
    }
  } catch (error) {
    throw fileError(error, path);
  }
}
