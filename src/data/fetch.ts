/** Downloads files of the data registry: resumable, verified, and complete or absent. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileError } from "../checkpoint/files/file-error.ts";
import { acquireLock } from "../checkpoint/files/file-lock.ts";
import { createHubClient, type HubClient, TransientFailure } from "../checkpoint/hub/hub-client.ts";
import type { Environment } from "../checkpoint/hub/hub-settings.ts";
import { JetonError } from "../core/index.ts";
import { type DataFile, findDataFiles, targetFolder } from "./registry.ts";

/** The outcome of one file. */
export interface FetchedFile {
  readonly name: string;
  /**
   * `present`: the file was there with its checksum. `downloaded`: now there. `derived`: not
   * downloadable, as it was made from `address`. `failed`: see `error`.
   */
  readonly state: "present" | "downloaded" | "derived" | "failed";
  /** Bytes of the file; absent if it is not there. */
  readonly bytes?: number;
  readonly address: string;
  /** How a derived file was made. */
  readonly derived?: string;
  readonly error?: { readonly code: string; readonly message: string };
}

/** The state of a download of several files. */
export interface FetchProgress {
  /** The file that has just got further. */
  readonly name: string;
  /** Bytes of that file so far, and in all if the server says so. */
  readonly bytes: number;
  readonly totalBytes: number | undefined;
  readonly filesDone: number;
  readonly files: number;
}

export interface FetchDataOptions {
  /** The data folder. Default: `JETON_DATA`, otherwise `data` in the cache folder. */
  folder?: string;
  /** Default `process.env`. `JETON_DATA_MIRROR` replaces the host of every address. */
  environment?: Environment;
  onProgress?: (progress: FetchProgress) => void;
  /** Stops the downloads; received parts are kept and the next call resumes them. */
  signal?: AbortSignal;
  /** Number of tries in a row that may fail without a new byte. Default 5. */
  attempts?: number;
  /** Milliseconds before the second try; doubles from try to try. Default 500. */
  retryDelay?: number;
}

/** Files that are downloaded at the same time. */
const concurrency = 4;

/**
 * Downloads files of the registry into the data folder. A file is received as `NAME.incomplete`,
 * verified against its SHA-256 and renamed; an interrupted download is resumed by a range request.
 *
 * @param names files or folders of the registry; none means all
 * @returns one entry per file, in the order of the registry; failures of single files are in it
 * @throws JetonError `data-unknown`; the signal's reason
 */
export async function fetchData(
  names: readonly string[],
  options: FetchDataOptions = {},
): Promise<FetchedFile[]> {
  const { environment = process.env, signal, onProgress } = options;
  const folder = options.folder ?? targetFolder(environment);
  const files = findDataFiles(names);
  const mirror = environment["JETON_DATA_MIRROR"];
  const results = new Map<string, FetchedFile>();
  const queue = files.values();
  const work = async (): Promise<void> => {
    for (const file of queue) {
      signal?.throwIfAborted();
      const onBytes = (bytes: number, totalBytes: number | undefined): void => {
        const state = { bytes, totalBytes, filesDone: results.size, files: files.length };
        onProgress?.({ name: file.name, ...state });
      };
      results.set(file.name, await fetchFile(file, { ...options, folder, mirror, onBytes }));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return files.map(({ name }) => results.get(name)!);
}

interface FetchFileOptions extends FetchDataOptions {
  readonly folder: string;
  readonly mirror: string | undefined;
  readonly onBytes: (bytes: number, totalBytes: number | undefined) => void;
}

async function fetchFile(file: DataFile, options: FetchFileOptions): Promise<FetchedFile> {
  const { name, address, derived } = file;
  const target = join(options.folder, name);
  const present = await digestFile(target);
  if (present?.sha256 === file.sha256) {
    return { name, state: "present", bytes: present.bytes, address };
  }
  if (derived !== undefined) return { name, state: "derived", address, derived };
  try {
    const bytes = await downloadFile(file, target, options);
    return { name, state: "downloaded", bytes, address };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!JetonError.isInstance(error)) throw error;
    const { code, message } = error;
    return { name, state: "failed", address, error: { code, message } };
  }
}

/** Downloads one file and returns its size. */
async function downloadFile(
  file: DataFile,
  target: string,
  options: FetchFileOptions,
): Promise<number> {
  const { signal, mirror, attempts, retryDelay } = options;
  const url = mirror === undefined || mirror === "" ? file.address : mirrored(file.address, mirror);
  const client = createHubClient({
    endpoint: new URL(url).origin,
    signal,
    ...(attempts !== undefined && { attempts }),
    ...(retryDelay !== undefined && { retryDelay }),
  });
  await mkdir(dirname(target), { recursive: true }).catch((error: unknown) => {
    throw fileError(error, dirname(target));
  });
  const isDone = async (): Promise<boolean> => (await digestFile(target))?.sha256 === file.sha256;
  const lock = await acquireLock(`${target}.lock`, { isDone, signal });
  if (lock === undefined) return (await digestFile(target))?.bytes ?? 0;
  const path = `${target}.incomplete`;
  try {
    const resumed = (await digestFile(path))?.bytes ?? 0;
    await receive(client, url, path, options.onBytes);
    // A part that an earlier process left may be damaged: download again from the start.
    if (resumed > 0 && (await digestFile(path))?.sha256 !== file.sha256) {
      await rm(path, { force: true });
      await receive(client, url, path, options.onBytes);
    }
    const found = await digestFile(path);
    if (found?.sha256 !== file.sha256) {
      await rm(path, { force: true });
      throw new JetonError(
        `${file.name}: ${url} sent a file with the checksum ${found?.sha256}, expected ${file.sha256}`,
        {
          code: "data-checksum-mismatch",
          details: { name: file.name, url, found: found?.sha256, expected: file.sha256 },
        },
      );
    }
    await rename(path, target);
    return found.bytes;
  } catch (error) {
    signal?.throwIfAborted();
    throw describeFailure(error, file.name, url, path);
  } finally {
    await lock.release();
  }
}

/** Requests the missing part of `path` until it is complete. */
async function receive(
  client: HubClient,
  url: string,
  path: string,
  onBytes: FetchFileOptions["onBytes"],
): Promise<void> {
  const handle = await open(path, "a");
  try {
    let position = (await handle.stat()).size;
    const attempt = async (): Promise<void> => {
      position = await receiveOnce(client, url, handle, position, (bytes, total) => {
        position = bytes;
        onBytes(bytes, total);
      });
    };
    await client.retry(attempt, () => position);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function receiveOnce(
  client: HubClient,
  url: string,
  handle: FileHandle,
  start: number,
  onBytes: FetchFileOptions["onBytes"],
): Promise<number> {
  const headers = {
    "accept-encoding": "identity",
    ...(start > 0 && { range: `bytes=${start}-` }),
  };
  return client.request(url, headers, async ({ response, chunks }) => {
    const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
    const continues = response.status === 206 && Number(range?.[1]) === start;
    // 416: the part is complete, or longer than the file; its checksum decides.
    if (response.status === 416) return start;
    let position = start;
    // A server without range requests sends the whole file again.
    if (start > 0 && !continues) {
      await handle.truncate(0);
      position = 0;
    }
    const length = Number.parseInt(response.headers.get("content-length") ?? "", 10);
    const total = Number.isSafeInteger(length) ? position + length : undefined;
    for await (const chunk of chunks()) {
      // Opened for appending: every write goes to the end.
      await handle.writeFile(chunk);
      position += chunk.length;
      onBytes(position, total);
    }
    if (total !== undefined && position < total) {
      throw new TransientFailure(`it ended after ${position} of ${total} bytes`);
    }
    return position;
  });
}

/** The address on another host: its path is kept. */
function mirrored(address: string, mirror: string): string {
  const { pathname } = new URL(address);
  if (!/^https?:\/\//.test(mirror)) {
    throw new JetonError(`JETON_DATA_MIRROR is ${JSON.stringify(mirror)}, expected an address`, {
      code: "data-mirror-invalid",
      details: { found: mirror, expected: "http://host or https://host" },
    });
  }
  return mirror.replace(/\/+$/, "") + pathname;
}

/** Size and SHA-256 of a file; undefined if it does not exist. */
async function digestFile(path: string): Promise<{ bytes: number; sha256: string } | undefined> {
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path)) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileError(error, path);
  }
  return { bytes, sha256: hash.digest("hex") };
}

/** Errors of the connection under a code of the registry's; system errors as `fileError` names them. */
function describeFailure(error: unknown, name: string, url: string, path: string): unknown {
  if (JetonError.isInstance(error) && error.code.startsWith("hub-")) {
    return new JetonError(`${name} could not be downloaded from ${url}: ${error.message}`, {
      code: "data-download-failed",
      details: { name, url, reason: error.code },
      cause: error,
    });
  }
  const isSystem = typeof (error as { code?: unknown } | null)?.code === "string";
  return isSystem ? fileError(error, path) : error;
}
